"""The pictures of ``anynet compare`` and ``anynet explain``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from anynet.study.plots import LOOKS, add_grid, in_own_style, plain_text, write

METRICS = {"accuracy": "accuracy", "r2": "R²", "score": "score"}

#: Length of the names of runs, which are in a legend.
MOST_NAME_LETTERS = 40


@in_own_style
def save_learning_curves(
    path: Path, curves: Mapping[str, Mapping[str, Sequence[float | None]]], title: str
) -> None:
    """Draw the losses and scores of runs against the epoch, of validation rows if there are any.

    Parameters
    ----------
    path : Path
        A PNG file.
    curves : mapping of str to mapping
        The columns of the history of each run. Those of more than eight runs are the first eight.
    title : str
    """
    found = {name: columns for name, columns in curves.items() if columns}
    if len(found) > len(LOOKS):
        title += f": the first {len(LOOKS)}"
    metrics = {
        name.rpartition("_")[2]
        for columns in found.values()
        for name in columns
        if name.startswith("train_") and name != "train_loss"
    }
    panels = ["loss", *sorted(metrics & METRICS.keys())]
    figure = Figure(figsize=(4.6 * len(panels), 4.2), layout="constrained")
    for axes, figure_name in zip(
        np.atleast_1d(np.asarray(figure.subplots(1, len(panels)))), panels, strict=True
    ):
        ends = []
        for (name, columns), look in zip(found.items(), LOOKS, strict=False):
            part, values = _validated(columns, figure_name)
            if not values:
                continue
            heights = [np.nan if value is None else value for value in values]
            epochs = range(1, len(values) + 1)
            label = plain_text(name, MOST_NAME_LETTERS)
            label += "" if part == "validation" else " (training rows)"
            how: dict[str, Any] = {"color": look.color, "linestyle": look.line}
            axes.plot(epochs, heights, marker=look.marker, markersize=3.5, label=label, **how)
            ends.append(heights)
        _limit(axes, ends, lower=figure_name != "loss")
        axes.set_title(METRICS.get(figure_name, figure_name), loc="left", fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        add_grid(axes)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    how = {"loc": "outside lower center", "frameon": False, "fontsize": 9}
    figure.legend(handles, labels, ncols=min(3, max(1, len(labels))), **how)
    figure.suptitle(plain_text(f"{title}, validation rows"), fontsize=11)
    write(figure, path)


def _validated(
    columns: Mapping[str, Sequence[float | None]], figure: str
) -> tuple[str, Sequence[float | None]]:
    """Return the curve of the validation rows if there is one, else of the training rows."""
    for part in ("validation", "train"):
        values = columns.get(f"{part}_{figure}", [])
        if any(value is not None for value in values):
            return part, values
    return "", []


def _limit(axes: Any, curves: Sequence[Sequence[float]], *, lower: bool) -> None:
    """Leave out the first epochs where they are far from all later ones, which would be flat."""
    later = [value for curve in curves for value in curve[len(curve) // 4 :] if np.isfinite(value)]
    if not later:
        return
    low, high = min(later), max(later)
    margin = 0.08 * (high - low) or 0.01
    if lower:
        axes.set_ylim(bottom=low - margin)
    else:
        axes.set_ylim(bottom=max(0.0, low - margin), top=high + margin)
