"""Statistics over the seeds of each point, and the choice of a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.space import Point
from anynet.study.grid import Experiment
from anynet.study.results import Row


@dataclass(frozen=True)
class Plan:
    """An experiment, and all options of each of its points, as the rows record them."""

    experiment: Experiment
    options: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Summary:
    """The runs of one point, ordered by seed."""

    point: Point
    rows: tuple[Row, ...]

    @property
    def eligible(self) -> bool:
        """Whether the point may be chosen: all of its runs finished an epoch."""
        return bool(self.rows) and all(row.validation_accuracy is not None for row in self.rows)

    @property
    def diverged(self) -> int:
        """Number of runs that diverged."""
        return sum(row.diverged for row in self.rows)

    @property
    def timed_alone(self) -> bool:
        """Whether the seconds of each run are a measurement of that run alone."""
        return all(row.timed_alone for row in self.rows)

    def values(self, figure: str) -> list[float]:
        """Return a figure of the runs that have it."""
        found = (getattr(row, figure) for row in self.rows)
        return [value for value in found if value is not None]

    def by_seed(self, figure: Callable[[Row], float | None]) -> dict[int, float]:
        """Return a figure of the runs that have it, by their seeds."""
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
    """Return the point with the best mean validation accuracy, the first of equal ones.

    Returns
    -------
    Summary or None
        None if no point is eligible.
    """
    eligible = [summary for summary in summaries if summary.eligible]
    if not eligible:
        return None
    return max(eligible, key=lambda summary: mean(summary.values("validation_accuracy")))


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN without values."""
    return float(np.mean(values)) if len(values) else float("nan")


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation, with divisor n − 1; 0 of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def decimals(value: float) -> int:
    """Return the number of decimals that show three significant digits of a positive number."""
    return max(0, 2 - math.floor(math.log10(value))) if 0 < value < math.inf else 2


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Write mean ± standard deviation, or the mean alone of a single value."""
    if not values:
        return "–"
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {deviation(values):.{digits}f}" if len(values) > 1 else text
