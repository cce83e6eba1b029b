"""The floor: only the matrix products of the job, in NumPy.

The operands have the layouts of training and stay in place: nothing is gathered, added or
compared. Products: forward, gradients of the weights, and gradients of the inputs of all layers
except the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from bench.contenders.base import Contender
from bench.jobs import Job


class Operands(NamedTuple):
    """The operands and result buffers of one dense layer."""

    x: Any  # (B, I)
    weight: Any  # (I, O)
    dy: Any  # (B, O)
    y: Any  # (B, O)
    dweight: Any  # (I, O)
    dx: Any  # (B, I)


class Products(Contender):
    """``numpy.matmul`` into buffers made beforehand."""

    matmul: ClassVar[Callable[..., Any]] = staticmethod(np.matmul)

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        sizes = {job.batch_size, job.samples % job.batch_size} - {0}
        self.operands = {size: self.make_operands(size) for size in sizes}

    def make_operands(self, rows: int) -> list[Operands]:
        """Draw random operands with the shapes of one batch."""
        rng = np.random.default_rng(0)

        def draw(*shape: int) -> Any:
            return self.place(rng.standard_normal(shape, dtype=np.float32))

        return [
            Operands(
                x=draw(rows, n),
                weight=draw(n, m),
                dy=draw(rows, m),
                y=draw(rows, m),
                dweight=draw(n, m),
                dx=draw(rows, n),
            )
            for n, m in itertools.pairwise(self.job.layers)
        ]

    def place(self, array: np.ndarray) -> Any:
        """Copy an array to the device."""
        return array

    def train(self) -> float:
        for epoch in range(1, self.job.epochs + 1):
            for part in self.job.orders(epoch):
                self.repeat(part.shape[1], len(part))
            self.synchronize()
        return float("nan")

    def repeat(self, rows: int, steps: int) -> None:
        """Compute the products of several steps with the given number of rows each."""
        for _ in range(steps):
            self.multiply(self.operands[rows])

    def multiply(self, layers: list[Operands]) -> None:
        """Compute the products of one training step."""
        self.forward(layers)
        for index in range(len(layers) - 1, -1, -1):
            layer = layers[index]
            self.matmul(layer.x.T, layer.dy, out=layer.dweight)
            if index > 0:
                self.matmul(layer.dy, layer.weight.T, out=layer.dx)

    def forward(self, layers: list[Operands]) -> None:
        """Compute the products of one prediction."""
        for layer in layers:
            self.matmul(layer.x, layer.weight, out=layer.y)

    def predict(self) -> np.ndarray:
        for start in range(0, self.job.samples, self.job.batch_size):
            self.forward(self.operands[min(self.job.batch_size, self.job.samples - start)])
        self.synchronize()
        return np.empty(0)

    def synchronize(self) -> None:
        """Wait for the device."""
