"""Benchmark results as JSON lines, as a Markdown table, and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]


class Chart(NamedTuple):
    """A bar chart: a title, and name, colour, length, spread and label of each row."""

    title: str
    axis: str
    names: list[str]
    colours: list[str]
    median: list[float]
    low: list[float]
    high: list[float]
    labels: list[str]


def to_markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Format selected columns of rows as a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(name)) for name in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(value: Any) -> str:
    """Format one cell; unknown values are empty."""
    return "" if value is None else " ".join(str(value).split()).replace("|", "\\|")


def write_lines(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def append_line(path: Path, row: Row) -> None:
    """Append a row to a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def read_lines(path: Path) -> list[Row]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def draw(path: Path, charts: Sequence[Chart]) -> None:
    """Draw charts below each other."""
    from matplotlib.figure import Figure

    heights = [len(chart.names) + 2.5 for chart in charts]
    figure = Figure(figsize=(10, 0.36 * sum(heights)), layout="constrained")
    every = figure.subplots(len(charts), squeeze=False, height_ratios=heights)[:, 0]
    for axes, chart in zip(every, charts, strict=True):
        draw_bars(axes, chart)
    figure.savefig(path, dpi=120)


def draw_bars(axes: Any, chart: Chart) -> None:
    """Draw one chart, the first row on top."""
    below = [median - low for median, low in zip(chart.median, chart.low, strict=True)]
    above = [high - median for median, high in zip(chart.median, chart.high, strict=True)]
    axes.barh(chart.names, chart.median, xerr=[below, above], color=chart.colours, capsize=3)
    for index, (end, label) in enumerate(zip(chart.high, chart.labels, strict=True)):
        axes.text(end, index, f"  {label}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(chart.high) * 1.55)
    axes.set_xlabel(chart.axis)
    axes.set_title(chart.title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
