"""Early stopping, the best epoch, and reducing the learning rate on a plateau."""

from __future__ import annotations

from dataclasses import dataclass

from anynet.optim import ReduceOnPlateau
from anynet.training.history import StopReason


@dataclass
class EarlyStopping:
    """Stop at a target score, or when the score stops rising; the rule of the report.

    Parameters
    ----------
    patience : int or None
        Number of consecutive epochs without a new best score after which training stops.
    target : float or None
        Score at which training stops.
    min_delta : float
        Minimum rise that counts as a new best score.
    best : float
        Best score so far.
    waited : int
        Number of epochs since the best score.
    """

    patience: int | None
    target: float | None
    min_delta: float
    best: float = float("-inf")
    waited: int = 0

    def observe(self, score: float) -> tuple[bool, tuple[StopReason, str] | None]:
        """Record the validation score of an epoch.

        Parameters
        ----------
        score : float

        Returns
        -------
        bool
            Whether it is the best so far.
        tuple of StopReason and str, or None
            Why training stops; None if it continues.
        """
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
    """The factor by which ``ReduceOnPlateau`` currently multiplies the learning rate.

    Parameters
    ----------
    rule : ReduceOnPlateau
    factor : float
    best : float
        Best score so far.
    waited : int
        Number of epochs since the best score, or since the last reduction.
    """

    rule: ReduceOnPlateau
    factor: float = 1.0
    best: float = float("-inf")
    waited: int = 0

    def observe(self, score: float) -> float:
        """Record the validation score of an epoch and return the factor for the next epoch."""
        if score > self.best + self.rule.min_delta:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        if self.waited > self.rule.patience:
            self.factor, self.waited = self.factor * self.rule.factor, 0
        return self.factor
