"""The base class of all contenders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from bench.jobs import Job

SAME_ORDER = 0.002
OWN_ORDER = 0.1  # for a library that shuffles with its own generator


class Contender(ABC):
    """Implementation of a job with one library; made once, run each round from equal weights.

    ``__init__`` places the data and compiles what can be compiled beforehand. A run ends when
    its result is on the host, so it is synchronised.
    """

    tolerance: float = SAME_ORDER
    """By how much, relatively, its loss may differ from the reference's."""

    def __init__(self, job: Job, device: str) -> None:
        self.job = job
        self.device = device

    def run(self) -> float | np.ndarray:
        """Return the mean training loss of the last epoch, or the predicted classes."""
        return self.train() if self.job.kind == "train" else self.predict()

    @abstractmethod
    def train(self) -> float:
        """Train from the job's initial weights; return the mean loss of the last epoch."""

    @abstractmethod
    def predict(self) -> np.ndarray:
        """Return the classes of all samples under the job's initial weights, (N,)."""

    def notes(self) -> dict[str, Any]:
        """Return the fields of the result row besides the times."""
        return {"tolerance": self.tolerance}
