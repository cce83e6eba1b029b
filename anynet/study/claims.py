"""The conclusions of the original report, compared with the results of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from anynet.study.results import Row
from anynet.study.summary import Summary, choose, decimals, deviation, mean

Found = Mapping[str, Sequence[Summary]]

#: The numbers of the report by experiment and point.
REPORTED: dict[str, dict[Any, str]] = {
    "depth": {((64,),): "about 0.985", ((256, 128, 64),): "0.987"},
    "width": {
        ((128, 64),): "0.9898 in 29.02 s",
        ((512, 64),): "0.9906 in 109.03 s",
        ((512, 128),): "0.99 in 116.01 s",
        ((512, 256),): "0.991 in 139.73 s",
    },
}

AGREES, DISAGREES, OPEN = "agrees", "disagrees", "inconclusive"


@dataclass(frozen=True)
class Claim:
    """A conclusion of the report, the measurement of it, and the verdict."""

    reported: str
    measured: str
    verdict: str = ""


class Figure(NamedTuple):
    """A figure of a run that conclusions compare, and its name."""

    name: str
    of: Callable[[Row], float | None]


@dataclass(frozen=True)
class Comparison:
    """The conclusion that a figure is larger at one value of an experiment than at another."""

    reported: str
    experiment: str
    more: Any
    less: Any
    figure: Figure

    def judge(self, found: Found) -> Claim:
        """Compare the runs with the same seeds."""
        summaries = [_runs(found[self.experiment], value) for value in (self.more, self.less)]
        more, less = (summary.by_seed(self.figure.of) for summary in summaries)
        seeds = sorted(more.keys() & less.keys())
        if not seeds:
            return Claim(self.reported, "no runs to compare", OPEN)
        difference = [more[seed] - less[seed] for seed in seeds]
        averages = [mean([some[seed] for seed in seeds]) for some in (more, less)]
        timed = self.figure is SECONDS
        digits = decimals(max(averages)) if timed else 4
        measured = (
            f"{self.figure.name} {averages[0]:.{digits}f} against {averages[1]:.{digits}f}: "
            f"difference {mean(difference):+.{digits}f}"
        )
        if timed and not all(summary.timed_alone for summary in summaries):
            return Claim(self.reported, f"{measured}, timed together", OPEN)
        if len(seeds) > 1:
            measured += f" ± {deviation(difference):.{digits}f}"
        return Claim(self.reported, measured, verdict(difference))


def largest_drop(row: Row) -> float | None:
    """Return the largest fall of validation accuracy between epochs; 1 if the run diverged."""
    if row.diverged:
        return 1.0
    return float(max(0.0, *(-np.diff(row.curve)))) if len(row.curve) > 1 else None


ACCURACY = Figure("accuracy", lambda row: row.validation_accuracy)
SECONDS = Figure("seconds per epoch", lambda row: row.seconds / max(row.epochs_run, 1))
DROP = Figure("largest decrease of accuracy between epochs (1 if diverged)", largest_drop)

DEEP, SHALLOW, WIDE, NARROW = (256, 128, 64), (64,), (512, 256), (128, 64)

COMPARISONS = (
    Comparison(
        "Three hidden layers reach 0.987, one about 0.985", "depth", DEEP, SHALLOW, ACCURACY
    ),
    Comparison("Depth costs time", "depth", DEEP, SHALLOW, SECONDS),
    Comparison(
        "Width helps a little: 0.991 for 512,256 and 0.9898 for 128,64",
        "width",
        WIDE,
        NARROW,
        ACCURACY,
    ),
    Comparison(
        "Width costs time: 139.73 s for 512,256 and 29.02 s for 128,64, 15 epochs each",
        "width",
        WIDE,
        NARROW,
        SECONDS,
    ),
    Comparison(
        "A learning rate of 0.1 is better than a small one, 0.01",
        "learning-rate",
        0.1,
        0.01,
        ACCURACY,
    ),
    Comparison("Training is unstable from 0.6 (0.6 against 0.1)", "learning-rate", 0.6, 0.1, DROP),
    Comparison("Training is unstable above 0.6 (1 against 0.1)", "learning-rate", 1.0, 0.1, DROP),
    Comparison("Mini-batches regularise (32 against 256)", "batch-size", 32, 256, ACCURACY),
    Comparison("Decay helps (0.95 against none)", "decay", 0.95, 1.0, ACCURACY),
)


def judge(found: Found, epochs: int) -> list[Claim]:
    """Compare all conclusions of the report with the measurements.

    Parameters
    ----------
    found : dict of str to sequence of Summary
        The summaries of the five experiments, with the values of the report.
    epochs : int
        Maximum number of epochs of a run.
    """
    claims = [comparison.judge(found) for comparison in COMPARISONS]
    rows = {row.key: row for some in found.values() for each in some for row in each.rows}
    early = sum(row.epochs_run < epochs and not row.diverged for row in rows.values())
    best = mean([row.best_epoch for row in rows.values()])
    claims.append(
        Claim(
            "Early stopping by patience saves epochs",
            f"{early} of {len(rows)} runs ended before epoch {epochs}; "
            f"the best epoch was {best:.1f} on average",
        )
    )
    claims.append(_validation_claim(found))
    claims.append(Claim("Kaiming initialisation goes with ReLU", "not varied: every run uses both"))
    return claims


def _validation_claim(found: Found) -> Claim:
    """Compare validation and test accuracy of the chosen points."""
    chosen = [choice for some in found.values() if (choice := choose(some)) is not None]
    gaps = [
        mean(choice.values("validation_accuracy")) - mean(choice.values("test_accuracy"))
        for choice in chosen
    ]
    return Claim(
        "A validation set is worth having",
        f"validation accuracy of the selected points minus test accuracy: {mean(gaps):+.4f}"
        if gaps
        else "no point was selected",
    )


def verdict(differences: Sequence[float]) -> str:
    """Return whether a mean difference is above zero, by its 95 % confidence interval."""
    n = len(differences)
    if n < 2:
        return OPEN
    half = float(stdtrit(n - 1, 0.975)) * deviation(differences) / n**0.5
    middle = mean(differences)
    if middle > half:
        return AGREES
    return DISAGREES if middle < -half else OPEN


def _runs(summaries: Sequence[Summary], value: Any) -> Summary:
    return next(summary for summary in summaries if value in summary.point.values())
