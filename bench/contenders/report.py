"""The report's algorithm in float64, from ``bench/report_algorithm.py``."""

from __future__ import annotations

import numpy as np

from bench import report_algorithm
from bench.contenders.base import OWN_ORDER, Contender
from bench.jobs import Job


class Report(Contender):
    """The report's algorithm: scaled data, copied into the order of each epoch, as described."""

    tolerance = OWN_ORDER  # the report's short batch comes last

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.x = data.scaled(np.float64)
        self.one_hot = np.eye(job.layers[-1])[data.y]
        self.initial = [
            (weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in job.initial()
        ]

    def train(self) -> float:
        layers, loss = self.initial, float("nan")
        for epoch in range(1, self.job.epochs + 1):
            order = report_order(self.job, epoch)
            layers, loss = report_algorithm.train_epoch(
                layers, self.x, self.one_hot, order, self.job.learning_rate, self.job.batch_size
            )
        return loss

    def predict(self) -> np.ndarray:
        return report_algorithm.predict(self.initial, self.x)


def report_order(job: Job, epoch: int) -> np.ndarray:
    """Return the samples of an epoch in the job's order, the short batch last."""
    return np.concatenate([part.ravel() for part in job.orders(epoch)[::-1]])
