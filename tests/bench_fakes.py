"""Fake contenders for the tests of the bench's worker processes."""

from __future__ import annotations

import os
from typing import Any


class Steady:
    """Always reach the same loss."""

    loss = 2.0

    def __init__(self, job: Any, device: str) -> None:
        self.job, self.device = job, device

    def run(self) -> float:
        return self.loss

    def notes(self) -> dict[str, Any]:
        return {"tolerance": 0.01}


class Idle(Steady):
    """Skip work."""

    loss = 2.3


class Broken(Steady):
    """Fail in the second run."""

    runs = 0

    def run(self) -> float:
        self.runs += 1
        if self.runs > 1:
            message = "out of order"
            raise ValueError(message)
        return self.loss


class Dying(Steady):
    """Terminate the process."""

    def run(self) -> float:
        os._exit(3)
