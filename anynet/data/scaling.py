"""By what samples are multiplied before a network sees them, judged by their values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: Mean absolute value up to which floats are taken for scaled: standardised ones have 0.8.
SCALED_MEAN = 2.5

#: Columns whose range times this is below the largest value are narrow.
UNEVEN = 10.0

BLOCK_ROWS = 4096


class Values(NamedTuple):
    """Extremes of each column, in float64, and the mean absolute value of all samples."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    mean: float

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return float(max(np.abs(self.low).max(), np.abs(self.high).max()))


def measure(blocks: Iterable[npt.NDArray[Any]]) -> Values:
    """Measure samples (N, features) that come in blocks of rows, at least one."""
    low: npt.NDArray[np.float64] = np.array(np.inf)
    high: npt.NDArray[np.float64] = np.array(-np.inf)
    total, count = 0.0, 0
    for block in blocks:
        rows = block.astype(np.float64)
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        with np.errstate(over="ignore"):
            total += float(np.sum(np.abs(rows, out=rows)))
        count += rows.size
    return Values(low, high, total / count)


def blocks_of(samples: npt.NDArray[Any]) -> Iterable[npt.NDArray[Any]]:
    """Cut samples (N, ...) into blocks (n, features), so that no copy of them all is made."""
    for start in range(0, len(samples), BLOCK_ROWS):
        block = samples[start : start + BLOCK_ROWS]
        yield block.reshape(len(block), -1)


def choose_scale(
    values: Values, dtype: np.dtype[Any], *, image: bool
) -> tuple[float, tuple[str, ...]]:
    """Choose what multiplies samples to reach about [0, 1] or [-1, 1].

    Whole numbers are divided by the largest absolute value. So are floats whose mean absolute
    value is above 2.5 and images of floats above 1.5 (by 255 if the largest is from 128 to 255),
    which have not been scaled before. Other floats are taken as they are.

    Returns
    -------
    scale : float
    notes : tuple of str
        For people: that floats are divided, and that columns of very different ranges should be
        standardised.
    """
    largest, notes = values.largest, []
    range_ = f"from {values.low.min():.6g} to {values.high.max():.6g}"
    if dtype.kind == "f":
        unscaled_image = image and values.low.min() >= 0 and largest > 1.5
        if not (values.mean > SCALED_MEAN or unscaled_image):
            return 1.0, ()
        if image and values.low.min() >= 0 and 127 < largest <= 255:
            largest = 255.0
        notes.append(f"the samples hold numbers {range_}: they are divided by {largest:.6g}")
    largest = max(largest, 1.0) if dtype.kind != "f" else largest
    with np.errstate(over="ignore"):
        ranges = values.high - values.low
    ranges = ranges[ranges > 0]
    narrow = ranges * UNEVEN < largest
    if not image and np.count_nonzero(narrow) * 4 > ranges.size:
        notes.append(
            f"the samples hold numbers {range_}, but {np.count_nonzero(narrow)} of {ranges.size} "
            f"columns have a range of {ranges[narrow].max():.6g} or less, which is little "
            f"beside {largest:.6g}: standardise the columns, or train on a table (CSV, "
            f"Parquet), whose columns are scaled one by one"
        )
    return 1 / largest, tuple(notes)
