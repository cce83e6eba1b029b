"""The plots of a study, and the style of all pictures; they do not use pyplot's global state."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from anynet.data.files import replacing
from anynet.study.results import shown, words
from anynet.study.summary import Summary, deviation, mean

ACCENT = "#2f6db5"

#: The default settings of matplotlib, without those of windows.
_STYLE = {
    name: value
    for name, value in matplotlib.rcParamsDefault.items()
    if not name.startswith(("backend", "interactive", "toolbar", "webagg", "tk.", "macosx"))
}

#: Maximum number of curves that can be distinguished.
MOST_CURVES = 8

_P = ParamSpec("_P")


def in_own_style(draw: Callable[_P, None]) -> Callable[_P, None]:
    """Return a function that draws with the default settings of matplotlib, without warnings."""

    @functools.wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            draw(*args, **kwargs)

    return drawn


@in_own_style
def save_accuracy(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Draw mean and standard deviation of the validation accuracy against the studied value."""
    names = [_label(summary) for summary in summaries]
    several = len(summaries[0].point) > 1
    figure, axes = _figure(title, height=max(4.0, 0.3 * len(names) + 1.2) if several else 4.0)
    accuracies = [summary.values("validation_accuracy") for summary in summaries]
    means, errors = [mean(some) for some in accuracies], [deviation(some) for some in accuracies]
    how: dict[str, Any] = {"color": ACCENT, "marker": "o", "markersize": 5, "capsize": 4}
    if several:  # long names are easier to read in lines
        positions = np.arange(len(names))[::-1]
        axes.errorbar(means, positions, xerr=errors, linestyle="none", **how)
        axes.set_yticks(positions, names, fontsize=8)
        axes.set_xlabel("validation accuracy")
    else:
        (option,) = summaries[0].point
        values = [summary.point[option] for summary in summaries]
        numbers = all(type(value) in (int, float) for value in values)
        positions = np.asarray(values) if numbers else np.arange(len(values))
        order = np.argsort(positions)
        axes.errorbar(
            positions[order],
            np.asarray(means)[order],
            yerr=np.asarray(errors)[order],
            linestyle="-" if numbers else "none",
            linewidth=1,
            **how,
        )
        if numbers and min(values) > 0 and max(values) / min(values) > 4:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(positions, names)
        axes.set(xlabel=option.replace("_", " "), ylabel="validation accuracy")
    write(figure, path)


@in_own_style
def save_curves(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Draw validation accuracy against the epoch: thin lines for runs, thick ones for means."""
    figure, axes = _figure(title, height=4.0 if len(summaries[0].point) == 1 else 5.5)
    for summary, color in _colored(summaries):
        for row in summary.rows:
            epochs = range(1, row.epochs_run + 1)
            axes.plot(epochs, row.curve, color=color, linewidth=0.8, alpha=0.35)
        shortest = min(row.epochs_run for row in summary.rows)
        average = np.mean([row.curve[:shortest] for row in summary.rows], axis=0)
        axes.plot(
            range(1, shortest + 1),
            average,
            color=color,
            linewidth=2,
            marker="o",
            markersize=3.5,
            label=_label(summary),
        )
    # The first epochs are far below, and would compress the differences between the last ones.
    lowest = min(row.curve[-1] for summary, _ in _colored(summaries) for row in summary.rows)
    axes.set_ylim(bottom=lowest - 0.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel="validation accuracy")
    _legend(axes, summaries)
    write(figure, path)


@in_own_style
def save_time(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Draw validation accuracy against the seconds of training, with their deviations.

    The seconds of runs that were trained together share one measurement, and have no deviation.
    """
    figure, axes = _figure(title, height=4.0 if len(summaries[0].point) == 1 else 5.5)
    for summary, color in _colored(summaries):
        accuracy, seconds = summary.values("validation_accuracy"), summary.values("seconds")
        axes.errorbar(
            mean(seconds),
            mean(accuracy),
            xerr=deviation(seconds) if summary.timed_alone else None,
            yerr=deviation(accuracy),
            color=color,
            marker="o",
            markersize=6,
            capsize=3,
            linestyle="none",
            label=_label(summary),
        )
    axes.set_xlim(left=0)
    axes.set(xlabel="seconds of training", ylabel="validation accuracy")
    _legend(axes, summaries)
    write(figure, path)


#: The plots of an experiment by the ends of their file names: functions and captions.
PLOTS: dict[str, tuple[Callable[[Path, Sequence[Summary], str], None], str]] = {
    "accuracy": (save_accuracy, "validation accuracy of each value"),
    "curves": (save_curves, "learning curves"),
    "time": (save_time, "validation accuracy against time"),
}


def _label(summary: Summary) -> str:
    point = summary.point
    return shown(*point.values()) if len(point) == 1 else words(point)


def _colored(summaries: Sequence[Summary]) -> list[tuple[Summary, Any]]:
    """Return the points that are drawn, each with its color."""
    drawn = summaries[:MOST_CURVES]
    return list(zip(drawn, colormaps["viridis"](np.linspace(0, 0.9, len(drawn))), strict=True))


def _legend(axes: Any, summaries: Sequence[Summary]) -> None:
    names = list(summaries[0].point)
    title = names[0].replace("_", " ") if len(names) == 1 else "point"
    if len(summaries) > MOST_CURVES:
        title += f" (the first {MOST_CURVES} of {len(summaries)})"
    place = "outside right center" if len(names) == 1 else "outside lower center"
    how = {"loc": place, "title": title, "frameon": False, "fontsize": 8, "title_fontsize": 8}
    axes.get_figure().legend(*axes.get_legend_handles_labels(), **how)


def _figure(title: str, height: float = 4.0) -> tuple[Figure, Any]:
    figure = Figure(figsize=(7.5, height), layout="constrained")
    axes: Any = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    add_grid(axes)
    return figure, axes


def add_grid(axes: Any) -> None:
    """Draw a light grid, and no frame at the top and on the right."""
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)


def write(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, as a whole or not at all."""
    FigureCanvasAgg(figure)
    with replacing(path) as file:
        figure.savefig(file, dpi=150, format="png")
