"""What a contender is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from bench.jobs import Job


class Contender(ABC):
    """One library's way to do a job; made once, run once a round from the same weights.

    ``__init__`` places the data and compiles what can be compiled beforehand. A run ends when
    its result is on the host, so it is synchronised.
    """

    own_order: ClassVar[bool] = False
    """Whether the library shuffles by its own generator, so that losses agree roughly only."""

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
        """Return what the row should say besides the times."""
        return {"own_order": self.own_order}
