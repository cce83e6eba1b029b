"""Encoders: what turns one column of a table into inputs of a network.

An encoder is fitted on the training rows, and reads the column of other tables as the kind that it
had there: a value that cannot be read is missing, and a missing value is imputed, with an indicator
input if the training rows had missing values too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from anynet.config import register
from anynet.data.tables.column import is_missing
from anynet.data.tables.values import find_levels, to_categories, to_days, to_numbers, to_truth
from anynet.errors import InvalidArgumentError

#: Maximum number of inputs of one column; if it has more categories, the rarer ones share an input.
MOST_LEVELS = 50

#: Bound of the smooth clipping of numbers, in distances between the quartiles.
BOUND = 3.0

LARGEST = float(np.finfo(np.float64).max)

YEAR, WEEK = 365.2425, 7.0  # days
LAST_DAY = 3e6  # days from 1970, either way: beyond the years 1 to 9999


class Encoded(NamedTuple):
    """The inputs from one column.

    Attributes
    ----------
    x : ndarray of shape (N, K), float32
        The inputs.
    bad : ndarray of bool, (N,)
        Values that could not be read, which are missing.
    unseen : ndarray of bool, (N,)
        Categories that the training rows did not have.
    """

    x: np.ndarray
    bad: np.ndarray
    unseen: np.ndarray


class Encoder:
    """Base of encoders of one column: of those that make inputs of values, of which NaN is missing.

    A subclass is a frozen dataclass that is registered as an encoder.

    Attributes
    ----------
    column : str
        The name of the column.
    indicator : bool
        Whether an input indicates missing values, because the training rows had them.
    suffixes : tuple of str
        For the names of the inputs.
    read : callable
        Returns the values of a column, and where reading failed. A classmethod ``fit(name,
        column)`` measures the training rows.
    """

    kind: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    read = staticmethod(to_numbers)

    column: str
    indicator: bool

    def inputs(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the inputs of values, each (N,); they may be NaN where the values are."""
        return [values]

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return "0"

    def names(self) -> list[str]:
        """Return the names of the inputs."""
        suffixes = [*self.suffixes, *[": missing"] * self.indicator]
        return [self.column + suffix for suffix in suffixes]

    def encode(self, column: np.ndarray) -> Encoded:
        """Return the inputs of a column, 0 for a missing value, and the indicator if any."""
        values, bad = self.read(column)
        absent = np.isnan(values)
        inputs = [np.where(np.isnan(each), 0.0, each) for each in self.inputs(values)]
        if self.indicator:
            inputs.append(absent.astype(np.float64))
        x = np.stack(inputs, axis=1).astype(np.float32)
        return Encoded(x, bad, np.zeros(len(values), dtype=bool))


