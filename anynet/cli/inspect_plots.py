"""The pictures of ``anynet compare`` and ``anynet explain``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from anynet.inspect import Importance, PartialDependence
from anynet.study.plots import (
    ACCENT,
    LOOKS,
    MUTED,
    OUTSIDE,
    add_grid,
    in_own_style,
    plain_text,
    write,
)

METRICS = {"accuracy": "accuracy", "r2": "R²", "score": "score"}

#: Length of the names of runs, which are in a legend.
MOST_NAME_LETTERS = 40

#: Columns of which more are not drawn, and rows that are drawn as single lines.
MOST_BARS, MOST_ROWS = 30, 60


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
        complete = _limit(axes, ends, lower=figure_name != "loss")
        axes.set_title(METRICS.get(figure_name, figure_name), loc="left", fontsize=10)
        axes.set_xlabel("epoch" if complete else f"epoch\n{OUTSIDE}")
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


def _limit(axes: Any, curves: Sequence[Sequence[float]], *, lower: bool) -> bool:
    """Leave out the first epochs where they are far from all later ones, which would be flat.

    Return whether nothing is left out. Scores are 1 at most.
    """
    later = [value for curve in curves for value in curve[len(curve) // 4 :] if np.isfinite(value)]
    if not later:
        return True
    low, high = min(later), max(later)
    margin = 0.08 * (high - low) or 0.01
    if lower:
        bottom = low - margin
        axes.set_ylim(bottom=bottom, top=min(axes.get_ylim()[1], 1 + 0.02 * (1 - bottom)))
    else:
        axes.set_ylim(bottom=max(0.0, low - margin), top=high + margin)
    bottom, top = axes.get_ylim()
    return all(bottom <= value <= top for curve in curves for value in curve if np.isfinite(value))


@in_own_style
def save_importance(path: Path, found: Importance, description: str) -> None:
    """Draw the importance of columns as bars, with mean ± 2 standard deviations of the repeats.

    Parameters
    ----------
    path : Path
        A PNG file.
    found : Importance
        Of more than MOST_BARS columns, the most important are drawn.
    description : str
        What the rows are.
    """
    order = found.order[:MOST_BARS]
    heights = np.arange(len(order))[::-1]
    figure = Figure(figsize=(7.5, 1.5 + 0.3 * len(order)), layout="constrained")
    axes: Any = figure.subplots()
    half = found.interval[order, 1] - found.mean[order]
    how: dict[str, Any] = {"ecolor": MUTED, "capsize": 3, "error_kw": {"elinewidth": 1}}
    axes.barh(heights, found.mean[order], xerr=half, color=ACCENT, height=0.7, **how)
    names = [plain_text(found.columns[at], MOST_NAME_LETTERS) for at in order]
    axes.set_yticks(heights, names, fontsize=9)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    add_grid(axes)
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
    repeats = found.drops.shape[1]
    axes.set_xlabel(
        f"drop of {found.scoring} when the column is shuffled\n"
        f"(mean ± 2 standard deviations of {repeats} shuffles)",
        fontsize=9,
    )
    more = ""
    if len(names) < len(found.columns):
        more = f", the {MOST_BARS} most important of {len(found.columns)} columns"
    title = f"{description}\n{found.scoring} {found.score:.4f}{more}"
    axes.set_title(plain_lines(title), loc="left", fontsize=10)
    write(figure, path)


@in_own_style
def save_partial(path: Path, found: PartialDependence, label: str, description: str) -> None:
    """Draw the mean prediction against the value of a column.

    Of a single target, the predictions of some rows are thin lines, or dashes for categories.

    Parameters
    ----------
    path : Path
        A PNG file.
    found : PartialDependence
    label : str
        What is predicted, without the target.
    description : str
        What the rows are.
    """
    numbers = found.values.dtype.kind == "f"
    places = found.values if numbers else np.arange(len(found.values))
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes: Any = figure.subplots()
    single = len(found.targets) == 1
    if single:
        lines = found.individual[0][:: max(1, found.individual.shape[1] // MOST_ROWS)]
        thin: dict[str, Any] = (
            {"linewidth": 0.5} if numbers else {"linestyle": "none", "marker": "_"}
        )
        axes.plot(places, lines.T, color=MUTED, alpha=0.25, **thin)
    line = {} if numbers else {"linestyle": "none"}
    for target, values, look in zip(found.targets, found.average, LOOKS, strict=False):
        how: dict[str, Any] = {"color": look.color, "marker": look.marker, "linestyle": look.line}
        name = plain_text(target, MOST_NAME_LETTERS)
        axes.plot(places, values, label=name, markersize=4, **(how | line))
    if not numbers:
        names = [plain_text(str(value), MOST_NAME_LETTERS) for value in found.values]
        long = max(map(len, names)) > 8 or len(names) > 8
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if long else {}
        axes.set_xticks(places, names, fontsize=8, **turned)
    what = f"{label} {found.targets[0]}" if single else label.removesuffix(" =")
    axes.set_xlabel(plain_text(found.column))
    axes.set_ylabel(plain_text(what))
    add_grid(axes)
    if not single:
        figure.legend(loc="outside right center", frameon=False, fontsize=9)
    note = f"; {'thin lines' if numbers else 'dashes'}: single rows" if single else ""
    axes.set_title(plain_text(f"mean of {description}{note}"), loc="left", fontsize=10)
    write(figure, path)


def plain_lines(text: str) -> str:
    """Return text of several lines that matplotlib draws as it is."""
    return "\n".join(map(plain_text, text.split("\n")))
