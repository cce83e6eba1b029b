"""Statistics of columns of numbers that are finite for all finite values."""

from __future__ import annotations

import numpy as np

#: Bound of the smooth clipping of numbers, in distances between the quartiles.
BOUND = 3.0

#: Largest number, in distances between the quartiles, that the smooth clipping distinguishes.
MOST_SCALES = 1e6

LARGEST = float(np.finfo(np.float64).max)


def order_statistics(values: np.ndarray) -> tuple[float, float]:
    """Return the median and the scale of the values that are not missing.

    The scale is the distance between the quartiles, half the range if that is zero, and 1 if all
    values are equal. Both are finite for all finite values.
    """
    present = values[~np.isnan(values)]
    if not present.size:
        return 0.0, 1.0
    factor = overflow_factor(float(np.max(np.abs(present))))
    statistics = np.percentile(present * factor, (0, 25, 50, 75, 100)).tolist()
    low, first, median, third, high = statistics
    scale = third - first or (high - low) / 2 or high - low or factor
    return max(min(median / factor, LARGEST), -LARGEST), min(scale / factor, LARGEST)


def standard(values: np.ndarray, center: float, scale: float) -> np.ndarray:
    """Return centred, scaled and smoothly clipped numbers; missing ones become 0, the median."""
    factor = overflow_factor(max(abs(center), scale))
    with np.errstate(over="ignore"):
        z = np.clip(
            (values * factor - center * factor) / (scale * factor), -MOST_SCALES, MOST_SCALES
        )
    clipped: np.ndarray = np.nan_to_num(smooth_clip(z))
    return clipped


def smooth_clip(z: np.ndarray) -> np.ndarray:
    """Return z / √(1 + (z/3)²), which is within (−3, 3)."""
    clipped: np.ndarray = z / np.sqrt(1 + (z / BOUND) ** 2)
    return clipped


def robust_factors(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of each column, and the factor by which the robust scale divides.

    Parameters
    ----------
    x : ndarray of shape (N, I)
        Columns of moderate numbers, none missing.

    Returns
    -------
    centers, factors : ndarray of shape (I,)
        The factor is 1 / (distance of the quartiles), 2 / range if that is zero, and 0 for a
        constant column.
    """
    low, first, median, third, high = np.percentile(x, (0, 25, 50, 75, 100), axis=0)
    scale = np.where(third > first, third - first, (high - low) / 2)
    factors: np.ndarray = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    return median, factors


def overflow_factor(largest: float) -> float:
    """Return an exact factor, a power of 2, with which differences of numbers do not overflow.

    It is 1 for all but the largest numbers, so that the smallest lose no digits.
    """
    return 0.25 if largest > LARGEST / 4 else 1.0


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of finite values, without overflow."""
    scaled, exponent = _near_one(values)
    mean, deviation = np.ldexp((np.mean(scaled), np.std(scaled)), exponent).tolist()
    return mean, deviation


def root_mean_square(values: np.ndarray) -> float:
    """Return the root mean square of finite values, without overflow."""
    scaled, exponent = _near_one(values)
    return float(np.ldexp(np.sqrt(np.mean(scaled**2)), exponent))


def _near_one(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Return x in [-1, 1] and e with values = x 2^e: exact, and sums of x do not overflow."""
    exponent = int(np.frexp(np.max(np.abs(values)))[1])
    return np.ldexp(values, -exponent), exponent