@dataclass(frozen=True)
class _Quantity(Encoder):
    """Base of encoders of values on a scale.

    Attributes
    ----------
    column : str
        The name of the column.
    center, scale : float
        Median and scale of the training rows, see `order_statistics`.
    indicator : bool
        Whether an input indicates missing values.
    """

    column: str
    center: float
    scale: float
    indicator: bool

    def __post_init__(self) -> None:
        """Check a scale that may be from a file."""
        if self.scale <= 0:
            message = f"scale must be positive, got {self.scale}"
            raise InvalidArgumentError(message)

    @classmethod
    def fit(cls, name: str, column: np.ndarray) -> Self:
        """Measure the training rows."""
        values, _ = cls.read(column)
        return cls(name, *order_statistics(values), bool(np.isnan(values).any()))

    def inputs(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the standardised values."""
        return [standard(values, self.center, self.scale)]


@register("encoder")
@dataclass(frozen=True)
class Number(_Quantity):
    """A number, centred and scaled by order statistics, and clipped smoothly.

    The median and the distance of the quartiles (half the range, if that is zero; 1 for a
    constant) replace mean and standard deviation, and z / √(1 + (z/3)²) keeps the result
    within (−3, 3), so that outliers have no effect. Missing values become the median.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", NeurIPS 2024, "robust scale and smooth clip". Without the
    clipping this is scikit-learn's ``RobustScaler``.
    """

    kind: ClassVar[str] = "number"

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return f"the median, {self.center:g}"


@register("encoder")
@dataclass(frozen=True)
class Date(_Quantity):
    """A date: its day as a `Number`, and its position in the year and in the week.

    Each position is (sin, cos) of an angle. Missing dates become the median day, in the middle of
    both circles. `center` is in days since 1970-01-01, `scale` in days.
    """

    kind: ClassVar[str] = "date"
    read = staticmethod(to_days)
    suffixes: ClassVar[tuple[str, ...]] = tuple(
        f": {part}" for part in ("day", "year sin", "year cos", "week sin", "week cos")
    )

    def __post_init__(self) -> None:
        """Check values that may be from a file."""
        super().__post_init__()
        if abs(self.center) > LAST_DAY:
            message = f"the median day is {self.center}"
            raise InvalidArgumentError(message)

    def inputs(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the standardised days, and sine and cosine of both positions."""
        angles = [2 * np.pi * values / period for period in (YEAR, WEEK)]
        circles = [function(angle) for angle in angles for function in (np.sin, np.cos)]
        return [*super().inputs(values), *circles]

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return f"the median, {np.datetime64('1970-01-01') + int(self.center)}"


@register("encoder")
@dataclass(frozen=True)
class Boolean(Encoder):
    """A truth value as 1 or 0; a missing one becomes the more frequent of them, ``fill``."""

    kind: ClassVar[str] = "boolean"
    read = staticmethod(to_truth)

    column: str
    fill: float
    indicator: bool

    @classmethod
    def fit(cls, name: str, column: np.ndarray) -> Self:
        """Measure the training rows."""
        values, _ = cls.read(column)
        absent = np.isnan(values)
        fill = 0.0 if absent.all() else float(np.mean(values[~absent]) > 0.5)
        return cls(name, fill, bool(absent.any()))

    def inputs(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the values with missing ones replaced."""
        return [np.where(np.isnan(values), self.fill, values)]

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return "true" if self.fill else "false"


@register("encoder")
@dataclass(frozen=True)
class Category(Encoder):
    """One of several categories: an input for each, which is 1 for that category and 0 otherwise.

    Beyond `MOST_LEVELS` the rarer categories share the input "other", which unseen ones use too;
    without it, unseen ones are 0 in every input. A missing value is a category if the training rows
    had one, otherwise it is 0 in every input. This is scikit-learn's ``OneHotEncoder`` with
    ``max_categories``.

    Attributes
    ----------
    column : str
        The name of the column.
    levels : tuple of str
        The categories with an input of their own.
    other : bool
        Whether there is an input for the rarer categories.
    indicator : bool
        Whether there is an input for missing values.
    rare : tuple of str
        The rarer categories of the training rows, as opposed to unseen ones.
    """

    kind: ClassVar[str] = "category"

    column: str
    levels: tuple[str, ...]
    other: bool
    indicator: bool
    rare: tuple[str, ...] = ()

    @classmethod
    def fit(cls, name: str, column: np.ndarray) -> Self:
        """Collect the categories of the training rows."""
        cells = to_categories(column)
        absent = is_missing(cells)
        levels, counts = np.unique(cells[~absent], return_counts=True)
        most = levels.size if levels.size <= MOST_LEVELS else MOST_LEVELS - 1
        by_count = levels[np.argsort(-counts, kind="stable")].tolist()
        frequent, rare = sorted(by_count[:most]), sorted(by_count[most:])
        return cls(name, tuple(frequent), bool(rare), bool(absent.any()), tuple(rare))

    def names(self) -> list[str]:
        """Return the names of the inputs."""
        names = [*self.levels, *["other"] * self.other, *["missing"] * self.indicator]
        return [f"{self.column} = {name}" for name in names]

    def encode(self, column: np.ndarray) -> Encoded:
        """Return the inputs of a column."""
        cells = to_categories(column)
        absent = is_missing(cells)
        code = find_levels(cells, (*self.levels, *self.rare))
        unseen = ~absent & (code < 0)
        width = len(self.levels) + self.other + self.indicator
        code[unseen | (code >= len(self.levels))] = len(self.levels) if self.other else -1
        code[absent] = width - 1 if self.indicator else -1
        x = np.zeros((len(cells), width), dtype=np.float32)
        rows = np.flatnonzero(code >= 0)
        x[rows, code[rows]] = 1.0
        return Encoded(x, np.zeros(len(cells), dtype=bool), unseen)

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return "a category of its own" if self.indicator else "none of the categories"


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


def standard(values: np.ndarray, center: float, scale: float) -> np.ndarray:
    """Return centred, scaled and smoothly clipped numbers; missing ones become 0, the median."""
    factor = _factor(max(abs(center), scale))
    with np.errstate(over="ignore"):
        z = np.clip((values * factor - center * factor) / (scale * factor), -1e6, 1e6)
    clipped: np.ndarray = np.nan_to_num(z / np.hypot(1, z / BOUND))
    return clipped


def _factor(largest: float) -> float:
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
