"""scikit-learn's rules of convergence and of the learning rate, applied between epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMALLEST_RATE = 1e-6
ADAPTIVE_DIVISOR = 5.0


@dataclass
class Patience:
    """Count the epochs without an improvement by at least ``tol``.

    Parameters
    ----------
    tol : float
    limit : int or inf
        Training has converged after more consecutive epochs than this.
    best : float
        The smallest loss, or the highest validation score, so far.
    waited : int
    rising : bool
        Whether a validation score is observed instead of a loss.
    nan_waits : bool
        Whether NaN counts as no improvement. In scikit-learn it resets the count, which matters
        for diverged training; a scorer of the user may return NaN in every epoch.
    """

    tol: float
    limit: float
    best: float
    waited: int = 0
    rising: bool = False
    nan_waits: bool = False

    def observe(self, figure: float) -> bool:
        """Record the figure of an epoch and return whether it is the best; NaN never is."""
        if self.rising:
            stuck, better = figure < self.best + self.tol, figure > self.best
        else:
            stuck, better = figure > self.best - self.tol, figure < self.best
        stuck = stuck or (self.nan_waits and math.isnan(figure))
        self.waited = self.waited + 1 if stuck else 0
        if better:
            self.best = figure
        return better

    @property
    def exhausted(self) -> bool:
        """Whether the limit is exceeded."""
        return self.waited > self.limit

    def describe(self) -> str:
        """Return why training ends; the text is scikit-learn's."""
        what = "Validation score" if self.rising else "Training loss"
        return (
            f"{what} did not improve more than tol={self.tol:f} "
            f"for {self.limit:.0f} consecutive epochs."
        )


@dataclass
class Rate:
    """The learning rate that the host sets between epochs.

    Parameters
    ----------
    rule : {"constant", "invscaling", "adaptive"}
    initial : float
    power : float
        The exponent of invscaling.
    current : float
    """

    rule: str
    initial: float
    power: float
    current: float

    def epoch_ended(self, samples_seen: int) -> None:
        """Set the rate of the next epoch from the number of samples seen by now."""
        if self.rule == "invscaling":
            self.current = self.initial / (samples_seen + 1) ** self.power

    def exhaust(self) -> str:
        """Lower the rate and return "", or return why training ends."""
        if self.rule != "adaptive":
            return " Stopping."
        if self.current <= SMALLEST_RATE:
            return " Learning rate too small. Stopping."
        self.current /= ADAPTIVE_DIVISOR
        return ""
