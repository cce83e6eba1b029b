"""The jobs of the benchmarks: a network, its data, initial weights and batch order.

Every contender gets the same job. The job determines data, weights and orders, so each worker
process makes its own copy.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import anynet
from anynet.data.batches import epoch_order, split_order

SEED = 0
MNIST_ROWS = 60_000
Layers = list[tuple[np.ndarray, np.ndarray]]


class Data(NamedTuple):
    """Unscaled inputs (N, I), their scale factor, classes (N,), and their origin."""

    x: np.ndarray
    scale: float | None
    y: np.ndarray
    source: str

    def scaled(self, dtype: type = np.float32) -> np.ndarray:
        """Return the scaled inputs, as users of other libraries prepare them."""
        x = self.x.astype(dtype)
        return x if self.scale is None else x * dtype(self.scale)


@dataclass(frozen=True)
class Job:
    """The work of one round of a contender: epochs of plain SGD, or one prediction."""

    name: str
    layers: tuple[int, ...]
    batch_size: int
    samples: int = MNIST_ROWS
    epochs: int = 1
    kind: str = "train"
    learning_rate: float = 0.1
    data_dir: str | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of batches per epoch, including the short one."""
        return -(-self.samples // self.batch_size)

    def data(self) -> Data:
        """Return MNIST if its files exist, random data of its shape, or the table."""
        return table_data(self) if self.layers[0] != 784 else mnist_or_random(self)

    def initial(self) -> Layers:
        """Return (weight, bias) of each dense layer in float32, the same as anynet draws."""
        drawn = anynet.mlp(self.layers).init_host(SEED)
        return [
            (layer["weight"].astype(np.float32), layer["bias"].astype(np.float32))
            for layer in drawn
            if layer
        ]

    def orders(self, epoch: int) -> list[np.ndarray]:
        """Return the order of one epoch as arrays (steps, B), the short batch first."""
        order = epoch_order(self.samples, SEED, epoch)
        return split_order(order, self.batch_size, short_first=True)


def mnist_or_random(job: Job) -> Data:
    """Return the first samples of MNIST, or random bytes if its files are missing."""
    try:
        x, y = anynet.load_dataset("mnist", job.data_dir, download=False).train
        source = "mnist"
    except anynet.DataError:
        x, y = random_images()
        source = "random"
    repeats = -(-job.samples // len(x))
    if repeats > 1:
        x, y = np.tile(x, (repeats, 1)), np.tile(y, repeats)
    return Data(x[: job.samples], 1 / 255, y[: job.samples], source)


@functools.cache
def random_images(rows: int = MNIST_ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Return bytes and classes of MNIST's shape."""
    rng = np.random.default_rng(SEED)
    return rng.integers(256, size=(rows, 784), dtype=np.uint8), rng.integers(10, size=rows)


def table_data(job: Job) -> Data:
    """Return normal columns with classes separated by a plane, a tenth of them flipped."""
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((job.samples, job.layers[0])).astype(np.float32)
    score = x @ rng.standard_normal((job.layers[0], job.layers[-1]))
    y = score.argmax(axis=1)
    flipped = rng.random(job.samples) < 0.1
    y[flipped] = rng.integers(job.layers[-1], size=int(flipped.sum()))
    return Data(x, None, y, "table")


SMALL, LARGE = (784, 128, 64, 10), (784, 512, 256, 10)
DEEP = (784, 2500, 2000, 1500, 1000, 500, 10)

WORKLOADS = {
    job.name: job
    for job in (
        Job("table", (20, 64, 2), 32, samples=1000, epochs=50),
        Job("predict-small", SMALL, 4096, kind="predict"),
        Job("predict-large", LARGE, 4096, kind="predict"),
        Job("deep", DEEP, 256, samples=2048),
        Job("mnist-small", SMALL, 64),
        Job("mnist-large-1024", LARGE, 1024),
        Job("mnist-large", LARGE, 64),
        Job("deep-4096", DEEP, 4096),
    )
}
CPU_WORKLOADS = tuple(name for name in WORKLOADS if name != "deep-4096")
