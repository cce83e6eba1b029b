"""The summary of all cells: mean ranks with bootstrap intervals, CPU time, wins, and a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from bench.results import Row, to_markdown

RESAMPLES, INTERVAL = 2000, (2.5, 97.5)  # percentiles
Found = dict[tuple[str, int], dict[str, Row]]  # (table, split) -> method -> the latest row


class Ranks(NamedTuple):
    """Mean rank of each method over the cells, with an interval."""

    mean: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    cells: int

    def text(self, method: str) -> str | None:
        """Return mean and interval as text."""
        if method not in self.mean:
            return None
        return f"{self.mean[method]:.1f} ({self.low[method]:.1f}–{self.high[method]:.1f})"


def write(rows: Sequence[Row], out: Path) -> None:
    """Write ``summary.md`` and ``ranks.png``, and print the summary."""
    if not rows:
        print("no cells")
        return
    found = arrange(rows)
    by_score = rank(found, "score", highest_first=True)
    by_loss = rank(found, "log_loss", highest_first=False)
    text = "\n".join(
        (
            heading(rows, by_score, by_loss),
            to_markdown(*ranking(found, by_score, by_loss)),
            "Wins by score of the row against the column, in percent of the cells (ties: half):\n",
            to_markdown(*wins(found, by_score)),
            "Mean score (accuracy, or R² for values) by table:\n",
            to_markdown(*by_table(found, by_score, "score")),
            "Mean log loss by table:\n",
            to_markdown(*by_table(found, by_score, "log_loss")),
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.md").write_text(text)
    draw(out / "ranks.png", found, {"score": by_score, "log loss": by_loss})
    print(text)


def arrange(rows: Sequence[Row]) -> Found:
    """Return the latest row of each cell and method."""
    found: Found = {}
    for row in rows:
        found.setdefault((row["table"], row["split"]), {})[row["method"]] = row
    return found


def rank(found: Found, measure: str, *, highest_first: bool) -> Ranks:
    """Rank the methods in each cell that all of them have; errors come last, equals share a rank.

    The interval is that of resampled tables, each with all its splits: whether another collection
    of tables would give the same order.
    """
    methods = sorted({name for of_cell in found.values() for name in of_cell})
    ranks: dict[str, list[np.ndarray]] = {}
    for (table, _), of_cell in found.items():
        measured = any(measure in row for row in of_cell.values())
        if measured and of_cell.keys() == set(methods):
            values = [of_cell[name].get(measure, math.nan) for name in methods]
            badness = np.nan_to_num(np.array(values) * (-1 if highest_first else 1), nan=math.inf)
            ranks.setdefault(table, []).append(rankdata(badness))
    if not ranks:
        return Ranks({}, {}, {}, 0)
    totals = np.array([np.sum(of_table, axis=0) for of_table in ranks.values()])
    counts = np.array([len(of_table) for of_table in ranks.values()])
    draws = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    resampled = totals[draws].sum(axis=1) / counts[draws].sum(axis=1)[:, None]
    low, high = np.percentile(resampled, INTERVAL, axis=0)
    mean = totals.sum(axis=0) / counts.sum()
    each = (dict(zip(methods, map(float, one), strict=True)) for one in (mean, low, high))
    return Ranks(*each, cells=int(counts.sum()))


def heading(rows: Sequence[Row], by_score: Ranks, by_loss: Ranks) -> str:
    """Describe the measurement."""
    about = next((row for row in rows if "processor" in row), {})
    return (
        f"Mean ranks over {by_score.cells} cells (table × split) by score and {by_loss.cells} by "
        f"log loss that all methods have, 1 is the best, with 95 % intervals over tables. At most "
        f"{max(row['most_rows'] for row in rows):,} training rows; one thread; "
        f"{about.get('processor')}, {about.get('cores')} cores.\n"
    )


def ranking(found: Found, by_score: Ranks, by_loss: Ranks) -> tuple[list[Row], list[str]]:
    """Return a row for each method, in order of rank, and the columns."""
    rows = []
    for method in order(by_score, found):
        ours = [of_cell[method] for of_cell in found.values() if method in of_cell]
        sound = [row for row in ours if "error" not in row]
        seconds = [row["fit_cpu_seconds"] for row in sound]
        predict = [row["predict_cpu_seconds"] / row["test_rows"] * 1e6 for row in sound]
        rows.append(
            {
                "method": method,
                "version": ours[-1]["version"],
                "rank by score": by_score.text(method),
                "rank by log loss": by_loss.text(method),
                "median CPU s of fit": round(statistics.median(seconds), 2) if sound else None,
                "longest": round(max(seconds), 1) if sound else None,
                "CPU ms to predict 1,000 rows": round(statistics.median(predict), 2)
                if sound
                else None,
                "cells": len(ours),
                "errors": len(ours) - len(sound),
            }
        )
    return rows, list(rows[0])


def order(ranks: Ranks, found: Found) -> list[str]:
    """Return the methods by mean rank."""
    methods = sorted({name for of_cell in found.values() for name in of_cell})
    return sorted(methods, key=lambda name: ranks.mean.get(name, math.inf))


def wins(found: Found, ranks: Ranks) -> tuple[list[Row], list[str]]:
    """Return how often the method of the row has a better score than that of the column."""
    methods = order(ranks, found)
    rows: list[Row] = []
    for ours in methods:
        row: Row = {"": ours}
        for theirs in methods:
            pairs = [
                (of_cell[ours]["score"], of_cell[theirs]["score"])
                for of_cell in found.values()
                if "score" in of_cell.get(ours, {}) and "score" in of_cell.get(theirs, {})
            ]
            won = [(a > b) + (a == b) / 2 for a, b in pairs]
            row[theirs] = round(100 * statistics.mean(won)) if won and ours != theirs else None
        rows.append(row)
    return rows, ["", *methods]


def by_table(found: Found, ranks: Ranks, measure: str) -> tuple[list[Row], list[str]]:
    """Return the mean of a measure over the splits of a table that all methods have."""
    methods = order(ranks, found)
    rows: list[Row] = []
    found = {cell: row for cell, row in found.items() if row.keys() == set(methods)}
    for table in sorted({table for table, _ in found}):
        row: Row = {"table": table}
        for method in methods:
            values = [
                of_cell[method][measure]
                for (name, _), of_cell in found.items()
                if name == table and measure in of_cell.get(method, {})
            ]
            row[method] = f"{statistics.mean(values):.4f}" if values else None
        if any(row[method] for method in methods):
            rows.append(row)
    return rows, ["table", *methods]


def draw(path: Path, found: Found, all_ranks: Mapping[str, Ranks]) -> None:
    """Draw the mean ranks against the median CPU time of a fit."""
    from matplotlib.figure import Figure

    shown = {name: ranks for name, ranks in all_ranks.items() if ranks.cells}
    if not shown:
        return
    figure = Figure(figsize=(6.5 * len(shown), 5.5), layout="constrained")
    for axes, (measure, ranks) in zip(
        np.ravel(figure.subplots(1, len(shown), squeeze=False)), shown.items(), strict=True
    ):
        draw_ranks(axes, measure, ranks, found)
    figure.savefig(path, dpi=110)


def draw_ranks(axes: Any, measure: str, ranks: Ranks, found: Found) -> None:
    """Draw one measure; anynet's methods are coloured."""
    for place, (method, mean) in enumerate(sorted(ranks.mean.items(), key=lambda one: one[1])):
        seconds = [
            of_cell[method]["fit_cpu_seconds"]
            for of_cell in found.values()
            if "fit_cpu_seconds" in of_cell.get(method, {})
        ]
        if not seconds:
            continue
        x = statistics.median(seconds)
        colour = "tab:red" if method.startswith("anynet") else "tab:gray"
        spread = [[mean - ranks.low[method]], [ranks.high[method] - mean]]
        axes.errorbar(x, mean, yerr=spread, fmt="o", color=colour, elinewidth=0.6, capsize=2)
        offset = (6, 4 if place % 2 else -11)  # above and below in turn: neighbours stay legible
        axes.annotate(method, (x, mean), xytext=offset, textcoords="offset points", fontsize=9)
    axes.margins(x=0.2)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("median CPU seconds of a fit")
    axes.set_ylabel(f"mean rank by {measure} (the best on top)")
    axes.set_title(f"{len(ranks.mean)} methods, {ranks.cells} cells", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
