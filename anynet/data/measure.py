"""What is measured of samples: their scale, and the ink of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.data.sources.source import Source

#: Floats with at most this mean absolute value are taken as scaled: standardised ones have 0.8.
SCALED_MEAN = 2.5

#: A column is narrow if its range times this is below the largest value.
UNEVEN = 10.0

BLOCK_ROWS = 4096  # rows of an array that are measured at a time
EXAMINED = 1000  # images that are examined for their centring and shades


def choose_scale(samples: Any, *, image: bool) -> tuple[float, tuple[str, ...]]:
    """Choose a factor that brings samples to about [0, 1] or [-1, 1].

    Bytes are divided by 255 (by 1 if they are only 0 and 1, as booleans become), other whole
    numbers by the largest absolute value. So are floats whose mean absolute value is above 2.5,
    and images of floats above 1.5 (by 255 if the largest is from 128 to 255), which have not been
    scaled before. Other floats are kept.

    Parameters
    ----------
    samples : ndarray or Source
        Shape (N, ...), at least one sample.
    image : bool
        Whether they are images.

    Returns
    -------
    scale : float
        The factor.
    notes : tuple of str
        For the user: floats that are divided, and columns of very different ranges, which should
        be standardised.
    """
    dtype = samples.dtype
    if dtype == np.uint8:
        return (1 / 255 if any(block.max() > 1 for block in _blocks(samples)) else 1.0), ()
    low, high, mean = _measure(samples)
    largest, notes = float(max(np.abs(low).max(), np.abs(high).max())), []
    range_ = f"from {low.min():.6g} to {high.max():.6g}"
    if dtype.kind == "f":
        positive_image = image and low.min() >= 0
        if not (mean > SCALED_MEAN or (positive_image and largest > 1.5)):
            return 1.0, ()
        if positive_image and 127 < largest <= 255:
            largest = 255.0
        notes.append(f"the samples hold numbers {range_}: they are divided by {largest:.6g}")
    else:
        largest = max(largest, 1.0)
    with np.errstate(over="ignore"):
        ranges = high - low
    ranges = ranges[ranges > 0]
    narrow = ranges * UNEVEN < largest
    if not image and np.count_nonzero(narrow) * 4 > ranges.size:
        notes.append(
            f"the samples hold numbers {range_}, but {np.count_nonzero(narrow)} of {ranges.size} "
            f"columns have a range of {ranges[narrow].max():.6g} or less, which is small compared "
            f"with {largest:.6g}: standardise the columns, or train on a table (CSV, Parquet), "
            f"whose columns are scaled one by one"
        )
    return 1 / largest, tuple(notes)


def _measure(samples: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Return the extremes of each column, and the mean absolute value of all samples."""
    low: npt.NDArray[np.float64] = np.array(np.inf)
    high: npt.NDArray[np.float64] = np.array(-np.inf)
    total, count = 0.0, 0
    for block in _blocks(samples):
        rows = block.astype(np.float64)
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        with np.errstate(over="ignore"):
            total += float(np.sum(np.abs(rows, out=rows)))
        count += rows.size
    return low, high, total / count


def _blocks(samples: Any) -> Iterator[npt.NDArray[Any]]:
    """Yield samples (N, ...) in blocks (n, features), without a copy of all of them."""
    streamed = isinstance(samples, Source)
    step = samples.window_rows if streamed else BLOCK_ROWS
    for start in range(0, len(samples), step):
        end = min(start + step, len(samples))
        block = samples.read(np.arange(start, end)) if streamed else samples[start:end]
        yield block.reshape(end - start, -1)


def ink_box(images: npt.NDArray[Any]) -> int:
    """Return the longest side of the box around nonzero pixels, over all images (N, H, W)."""
    return int(_ink_sizes(images).max(initial=0)) or max(images.shape[1:])


def _ink_sizes(images: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the longest side of the box around nonzero pixels for each image."""
    ink = images != 0
    longest = np.zeros(len(images), dtype=np.int64)
    for axis in (1, 2):
        profile = ink.any(axis=axis)
        end = profile.shape[1] - profile[:, ::-1].argmax(axis=1)
        longest = np.maximum(longest, (end - profile.argmax(axis=1)) * profile.any(axis=1))
    return longest


def are_centred(images: npt.NDArray[Any]) -> bool:
    """Return whether images (N, H, W) follow the convention of MNIST.

    Nearly all have ink of the same size, smaller than the image, with its centre of mass in the
    middle. The first thousand are examined.
    """
    some = np.abs(images[:EXAMINED].astype(np.float64))
    sizes, mass = _ink_sizes(some), some.sum(axis=(1, 2))
    if not mass.all() or sizes.max(initial=0) == max(some.shape[1:]):
        return False
    follows = sizes >= sizes.max() - 1
    for axis in (1, 2):
        middle = some.sum(axis=3 - axis) @ np.arange(some.shape[axis]) / mass
        follows &= np.abs(middle - some.shape[axis] / 2) < 1
    return bool(np.mean(follows) > 0.95)


def shades_of(images: npt.NDArray[Any], scale: float) -> tuple[float, float] | None:
    """Return the values of background and ink; None if they are 0 and 1 / scale.

    Images (N, H, W) are dark on light if most of their border pixels are light. The first thousand
    are examined.
    """
    some = images[:EXAMINED].astype(np.float64)
    low, high = min(float(some.min()), 0.0), float(some.max())
    edges = (some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1])
    light = np.median(np.concatenate([edge.ravel() for edge in edges])) > (low + high) / 2
    high = 1 / scale if low == 0 else high
    if low == high or (low == 0 and not light):
        return None
    return (high, low) if light else (low, high)
