"""The pictures of ``anynet evaluate`` and ``predict --show``; see also ``plots``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anynet.cli.reliability import BINS, Reliability
from anynet.cli.value_report import ValueReport
from anynet.study.plots import ACCENT, MUTED, add_grid, in_own_style, plain_text, write

#: Number of images in a row of a picture, and the maximum number of letters above one.
COLUMNS, MOST_CAPTION_LETTERS = 10, 16


@in_own_style
def save_reliability(path: Path, reliability: Reliability, what: str, name: str) -> None:
    """Draw a reliability diagram: observed frequency against predicted probability.

    Points below the diagonal are overconfident, points above it underconfident. The lower axes show
    the number of predictions in each bin.

    Parameters
    ----------
    path : Path
        A PNG file.
    reliability : Reliability
    what : str
        What is observed, such as ``"correct predictions"``.
    name : str
        Name of the data set.

    References
    ----------
    Niculescu-Mizil and Caruana 2005, "Predicting Good Probabilities with Supervised Learning".
    """
    figure = Figure(figsize=(5, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    filled = np.flatnonzero(reliability.rows)
    predicted, observed = reliability.predicted[filled], reliability.observed[filled]
    rows = reliability.rows[filled]
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":", label="calibrated")
    error = np.abs(_intervals(observed, rows) - observed)
    bars = {"marker": "o", "markersize": 5, "capsize": 2, "linewidth": 1}
    label = "bins, with 95 % intervals (Wilson)"
    upper.errorbar(predicted, observed, yerr=error, color=ACCENT, label=label, **bars)
    upper.set(ylabel=f"share of {what}", xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    handles, labels = upper.get_legend_handles_labels()
    how: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 8}
    figure.legend(handles, labels, ncols=2, **how)
    centres = (np.arange(BINS) + 0.5) / BINS
    lower.bar(centres, reliability.rows, width=0.9 / BINS, color=ACCENT)
    lower.set(xlabel="predicted probability", ylabel="predictions", yscale="log")
    lower.set_ylim(bottom=0.7)
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    for axes in (upper, lower):
        add_grid(axes)
    title = f"{plain_text(name)}\nexpected calibration error {reliability.error:.4f}"
    upper.set_title(title, fontsize=10)
    write(figure, path)


def _intervals(shares: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the ends (2, bins) of the 95 % intervals of shares of rows."""
    from scipy.stats import binomtest

    tests = [binomtest(round(share * n), n) for share, n in zip(shares, rows.tolist(), strict=True)]
    return np.array([test.proportion_ci(method="wilson") for test in tests]).T


@in_own_style
def save_residuals(path: Path, report: ValueReport, name: str) -> None:
    """Draw predicted minus true values against the predicted ones, and their distribution.

    Parameters
    ----------
    path : Path
        A PNG file.
    report : ValueReport
        Finite values.
    name : str
        Name of the data set.
    """
    residuals = report.predicted - report.true
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    opacity = min(1.0, 30 / len(residuals) ** 0.5)
    style: dict[str, Any] = {"markersize": 3.5, "alpha": opacity, "markeredgewidth": 0}
    left.plot(report.predicted, residuals, "o", color=ACCENT, **style)
    left.set(
        xlabel=plain_text(f"predicted {report.name}"),
        ylabel=plain_text(f"predicted minus true {report.name}"),
    )
    right.hist(residuals, bins=40, orientation="horizontal", color=ACCENT)
    right.set_xlabel("rows")
    for axes in (left, right):
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=":")
        add_grid(axes)
    measures = report.measures()
    scores = f"{report.title}, RMSE {measures['rmse']:.6g}, MAE {measures['mae']:.6g}"
    figure.suptitle(f"{plain_text(name)}\n{scores}", fontsize=10)
    write(figure, path)


@in_own_style
def save_examples(
    path: Path, ink: npt.NDArray[Any], captions: Sequence[Sequence[str]], title: str
) -> None:
    """Draw images, dark ink on white paper, each below its caption.

    Parameters
    ----------
    path : Path
        A PNG file.
    ink : array (N, H, W)
        0 is paper, 1 is full ink.
    captions : sequence of sequences of str
        The lines above each image.
    title : str
    """
    columns = min(len(ink), COLUMNS)
    rows = -(-len(ink) // columns)
    width = 1.1 if columns > 2 else 2.4
    height = width * ink.shape[1] / ink.shape[2] + 0.16 * max(map(len, captions)) + 0.1
    size = (max(columns * width, 3), rows * height + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    cells: Any = figure.subplots(rows, columns, squeeze=False)
    for axes in cells.flat[len(ink) :]:
        axes.set_axis_off()
    for axes, image, caption in zip(cells.flat, ink, captions, strict=False):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("#cccccc")
        lines = [plain_text(line, MOST_CAPTION_LETTERS) for line in caption]
        axes.set_title("\n".join(lines), fontsize=7)
    figure.suptitle(plain_text(title), fontsize=10)
    write(figure, path)
