"""The best point of a study beside the others, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import stdtr, stdtrit

from anynet.inspect import holm
from anynet.study.results import Row
from anynet.study.summary import Summary, choose, deviation, mean

LEVEL = 0.95


class PointComparison(NamedTuple):
    """The test accuracy of the chosen point minus that of another one.

    Attributes
    ----------
    chosen, other : Summary
    difference : float
        The mean over the seeds that both have.
    low, high : float
        Its 95 % interval, by Student's t; NaN for a single seed.
    p : float
        Two-sided; NaN for a single seed.
    p_holm : float
        Adjusted for the number of other points by Holm's method.
    """

    chosen: Summary
    other: Summary
    difference: float
    low: float
    high: float
    p: float
    p_holm: float

    @property
    def decided(self) -> bool:
        """Whether the difference is more than chance: the adjusted p-value is below 0.05."""
        return self.p_holm < 1 - LEVEL


def summarise_rows(rows: Sequence[Row], studied: Sequence[str]) -> list[Summary]:
    """Collect the rows of each point, whose options are those that the study varies."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(repr([row.options.get(name) for name in studied]), []).append(row)
    return [
        Summary(
            {name: some[0].options.get(name) for name in studied},
            tuple(sorted(some, key=lambda row: row.seed)),
        )
        for some in found.values()
    ]


def compare_with_chosen(summaries: Sequence[Summary]) -> list[PointComparison]:
    """Compare the point with the best validation accuracy with each other one, by test accuracy.

    The choice does not use the test rows, so that it does not favour the chosen point.

    Returns
    -------
    list of PointComparison
        Of the points that have a seed in common with the chosen one, the best first.
    """
    chosen = choose(summaries)
    if chosen is None:
        return []
    best = chosen.by_seed(lambda row: row.test_accuracy)
    found = []
    for other in summaries:
        own = other.by_seed(lambda row: row.test_accuracy)
        differences = [best[seed] - own[seed] for seed in sorted(best.keys() & own.keys())]
        if other is not chosen and differences:
            found.append((other, *_student(differences)))
    found.sort(key=lambda each: each[1])
    tested = [at for at, each in enumerate(found) if not math.isnan(each[4])]
    adjusted = dict(zip(tested, holm([found[at][4] for at in tested]), strict=True))
    return [
        PointComparison(chosen, *each, adjusted.get(at, math.nan)) for at, each in enumerate(found)
    ]


def _student(differences: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the mean, its 95 % interval and the two-sided p-value."""
    n, middle, spread = len(differences), mean(differences), deviation(differences)
    if n < 2:
        return middle, math.nan, math.nan, math.nan
    if spread == 0:
        return middle, middle, middle, float(middle == 0)
    error = spread / n**0.5
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    return middle, middle - half, middle + half, float(2 * stdtr(n - 1, -abs(middle) / error))
