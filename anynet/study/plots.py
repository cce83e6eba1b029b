"""The plots of a study, and the style of all pictures; they do not use pyplot's global state."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from anynet.data.files import replacing
from anynet.errors import printable
from anynet.study.results import shown, words
from anynet.study.summary import Summary, deviation, mean

ACCENT, MUTED = "#2f6db5", "#555555"

#: The default settings of matplotlib, without those of windows.
_STYLE = {
    name: value
    for name, value in matplotlib.rcParamsDefault.items()
    if not name.startswith(("backend", "interactive", "toolbar", "webagg", "tk.", "macosx"))
}


class Look(NamedTuple):
    """How one point of a study is drawn."""

    color: str
    line: Any  # a line style of matplotlib
    marker: str


#: Curves that can be distinguished, also in grey: colors of Okabe and Ito 2008 ("Color Universal
#: Design") in a darker yellow, with four line styles and eight markers.
LOOKS = (
    Look("#0072B2", "-", "o"),
    Look("#D55E00", "--", "s"),
    Look("#009E73", "-.", "^"),
    Look("#CC79A7", ":", "D"),
    Look("#000000", "-", "v"),
    Look("#E69F00", "--", "P"),
    Look("#56B4E9", "-.", "X"),
    Look("#8C6D1F", ":", "p"),
)

#: Options whose values are compared by their ratios.
RATES = ("learning_rate", "weight_decay")

#: Maximum length of a title.
MOST_LETTERS = 80

#: Least distance, as accuracy, at which a point or a run is far below the others.
FAR = 0.02

#: Least distance of the lower limit of an axis from the lowest accuracy.
LEAST_MARGIN = 1e-3

#: Note at an axis of epochs whose values do not all fit.
OUTSIDE = "(some epochs are outside the axis)"

MOST_CURVES = len(LOOKS)

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
    """Draw mean and standard deviation of the validation accuracy against the studied value.

    Rates, and numbers that span more than a factor of four, have a logarithmic axis. A triangle
    marks each point that is left out of the axis, see ``lower_limit``.
    """
    names = [_label(summary) for summary in summaries]
    several = len(summaries[0].point) > 1
    figure, axes = _figure(title, height=max(4.0, 0.3 * len(names) + 1.2) if several else 4.0)
    means, errors = _means(summaries)
    limit = lower_limit(means - errors)
    how: dict[str, Any] = {"color": ACCENT, "marker": "o", "markersize": 5, "capsize": 4}
    if several:  # long names are easier to read in lines
        positions = np.arange(len(names))[::-1]
        axes.errorbar(means, positions, xerr=errors, linestyle="none", **how)
        axes.set_yticks(positions, names, fontsize=8)
        axes.set_xlabel(_what("validation accuracy", summaries))
        axes.set_xlim(_limits(means + errors, limit))
    else:
        (option,) = summaries[0].point
        values = [summary.point[option] for summary in summaries]
        numbers = all(type(value) in (int, float) for value in values)
        positions = np.asarray(values) if numbers else np.arange(len(values))
        order = np.argsort(positions)
        axes.errorbar(
            positions[order],
            means[order],
            yerr=errors[order],
            linestyle="-" if numbers else "none",
            linewidth=1,
            **how,
        )
        if numbers and min(values) > 0 and (option in RATES or max(values) / min(values) > 4):
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(positions, names)
        axes.set(xlabel=option.replace("_", " "), ylabel=_what("validation accuracy", summaries))
        axes.set_ylim(_limits(means + errors, limit))
    for position, value in zip(positions, means, strict=True):
        if value < limit:
            _mark_outside(axes, position, value, ACCENT, left=several)
    write(figure, path)


@in_own_style
def save_curves(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Draw validation accuracy against the epoch: thin lines for runs, thick ones for medians.

    Neither the first epochs nor runs that collapse compress the differences between the others, see
    ``lower_limit``. A triangle marks each run that ends below the axis; a note reports that epochs
    before the last one are below it.
    """
    figure, axes = _figure(title, height=4.0 if len(summaries[0].point) == 1 else 5.5)
    drawn = list(zip(summaries[:MOST_CURVES], LOOKS, strict=False))
    top = max(max(row.curve) for summary, _ in drawn for row in summary.rows)
    bottom = lower_limit([row.curve[-1] for summary, _ in drawn for row in summary.rows])
    bottom -= 0.25 * (top - bottom)  # for the epochs before
    below = []
    for summary, look in drawn:
        for row in summary.rows:
            epochs = range(1, row.epochs_run + 1)
            axes.plot(epochs, row.curve, color=look.color, linewidth=0.8, alpha=0.35)
            if row.curve[-1] < bottom:
                below.append(row.curve[-1])
                _mark_outside(axes, row.epochs_run, None, look.color)
        shortest = min(row.epochs_run for row in summary.rows)
        axes.plot(
            range(1, shortest + 1),
            np.median([row.curve[:shortest] for row in summary.rows], axis=0),
            color=look.color,
            linestyle=look.line,
            linewidth=2,
            marker=look.marker,
            markersize=5,
            label=_label(summary),
        )
    if below:
        count = f"{len(below)} run{'s end' if len(below) > 1 else ' ends'} below the axis"
        how: dict[str, Any] = {"marker": "v", "color": MUTED, "linestyle": "none"}
        axes.plot([], [], label=f"{count},\nthe lowest at {min(below):.4f}", **how)
    axes.set_ylim(_limits([top], bottom))
    early = min(min(row.curve) for summary, _ in drawn for row in summary.rows)
    note = f"\n{OUTSIDE}" if early < axes.get_ylim()[0] else ""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    single = max(len(summary.rows) for summary in summaries) == 1
    what = "" if single else "\n(thick: median, thin: each seed)"
    axes.set(xlabel=f"epoch{note}", ylabel=f"validation accuracy{what}")
    _legend(axes, summaries)
    write(figure, path)


