"""A handwritten NumPy loop in float32, optimised for one network."""

from __future__ import annotations

import numpy as np

from bench.contenders.base import Contender
from bench.jobs import Job


class Loop(Contender):
    """A loop that allocates every array of a step once and writes results into it."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.x, self.y = data.scaled(), data.y
        self.initial = job.initial()
        sizes = {job.batch_size, job.samples % job.batch_size} - {0}
        widths = job.layers
        self.buffers = {
            size: [np.empty((size, width), np.float32) for width in widths] for size in sizes
        }
        self.deltas = {
            size: [np.empty((size, width), np.float32) for width in widths] for size in sizes
        }
        self.grads = [np.empty_like(weight) for weight, _ in self.initial]

    def forward(self, x: np.ndarray, weights: list, biases: list) -> list[np.ndarray]:
        """Return x, the hidden outputs and the logits."""
        outputs = [x, *self.buffers[len(x)][1:]]
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            out = outputs[index + 1]
            np.matmul(outputs[index], weight, out=out)
            out += bias
            if index < len(weights) - 1:
                np.maximum(out, 0, out=out)
        return outputs

    def step(self, rows: np.ndarray, weights: list, biases: list) -> float:
        """Train on one batch in place; return the sum of its losses."""
        x = np.take(self.x, rows, axis=0, out=self.buffers[len(rows)][0])
        outputs, deltas = self.forward(x, weights, biases), self.deltas[len(rows)]
        delta, chosen = outputs[-1], (np.arange(len(rows)), self.y[rows])
        delta -= delta.max(axis=1, keepdims=True)
        np.exp(delta, out=delta)
        delta /= delta.sum(axis=1, keepdims=True)
        loss = -float(np.log(delta[chosen]).sum())
        delta[chosen] -= 1
        delta *= self.job.learning_rate / len(rows)
        for index in range(len(weights) - 1, -1, -1):
            grad = np.matmul(outputs[index].T, delta, out=self.grads[index])
            if index > 0:
                below = np.matmul(delta, weights[index].T, out=deltas[index])
                below *= outputs[index] > 0
            weights[index] -= grad
            biases[index] -= delta.sum(axis=0)
            if index > 0:
                delta = below
        return loss

    def train(self) -> float:
        weights = [weight.copy() for weight, _ in self.initial]
        biases = [bias.copy() for _, bias in self.initial]
        total = float("nan")
        for epoch in range(1, self.job.epochs + 1):
            total = 0.0
            for part in self.job.orders(epoch):
                for rows in part:
                    total += self.step(rows, weights, biases)
        return total / self.job.samples

    def predict(self) -> np.ndarray:
        weights, biases = zip(*self.initial, strict=True)
        size = self.job.batch_size
        parts = []
        for start in range(0, self.job.samples, size):
            logits = self.forward(self.x[start : start + size], weights, biases)[-1]
            parts.append(logits.argmax(axis=1))
        return np.concatenate(parts)
