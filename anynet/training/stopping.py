"""When to stop, which epoch was best, and when to lower the learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from anynet.optim import ReduceOnPlateau
from anynet.training.history import StopReason


@dataclass
class EarlyStopping:
    """The report's rule: stop at a target score, or when the score no longer rises.

    Parameters
    ----------
    patience : int or None
        Stop when this many epochs in a row brought no new best; None never does.
    target : float or None
        Stop as soon as the score reaches it.
    min_delta : float
        Only a rise of more than this counts as a new best.
    """

    patience: int | None
    target: float | None
    min_delta: float
    best: float = float("-inf")
    waited: int = 0

    def observe(self, score: float) -> tuple[bool, tuple[StopReason, str] | None]:
        """Take in an epoch's validation score; return whether it is the best, and why to stop."""
        is_best = score > self.best + self.min_delta
        if is_best:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        if self.target is not None and score >= self.target:
            stop = StopReason.TARGET, f"validation score reached {self.target:g}"
            return is_best or score > self.best, stop
        if self.patience is not None and self.waited >= self.patience:
            text = f"validation score has not risen for {self.patience} epochs"
            return is_best, (StopReason.PATIENCE, text)
        return is_best, None


@dataclass
class Plateau:
    """Follows ``ReduceOnPlateau``: the factor by which the schedule is multiplied by now."""

    rule: ReduceOnPlateau
    factor: float = 1.0
    best: float = float("-inf")
    waited: int = 0

    def observe(self, score: float) -> float:
        """Take in an epoch's validation score and return the factor for the next epoch."""
        if score > self.best + self.rule.min_delta:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        if self.waited > self.rule.patience:
            self.factor, self.waited = self.factor * self.rule.factor, 0
        return self.factor
