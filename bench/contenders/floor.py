"""The floor: the matrix products of the job alone, in NumPy.

The operands have the layouts of training and stay in place: nothing is gathered, added or
compared. Forward, the gradient of each weight, and that of each layer's input but the first's.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from bench.contenders.base import Contender
from bench.jobs import Job


class Operands(NamedTuple):
    """What one dense layer multiplies, and where the products go."""

    x: np.ndarray  # (B, I)
    weight: np.ndarray  # (I, O)
    dy: np.ndarray  # (B, O)
    y: np.ndarray  # (B, O)
    dweight: np.ndarray  # (I, O)
    dx: np.ndarray  # (B, I)


class Products(Contender):
    """``numpy.matmul`` into buffers made beforehand."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        sizes = {job.batch_size, job.samples % job.batch_size} - {0}
        self.operands = {size: make_operands(job.layers, size) for size in sizes}

    def train(self) -> float:
        for epoch in range(1, self.job.epochs + 1):
            for part in self.job.orders(epoch):
                operands = self.operands[part.shape[1]]
                for _ in part:
                    multiply(operands)
        return float("nan")

    def predict(self) -> np.ndarray:
        for start in range(0, self.job.samples, self.job.batch_size):
            rows = min(self.job.batch_size, self.job.samples - start)
            for layer in self.operands[rows]:
                np.matmul(layer.x, layer.weight, out=layer.y)
        return np.empty(0)


def make_operands(sizes: tuple[int, ...], rows: int) -> list[Operands]:
    """Draw small numbers of the shapes of one batch."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    return [
        Operands(
            *(
                draw(*shape)
                for shape in ((rows, n), (n, m), (rows, m), (rows, m), (n, m), (rows, n))
            )
        )
        for n, m in itertools.pairwise(sizes)
    ]


def multiply(layers: list[Operands]) -> None:
    """Make the products of one training step."""
    for layer in layers:
        np.matmul(layer.x, layer.weight, out=layer.y)
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        np.matmul(layer.x.T, layer.dy, out=layer.dweight)
        if index > 0:
            np.matmul(layer.dy, layer.weight.T, out=layer.dx)
