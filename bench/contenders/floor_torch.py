"""The floor in torch on CUDA: the products in a captured graph, to reduce launch costs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from bench.contenders.floor import Products
from bench.jobs import Job

UNROLLED = 16  # steps per launch


class GraphProducts(Products):
    """Products in full float32 (torch's default: no TF32), replayed."""

    matmul = staticmethod(torch.matmul)

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        products = super().repeat
        self.graphs = {
            (rows, steps): capture(functools.partial(products, rows, steps))
            for rows in self.operands
            for steps in (1, UNROLLED)
        }

    def place(self, array: np.ndarray) -> Any:
        return torch.from_numpy(array).to(self.device)

    def repeat(self, rows: int, steps: int) -> None:
        for _ in range(steps // UNROLLED):
            self.graphs[rows, UNROLLED].replay()
        for _ in range(steps % UNROLLED):
            self.graphs[rows, 1].replay()

    def synchronize(self) -> None:
        torch.cuda.synchronize()


def capture(action: Any) -> torch.cuda.CUDAGraph:
    """Return a graph of ``action``, captured after one run on a separate stream."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        action()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        action()
    return graph
