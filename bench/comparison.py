"""Results of the rounds of ``bench.peers``: one row per contender, and checks of equal work."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from bench.contenders import FLOOR
from bench.jobs import Job
from bench.results import Chart, Row
from bench.rounds import Measurement

SAME_CLASSES = 0.999  # fraction of predictions that must agree
COLUMNS = (
    "contender",
    "us_per_step",
    "seconds_per_epoch",
    "fastest",
    "slowest",
    "ratio_to_anynet",
    "ratio_to_floor",
    "train_loss",
    "agrees",
    "warm_up_seconds",
)


def make_rows(job: Job, found: Sequence[Measurement]) -> list[Row]:
    """Return one row per contender that completed, fastest first.

    Ratios are of medians, relative to the first anynet contender and to the fastest floor.
    """
    found = [one for one in found if not one.failure]
    medians = {one.name: statistics.median(one.seconds) / job.epochs for one in found}
    anynet = next((one for one in found if one.name.startswith("anynet")), None)
    floor = min((medians[name] for name in medians if name.startswith(FLOOR)), default=None)
    rows = []
    for one in found:
        seconds, median = [value / job.epochs for value in one.seconds], medians[one.name]
        row = {
            "contender": one.name,
            "us_per_step": round(median / job.steps_per_epoch * 1e6, 2),
            "seconds_per_epoch": round(median, 6),
            "fastest": round(min(seconds), 6),
            "slowest": round(max(seconds), 6),
            "reference": anynet and anynet.name,
            "ratio_to_anynet": anynet and round(median / medians[anynet.name], 3),
            "ratio_to_floor": floor and round(median / floor, 3),
            **compare(one, anynet),
            "warm_up_seconds": round(one.warm_up, 2),
            "rounds": len(seconds),
            "round_seconds": [round(value, 6) for value in one.seconds],
            "cores_used": round(cores_used(one), 2),
            "asleep_cpu_seconds": round(max(t.asleep_cpu_seconds for t in one.timings), 4),
            **one.notes,
        }
        rows.append(row)
    return sorted(rows, key=lambda row: row["seconds_per_epoch"])


def cores_used(measurement: Measurement) -> float:
    """Return the CPU seconds per second of the run."""
    return sum(timing.cpu_seconds for timing in measurement.timings) / sum(measurement.seconds)


def compare(one: Measurement, reference: Measurement | None) -> Row:
    """Return the result of a contender, and whether it agrees with the reference."""
    row: Row = {"train_loss": None, "agrees": None}
    if one.name.startswith(FLOOR):
        return row
    if isinstance(one.outcome, np.ndarray):
        if reference is not None:
            share = float(np.mean(one.outcome == reference.outcome))
            row |= {"same_classes": round(share, 6), "agrees": share >= SAME_CLASSES}
        return row
    row["train_loss"] = round(one.outcome, 6)
    if reference is not None:
        difference = abs(one.outcome - reference.outcome) / abs(reference.outcome)
        agrees = bool(difference <= one.notes["tolerance"])
        row |= {"loss_difference": round(difference, 6), "agrees": agrees}
    return row


def make_chart(rows: Sequence[Row], title: str) -> Chart:
    """Return seconds per epoch as bars, with separate colours for anynet and the floor."""
    return Chart(
        title=title,
        axis="seconds per epoch (median, with the fastest and slowest round)",
        names=[row["contender"] for row in rows],
        colours=[colour(row["contender"]) for row in rows],
        median=[row["seconds_per_epoch"] for row in rows],
        low=[row["fastest"] for row in rows],
        high=[row["slowest"] for row in rows],
        labels=[label(row) for row in rows],
    )


def colour(name: str) -> str:
    """Return the colour of a contender's bar."""
    if name.startswith("anynet"):
        return "tab:blue"
    return "0.35" if name.startswith(FLOOR) else "0.7"


def label(row: Row) -> str:
    """Return the label beside a contender's bar."""
    steps = f"{time_of(row)} µs a step"
    if row["reference"] is None:
        return steps
    return f"{steps}, {row['ratio_to_anynet']:.2f} × {row['reference']}"


def time_of(row: Row) -> str:
    """Return the microseconds per step, to about four digits."""
    value = row["us_per_step"]
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"
