"""What the seeds of a point say together, and which point is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.study.experiments import Experiment
from anynet.study.grid import Point
from anynet.study.rows import Row


@dataclass(frozen=True)
class Plan:
    """An experiment, and for each of its points all the options that its rows record."""

    experiment: Experiment
    options: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Summary:
    """The runs of one point, ordered by seed."""

    point: Point
    rows: tuple[Row, ...]

    @property
    def eligible(self) -> bool:
        """Whether it may be chosen: every run of it finished an epoch at least."""
        return bool(self.rows) and all(row.validation_accuracy is not None for row in self.rows)

    @property
    def diverged(self) -> int:
        """How many of its runs diverged."""
        return sum(row.diverged for row in self.rows)

    @property
    def timed_alone(self) -> bool:
        """Whether the seconds of its runs are measurements of their own, so that they vary."""
        return all(row.timed_alone for row in self.rows)

    def values(self, figure: str) -> list[float]:
        """Return a figure of each run that has it."""
        found = (getattr(row, figure) for row in self.rows)
        return [value for value in found if value is not None]

    def by_seed(self, figure: Callable[[Row], float | None]) -> dict[int, float]:
        """Return a figure of each run that has it, by its seed."""
        found = {row.seed: figure(row) for row in self.rows}
        return {seed: value for seed, value in found.items() if value is not None}


def summarise(plan: Plan, rows: Iterable[Row]) -> list[Summary]:
    """Collect the rows of each point of a plan."""
    rows = sorted(rows, key=lambda row: row.seed)
    return [
        Summary(point, tuple(row for row in rows if row.options == options))
        for point, options in zip(plan.experiment.points, plan.options, strict=True)
    ]


def choose(summaries: Iterable[Summary]) -> Summary | None:
    """Return the point with the best mean validation accuracy, the first of equals.

    The test rows have no say. None where no point is eligible.
    """
    eligible = [summary for summary in summaries if summary.eligible]
    if not eligible:
        return None
    return max(eligible, key=lambda summary: mean(summary.values("validation_accuracy")))


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of the population that `values` are a sample of.

    It divides by n − 1; a single value has none, which is 0 here.
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def decimals(value: float) -> int:
    """Return how many decimals show three digits of a positive number; two at most if it is 1."""
    return max(0, 2 - math.floor(math.log10(value))) if 0 < value < math.inf else 2


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Write mean ± standard deviation; the mean alone of a single value."""
    if not values:
        return "–"
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {deviation(values):.{digits}f}" if len(values) > 1 else text
