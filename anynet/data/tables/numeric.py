"""Numbers and dates as inputs: scaled by order statistics, so that wild values move nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.data.tables.encoding import Encoded, encoded, indicator_name
from anynet.data.tables.values import to_days, to_numbers

#: Where the smooth clipping of numbers ends: three times the distance between the quartiles.
BOUND = 3.0

LARGEST = float(np.finfo(np.float64).max)

YEAR, WEEK = 365.2425, 7.0  # days
LAST_DAY = 3e6  # since 1970, or before it: beyond the years 1 to 9999


@dataclass(frozen=True)
class Number:
    """A number, centred and scaled by order statistics, and clipped smoothly.

    The median and the distance of the quartiles (half the range, where that is zero; 1 for a
    constant) stand in for mean and standard deviation, and z / √(1 + (z/3)²) keeps the result
    within (−3, 3): a wild value moves nothing. Missing values become the median.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", NeurIPS 2024, "robust scale and smooth clip". Without the
    clipping this is scikit-learn's ``RobustScaler``.
    """

    kind: ClassVar[str] = "number"

    column: str
    center: float
    scale: float
    indicator: bool

    @classmethod
    def fit(cls, name: str, column: np.ndarray, decimal: str) -> Number:
        """Measure the training rows."""
        values, _ = to_numbers(column, decimal)
        return cls(name, *order_statistics(values), bool(np.isnan(values).any()))

    def names(self) -> list[str]:
        """Name the inputs."""
        return [self.column, *indicator_name(self)]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:
        """Turn a column into inputs."""
        values, bad = to_numbers(column, decimal)
        return encoded([standard(values, self.center, self.scale)], values, bad, self.indicator)

    def imputed(self) -> str:
        """Say what a missing value becomes."""
        return f"the median, {self.center:g}"


@dataclass(frozen=True)
class Date:
    """A date: its day as a `Number`, and where it stands in the year and in the week.

    The year and the week are circles, (sin, cos) of the angle. Missing dates become the median
    day, in the middle of both circles.
    """

    kind: ClassVar[str] = "date"

    column: str
    center: float  # days since 1970-01-01, as the scale
    scale: float
    indicator: bool

    def __post_init__(self) -> None:
        """Refuse a day that no calendar has."""
        if abs(self.center) > LAST_DAY:
            message = f"the median day is {self.center}"
            raise ValueError(message)

    @classmethod
    def fit(cls, name: str, column: np.ndarray, decimal: str) -> Date:  # noqa: ARG003
        """Measure the training rows."""
        days, _ = to_days(column)
        return cls(name, *order_statistics(days), bool(np.isnan(days).any()))

    def names(self) -> list[str]:
        """Name the inputs."""
        parts = ("day", "year sin", "year cos", "week sin", "week cos")
        return [*(f"{self.column}: {part}" for part in parts), *indicator_name(self)]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:  # noqa: ARG002
        """Turn a column into inputs."""
        days, bad = to_days(column)
        parts = [standard(days, self.center, self.scale)]
        for period in (YEAR, WEEK):
            angle = 2 * np.pi * days / period
            parts += [np.sin(angle), np.cos(angle)]
        return encoded(parts, days, bad, self.indicator)

    def imputed(self) -> str:
        """Say what a missing value becomes."""
        return f"the median, {np.datetime64('1970-01-01') + int(self.center)}"


def order_statistics(values: np.ndarray) -> tuple[float, float]:
    """Return the median and the scale of the values that are not missing.

    The scale is the distance between the quartiles, half the range if that is zero, and 1 if all
    values are equal. Both are finite for all finite values.
    """
    present = values[~np.isnan(values)]
    if not present.size:
        return 0.0, 1.0
    factor = _factor(float(np.max(np.abs(present))))
    statistics = np.percentile(present * factor, (0, 25, 50, 75, 100)).tolist()
    low, first, median, third, high = statistics
    scale = third - first or (high - low) / 2 or high - low or factor
    return max(min(median / factor, LARGEST), -LARGEST), min(scale / factor, LARGEST)


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of finite values, without overflow on the way."""
    scaled, exponent = _near_one(values)
    mean, deviation = np.ldexp((np.mean(scaled), np.std(scaled)), exponent).tolist()
    return mean, deviation


def root_mean_square(values: np.ndarray) -> float:
    """Return the root mean square of finite values, without overflow on the way."""
    scaled, exponent = _near_one(values)
    return float(np.ldexp(np.sqrt(np.mean(scaled**2)), exponent))


def standard(values: np.ndarray, center: float, scale: float) -> np.ndarray:
    """Centre, scale and clip numbers smoothly; missing ones become 0, the median."""
    factor = _factor(max(abs(center), scale))
    with np.errstate(over="ignore"):
        z = np.clip((values * factor - center * factor) / (scale * factor), -1e6, 1e6)
    clipped: np.ndarray = np.nan_to_num(z / np.hypot(1, z / BOUND))
    return clipped


def _factor(largest: float) -> float:
    """Return a factor after which differences between numbers do not overflow: exact, a power of 2.

    It is 1 for all but the largest numbers, so that the smallest lose no digits.
    """
    return 0.25 if largest > LARGEST / 4 else 1.0


def _near_one(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Return x in [-1, 1] and e with values = x 2^e: exact, and sums of x do not overflow."""
    exponent = int(np.frexp(np.max(np.abs(values)))[1])
    return np.ldexp(values, -exponent), exponent
