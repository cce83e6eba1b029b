"""The pictures of a run; they do not use pyplot's global state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from anynet.cli.reports import Report
from anynet.cli.value_report import ValueReport
from anynet.study.plots import ACCENT, MUTED, add_grid, in_own_style, plain_text, write
from anynet.training import History, RateSearch

TRAIN, VALIDATION = ACCENT, "#d9632a"

METRICS = {"accuracy": "accuracy", "r2": "R²"}

#: Maximum length of the names of classes, which determine the width of a picture.
MOST_CLASS_LETTERS = 24

#: Maximum number of classes whose squares have room for numbers, and for percentages too.
MOST_NUMBERED, MOST_SHARED = 20, 4

#: Maximum number of classes in a matrix: of more, those with the most errors are drawn.
MOST_DRAWN = 100


@in_own_style
def save_curves(path: Path, histories: Sequence[History], title: str) -> None:
    """Draw loss and score against the epoch, for the training and the validation rows.

    Parameters
    ----------
    path : Path
        A PNG file.
    histories : sequence of History
        Of each network. The best epoch of a single one is marked; R² below 0 is not shown.
    title : str
    """
    histories = [history for history in histories if history.records]
    metric = histories[0].metric
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    loss, score = figure.subplots(1, 2)
    _curves(loss, histories, "loss", "loss")
    loss.set_ylim(bottom=0)
    _curves(score, histories, "score", METRICS[metric])
    if metric == "accuracy":
        score.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    else:
        score.set_ylim(bottom=max(score.get_ylim()[0], 0), top=1)
    for axes in (loss, score) if len(histories) == 1 else ():
        best = histories[0].best_epoch
        axes.axvline(best, color=MUTED, linewidth=0.8, linestyle=":", label=f"best epoch ({best})")
    handles, labels = loss.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(plain_text(title), fontsize=11)
    write(figure, path)


def _curves(axes: Axes, histories: Sequence[History], what: str, title: str) -> None:
    style: dict[str, Any] = {"marker": "o", "markersize": 3.5}
    if len(histories) > 1:
        style = {"linewidth": 0.8, "alpha": 0.7}
    for part, color in (("train", TRAIN), ("validation", VALIDATION)):
        label = "training rows, during the epoch" if part == "train" else "validation rows"
        for history in histories:
            epochs = [record.epoch for record in history.records]
            values = [getattr(record, f"{part}_{what}") for record in history.records]
            if all(value is not None for value in values):
                axes.plot(epochs, values, color=color, label=label, **style)
                label = ""  # one entry of the legend
    last = max(len(history.records) for history in histories)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set(xlabel="epoch", xlim=(0.5, last + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    add_grid(axes)


@in_own_style
def save_confusion(path: Path, report: Report, name: str) -> None:
    """Draw a confusion matrix: rows are the true classes, columns the predicted ones.

    Of more than MOST_DRAWN classes, those with the most errors are drawn. The shade is the share
    of the row: a frequent class does not make a model look strong that always predicts it. For
    three or more classes it is raised to a power below one, so that a few errors in a thousand are
    visible. Up to MOST_SHARED classes have that share beside the number of rows.

    Parameters
    ----------
    path : Path
        A PNG file.
    report : Report
    name : str
        Name of the data set.
    """
    drawn, title = report.most_confused(MOST_DRAWN), [plain_text(name), report.title]
    if len(drawn) < len(report.classes):
        title.append(f"the {MOST_DRAWN} of {len(report.classes):,} classes with the most errors")
    counts, rows = report.counts_of(drawn), report.rows[drawn]
    classes = [plain_text(report.classes[i], MOST_CLASS_LETTERS) for i in drawn]
    n = len(classes)
    side = min((3.6 if n <= MOST_SHARED else 3.2) + 0.42 * n, 14)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes: Any = figure.subplots()
    share = counts / np.maximum(rows, 1)[:, np.newaxis]
    shade = PowerNorm(1 if n == 2 else 0.4, vmin=0, vmax=1)
    image = axes.imshow(share, cmap="Blues", norm=shade)
    if n <= MOST_NUMBERED:
        for (true, predicted), count in np.ndenumerate(counts):
            part = share[true, predicted]
            color = "white" if shade(part) > 0.43 else MUTED
            if count or n <= MOST_SHARED:
                text = f"{count:,}\n{part:.1%}" if n <= MOST_SHARED else f"{count}"
                axes.text(predicted, true, text, ha="center", va="center", color=color, fontsize=8)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=25, format=PercentFormatter(xmax=1))
    bar.set_label("share of the rows of the true class", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    long = max(map(len, classes)) > max(2, 24 // n)
    axes.set_xticks(
        range(n),
        classes,
        fontsize=8,
        rotation=45 if long else 0,
        ha="right" if long else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(n), classes, fontsize=8)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title("\n".join(title), fontsize=10)
    write(figure, path)


@in_own_style
def save_predictions(path: Path, report: ValueReport, name: str) -> None:
    """Draw predicted against true values, with the diagonal on which they are equal.

    Parameters
    ----------
    path : Path
        A PNG file.
    report : ValueReport
        Finite values.
    name : str
        Name of the data set.
    """
    true, predicted = report.true, report.predicted
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes: Any = figure.subplots()
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=":")
    opacity = min(1.0, 30 / len(true) ** 0.5)
    axes.plot(true, predicted, "o", color=TRAIN, markersize=3.5, alpha=opacity, markeredgewidth=0)
    axes.set_aspect("equal", adjustable="datalim")
    names = [plain_text(f"{what} {report.name}") for what in ("true", "predicted")]
    axes.set(xlabel=names[0], ylabel=names[1])
    add_grid(axes)
    axes.set_title(f"{plain_text(name)}\n{report.title}", fontsize=10)
    write(figure, path)


@in_own_style
def save_images(path: Path, grid: npt.NDArray[Any], top: float, title: str) -> None:
    """Draw rows of images, dark ink on white paper; a line separates the first column.

    Parameters
    ----------
    path : Path
        A PNG file.
    grid : array (rows, columns, H, W)
    top : float
        The value of full ink.
    title : str
    """
    n_rows, n_columns, height, width = grid.shape
    gap = max(1, min(height, width) // 7)
    canvas = np.zeros((n_rows * (height + gap) - gap, n_columns * (width + gap) + gap))
    for row, column in np.ndindex(n_rows, n_columns):
        top_edge, left = row * (height + gap), column * (width + gap) + (2 * gap if column else 0)
        canvas[top_edge : top_edge + height, left : left + width] = grid[row, column]
    inches = 8 / canvas.shape[1]
    figure = Figure(figsize=(8, canvas.shape[0] * inches + 0.4), layout="constrained")
    axes: Any = figure.subplots()
    axes.imshow(canvas, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
    axes.axvline(width + 1.5 * gap - 0.5, color=MUTED, linewidth=0.8)
    axes.set_axis_off()
    axes.set_title(plain_text(title), fontsize=10)
    write(figure, path)


@in_own_style
def save_rate_search(path: Path, found: RateSearch, title: str) -> None:
    """Draw the loss against a rising learning rate, and the suggested rate.

    Parameters
    ----------
    path : Path
        A PNG file.
    found : RateSearch
    title : str
    """
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes: Any = figure.subplots()
    found.plot(axes)
    add_grid(axes)
    axes.set_title(plain_text(title), loc="left", fontsize=11)
    write(figure, path)