@in_own_style
def save_time(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Draw validation accuracy against the seconds of training, with their deviations.

    The seconds of runs that were trained together share one measurement, and have no deviation.
    A triangle marks each point that is left out of the axis, see ``lower_limit``.
    """
    figure, axes = _figure(title, height=4.0 if len(summaries[0].point) == 1 else 5.5)
    drawn = summaries[:MOST_CURVES]
    means, errors = _means(drawn)
    bottom = lower_limit(means - errors)
    for summary, look, accuracy, error in zip(drawn, LOOKS, means, errors, strict=False):
        seconds = summary.values("seconds")
        if accuracy < bottom:
            _mark_outside(axes, mean(seconds), accuracy, look.color)
        axes.errorbar(
            mean(seconds),
            accuracy,
            xerr=deviation(seconds) if summary.timed_alone else None,
            yerr=error,
            color=look.color,
            marker=look.marker,
            markersize=6,
            capsize=3,
            linestyle="none",
            label=_label(summary),
        )
    axes.set_xlim(left=0)
    axes.set_ylim(_limits(means + errors, bottom))
    axes.set(xlabel="seconds of training", ylabel=_what("validation accuracy", summaries))
    _legend(axes, summaries)
    write(figure, path)


def lower_limit(accuracies: Sequence[float] | np.ndarray) -> float:
    """Return the lower limit of an axis for the accuracies of several points or runs.

    Parameters
    ----------
    accuracies : sequence of float

    Returns
    -------
    float
        A little less than the lowest accuracy that is not far below the others: by more than FAR,
        and by more than three times the distance of the quartiles below the lower one (Tukey 1977,
        "Exploratory Data Analysis": far out).
    """
    values = np.asarray(accuracies, dtype=np.float64)
    low, high = np.quantile(values, [0.25, 0.75])
    near = values[values >= low - max(3 * (high - low), FAR)]
    return float(near.min() - max(0.08 * (values.max() - near.min()), LEAST_MARGIN))


def _limits(tops: Sequence[float] | np.ndarray, bottom: float) -> tuple[float, float]:
    """Return both limits of an axis of accuracies: a little above the highest, and about 0 to 1."""
    top, bottom = min(float(np.max(tops)), 1.0), max(bottom, -0.02)
    return bottom, min(top + 0.06 * (top - bottom), 1 + 0.02 * (1 - bottom))


def _mark_outside(
    axes: Any, position: float, value: float | None, color: str, *, left: bool = False
) -> None:
    """Draw a triangle at the lower edge, or the left one, with the value that lies beyond it."""
    how: dict[str, Any] = {"color": color, "clip_on": False, "zorder": 5}
    text = "" if value is None else f"{value:.4f}"
    if left:
        axes.plot(0.01, position, marker="<", transform=axes.get_yaxis_transform(), **how)
        at, where, move = (0.01, position), "yaxis_transform", (8, -3)
    else:
        axes.plot(position, 0.012, marker="v", transform=axes.get_xaxis_transform(), **how)
        at, where, move = (position, 0.012), "xaxis_transform", (0, 8)
    axes.annotate(
        text,
        at,
        xycoords=getattr(axes, f"get_{where}")(),
        xytext=move,
        textcoords="offset points",
        ha="left" if left else "center",
        fontsize=8,
        color=color,
    )


#: The plots of an experiment by the ends of their file names: functions and captions.
PLOTS: dict[str, tuple[Callable[[Path, Sequence[Summary], str], None], str]] = {
    "accuracy": (save_accuracy, "validation accuracy of each value"),
    "curves": (save_curves, "learning curves"),
    "time": (save_time, "validation accuracy against time"),
}


def _label(summary: Summary) -> str:
    point = summary.point
    return shown(*point.values()) if len(point) == 1 else words(point)


def _means(summaries: Sequence[Summary]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of the validation accuracy of each point."""
    accuracies = [summary.values("validation_accuracy") for summary in summaries]
    return np.array(list(map(mean, accuracies))), np.array(list(map(deviation, accuracies)))


def _what(measure: str, summaries: Sequence[Summary]) -> str:
    """Return the label of an axis, which says what its points and error bars are."""
    seeds = {len(summary.rows) for summary in summaries}
    if seeds == {1}:
        return f"{measure} (one seed)"
    count = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"{max(seeds)}"
    return f"{measure}\n(mean ± standard deviation, {count} seeds)"


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
    axes.set_title(plain_text(title), loc="left", fontsize=11)
    add_grid(axes)
    return figure, axes


def plain_text(text: str, most: int = MOST_LETTERS) -> str:
    """Return text that matplotlib draws as it is: short, in one line, without formulas."""
    text = printable(text)
    if len(text) > most:
        text = text[: most - 1] + "…"
    return text.replace("$", r"\$")


def add_grid(axes: Any) -> None:
    """Draw a light grid, and no frame at the top and on the right."""
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def write(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, as a whole or not at all."""
    FigureCanvasAgg(figure)
    with replacing(path) as file:
        figure.savefig(file, dpi=150, format="png")
