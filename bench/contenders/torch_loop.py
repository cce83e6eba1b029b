"""torch: the ordinary loop, its step compiled, and its step as a CUDA graph.

The data are scaled beforehand and stay on the device, the loss is summed there, and the host
reads it once per epoch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from bench.contenders.base import Contender
from bench.jobs import Job, Layers


def sequential(layers: Layers) -> torch.nn.Sequential:
    """Return linear layers with ReLU in between, with the given weights."""
    modules: list[torch.nn.Module] = []
    for weight, bias in layers:
        linear = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T.copy()))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


class Eager(Contender):
    """Autograd, ``nn.Sequential`` and ``optim.SGD``."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.x = torch.from_numpy(data.scaled()).to(device)
        self.y = torch.from_numpy(data.y.astype(np.int64)).to(device)
        self.network = sequential(job.initial()).to(device)
        self.initial = [parameter.detach().clone() for parameter in self.network.parameters()]
        self.forward = self.network
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=job.learning_rate)

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        """Train on one batch; return the sum of its losses."""
        self.optimizer.zero_grad()
        loss = cross_entropy(self.network(self.x[rows]), self.y[rows])
        loss.backward()
        self.optimizer.step()
        return loss.detach() * len(rows)

    def reset(self) -> None:
        """Restore the job's initial weights."""
        with torch.no_grad():
            for parameter, initial in zip(self.network.parameters(), self.initial, strict=True):
                parameter.copy_(initial)

    def train(self) -> float:
        self.reset()
        mean = float("nan")
        for epoch in range(1, self.job.epochs + 1):
            total = torch.zeros((), device=self.device)
            for part in self.job.orders(epoch):
                for rows in torch.from_numpy(part).to(self.device):
                    total += self.step(rows)
            mean = total.item() / self.job.samples
        return mean

    def predict(self) -> np.ndarray:
        with torch.inference_mode():
            parts = [self.forward(x).argmax(dim=1) for x in self.x.split(self.job.batch_size)]
            classes: np.ndarray = torch.cat(parts).cpu().numpy()
        return classes


class Compiled(Eager):
    """``torch.compile`` of that step, compiled for each of its two batch shapes."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        self.step = torch.compile(super().step, dynamic=False)
        self.forward = torch.compile(self.network, dynamic=False)


class Graph(Eager):
    """That step captured as a CUDA graph for each batch shape, and replayed."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        self.total = torch.zeros((), device=device)
        sizes = {job.batch_size, job.samples % job.batch_size} - {0}
        self.graphs = {size: self.capture(size) for size in sizes}

    def capture(self, size: int) -> tuple[torch.Tensor, torch.cuda.CUDAGraph]:
        """Return the input rows of a graph and the graph, captured after warm-up steps."""
        rows = torch.arange(size, device=self.device)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step(rows)
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad()  # so that the gradients use the graph's own memory
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.total += self.step(rows)
        return rows, graph

    def train(self) -> float:
        self.reset()
        mean = float("nan")
        for epoch in range(1, self.job.epochs + 1):
            self.total.zero_()
            for part in self.job.orders(epoch):
                rows, graph = self.graphs[part.shape[1]]
                for batch in torch.from_numpy(part).to(self.device):
                    rows.copy_(batch)
                    graph.replay()
            mean = self.total.item() / self.job.samples
        return mean
