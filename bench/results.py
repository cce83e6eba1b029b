"""Rows of a bench as JSON lines, as a Markdown table, and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def to_markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Format some columns of rows as a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(text(row.get(name)) for name in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def text(value: Any) -> str:
    """Format one cell."""
    if value is None:
        return ""
    return " ".join(str(value).split()).replace("|", "\\|")


def write_lines(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def draw_bars(
    path: Path,
    rows: Sequence[Row],
    labels: Sequence[str],
    *,
    columns: tuple[str, str, str],
    axis: str,
    title: str,
    colours: Sequence[str],
) -> None:
    """Draw rows as bars.

    Parameters
    ----------
    path : Path
    rows : sequence of dict
        Each with the key "contender".
    labels : sequence of str
        What stands beside each bar.
    columns : (str, str, str)
        The keys of the length of a bar, and of both ends of its spread.
    axis, title : str
    colours : sequence of str
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.42 * len(rows) + 1.6), layout="constrained")
    axes = figure.subplots()
    median, low, high = ([row[column] for row in rows] for column in columns)
    spread = (
        [middle - end for middle, end in zip(median, low, strict=True)],
        [end - middle for middle, end in zip(median, high, strict=True)],
    )
    names = [row["contender"] for row in rows]
    axes.barh(names, median, xerr=spread, color=list(colours), capsize=3)
    for index, (end, label) in enumerate(zip(high, labels, strict=True)):
        axes.text(end, index, f"  {label}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(high) * 1.45)
    axes.set_xlabel(axis)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
