"""Pictures of saliency: images beside the contributions of their pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from anynet.cli.terminal import percent
from anynet.data.image_format import ImageFormat
from anynet.study.plots import ACCENT, MUTED, in_own_style, plain_text, write

if TYPE_CHECKING:
    from anynet.cli.explain_images import Explained, Neighbour

#: Inches of an image, and the shade between images.
SIDE, GAP_SHADE = 1.2, 0.9

#: Quantile of the absolute contributions that has the full colour.
FULL = 0.995


@in_own_style
def save_dataset(
    path: Path,
    correct: Sequence["Explained"],
    mistakes: Sequence["Explained"],
    means: Sequence["Explained"],
    wanted: ImageFormat,
    title: str,
) -> None:
    """Draw rows of images above their saliency: correct predictions, mistakes, class means.

    Parameters
    ----------
    path : Path
        A PNG file.
    correct, mistakes, means : sequence of Explained
    wanted : ImageFormat
    title : str
    """
    parts = {
        "correct predictions: class → prediction (probability)": correct,
        "the surest mistakes: class → prediction (probability)": mistakes,
        "means of classes": means,
    }
    parts = {name: some for name, some in parts.items() if some}
    n_columns = max(map(len, parts.values()))
    height = len(parts) * (2 * SIDE + 0.45) + 0.6
    figure = Figure(figsize=(max(6.0, SIDE * n_columns), height), layout="constrained")
    figure.suptitle(
        f"{plain_text(title)}\nbelow each image: red pixels speak for the prediction, blue against",
        fontsize=10,
    )
    rows: Any = np.atleast_1d(np.asarray(figure.subplots(len(parts), 1)))
    for axes, (name, some) in zip(rows, parts.items(), strict=True):
        _draw_row(axes, some, n_columns, wanted)
        axes.set_title(name, fontsize=9, loc="left", pad=18)
    write(figure, path)


def _draw_row(axes: Any, some: Sequence["Explained"], n_columns: int, wanted: ImageFormat) -> None:
    """Draw images beside each other, each above its saliency: one picture is drawn quickly."""
    height, width = wanted.shape
    gap = max(1, width // 14)
    canvas = np.full((2 * height + gap, len(some) * (width + gap) - gap, 3), GAP_SHADE)
    for column, each in enumerate(some):
        left = column * (width + gap)
        inside = slice(left, left + width)
        canvas[:height, inside] = _grey(each.image, wanted)
        canvas[height + gap :, inside] = _diverging(each.saliency)
        middle = left + width / 2 - 0.5
        axes.annotate(
            plain_text(each.title, 24),
            (middle, -0.5),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=7.5,
            ha="center",
        )
    axes.imshow(canvas, interpolation="nearest")
    axes.set_xlim(-0.5, n_columns * (width + gap) - gap - 0.5)
    axes.set_axis_off()


@in_own_style
def save_pictures(
    path: Path,
    explained: Sequence["Explained"],
    tops: Sequence[Sequence[tuple[str, float]]],
    neighbours: Sequence[Sequence["Neighbour"]],
    wanted: ImageFormat,
    space: str,
) -> None:
    """Draw for each picture the input, its saliency, the likely classes and the nearest examples.

    Parameters
    ----------
    path : Path
        A PNG file.
    explained : sequence of Explained
    tops : sequence of (str, float)
        The likely classes of each picture, with their probabilities.
    neighbours : sequence of sequence of Neighbour
        Of each picture; empty if there are none.
    wanted : ImageFormat
    space : str
        Where distances are measured.
    """
    most = max(map(len, neighbours), default=0)
    widths = [1.3, 1.3, 1.5, *[0.9] * most]
    figure = Figure(figsize=(1.25 * sum(widths), 1.9 * len(explained) + 0.6), layout="constrained")
    grid = np.asarray(figure.subplots(len(explained), len(widths), width_ratios=widths))
    grid = grid.reshape(len(explained), len(widths))
    for row, (each, top, near) in enumerate(zip(explained, tops, neighbours, strict=True)):
        image, contributions, bars, *others = grid[row]
        _draw(image, _grey(each.image, wanted))
        _draw(contributions, _diverging(each.saliency))
        image.set_title(plain_text(Path(each.title).name, 22), fontsize=8)
        title = f"for {top[0][0]}: red for, blue against"
        contributions.set_title(plain_text(title, 30), fontsize=8)
        _bars(bars, top)
        for axes in others:
            axes.set_axis_off()
        for axes, one in zip(others, near, strict=False):
            _draw(axes, _grey(one.image, wanted))
            axes.set_title(plain_text(f"{one.name}, at {one.distance:.3g}", 20), fontsize=8)
    title = "input as the network sees it, contribution of its pixels, prediction"
    if most:
        title += f", nearest training examples (distance in the {space})"
    figure.suptitle(title, fontsize=9)
    write(figure, path)


def _grey(image: np.ndarray, wanted: ImageFormat) -> np.ndarray:
    """Return an image in shades, (H, W, 3): dark ink on white paper if its background is 0."""
    low, high = sorted((wanted.paper, wanted.top))
    shades = np.clip((image - low) / (high - low), 0, 1)
    shades = 1 - shades if wanted.paper == low else shades
    return np.repeat(shades[..., None], 3, axis=-1)


def _diverging(saliency: np.ndarray) -> np.ndarray:
    """Return contributions as colours, (H, W, 3): red above 0, blue below, each in its scale."""
    most = float(np.quantile(np.abs(saliency), FULL)) or 1.0
    colours: np.ndarray = colormaps["RdBu_r"](np.clip(saliency / most, -1, 1) / 2 + 0.5)[..., :3]
    return colours


def _draw(axes: Any, colours: np.ndarray) -> None:
    axes.imshow(colours, interpolation="nearest")
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#cccccc")


def _bars(axes: Any, top: Sequence[tuple[str, float]]) -> None:
    """Draw the probabilities of the likely classes."""
    heights = np.arange(len(top))[::-1]
    axes.barh(heights, [p for _, p in top], color=ACCENT, height=0.7)
    axes.set_yticks(heights, [plain_text(name, 16) for name, _ in top], fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"], fontsize=8)
    axes.set_xlabel("probability", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    for height, (_, p) in zip(heights, top, strict=True):
        where: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
        axes.text(1.03, height, percent(p), fontsize=7, color=MUTED, **where)
