"""How a column becomes inputs of a network: one class a kind, fitted on the training rows.

Every encoder reads a column of any table, so that what is there of another type is told and
handled: a value that cannot be read counts as missing, and a missing one is imputed, with an
indicator beside it where the training rows had missing ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from anynet.data.tables.table import is_missing
from anynet.data.tables.values import to_categories, to_days, to_numbers, to_truth

#: One column becomes so many inputs at most; of more categories, the rarer ones share an input.
MOST_LEVELS = 50

#: Where the smooth clipping of numbers ends: three times the distance between the quartiles.
BOUND = 3.0

YEAR, WEEK = 365.2425, 7.0  # days
LAST_DAY = 3e6  # since 1970, or before it: beyond the years 1 to 9999


class Encoded(NamedTuple):
    """The inputs that a column became.

    Attributes
    ----------
    x : ndarray of shape (N, K), float32
    bad : ndarray of bool, (N,)
        Where a value could not be read, and counted as missing.
    unseen : ndarray of bool, (N,)
        Where a category is that the training rows did not have.
    """

    x: np.ndarray
    bad: np.ndarray
    unseen: np.ndarray


class Encoder(Protocol):
    """What one column becomes."""

    kind: ClassVar[str]

    @property
    def column(self) -> str:
        """The name of the column."""

    @property
    def indicator(self) -> bool:
        """Whether an input tells that the value is missing, as the training rows had it."""

    def names(self) -> list[str]:
        """Name the inputs, K of them."""

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:
        """Turn a column into inputs."""

    def imputed(self) -> str:
        """Say what a missing value becomes."""


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
        return [self.column, *_indicator_name(self)]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:
        """Turn a column into inputs."""
        values, bad = to_numbers(column, decimal)
        return _encoded([standard(values, self.center, self.scale)], values, bad, self.indicator)

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
        return [*(f"{self.column}: {part}" for part in parts), *_indicator_name(self)]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:  # noqa: ARG002
        """Turn a column into inputs."""
        days, bad = to_days(column)
        parts = [standard(days, self.center, self.scale)]
        for period in (YEAR, WEEK):
            angle = 2 * np.pi * days / period
            parts += [np.sin(angle), np.cos(angle)]
        return _encoded(parts, days, bad, self.indicator)

    def imputed(self) -> str:
        """Say what a missing value becomes."""
        return f"the median, {np.datetime64('1970-01-01') + int(self.center)}"


@dataclass(frozen=True)
class Boolean:
    """True or false as 1 or 0; a missing value becomes the more frequent of them."""

    kind: ClassVar[str] = "boolean"

    column: str
    fill: float
    indicator: bool

    @classmethod
    def fit(cls, name: str, column: np.ndarray, decimal: str) -> Boolean:  # noqa: ARG003
        """Measure the training rows."""
        values, _ = to_truth(column)
        absent = np.isnan(values)
        fill = 0.0 if absent.all() else float(np.mean(values[~absent]) > 0.5)
        return cls(name, fill, bool(absent.any()))

    def names(self) -> list[str]:
        """Name the inputs."""
        return [self.column, *_indicator_name(self)]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:  # noqa: ARG002
        """Turn a column into inputs."""
        values, bad = to_truth(column)
        filled = np.where(np.isnan(values), self.fill, values)
        return _encoded([filled], values, bad, self.indicator)

    def imputed(self) -> str:
        """Say what a missing value becomes."""
        return "true" if self.fill else "false"


@dataclass(frozen=True)
class Category:
    """One of several words: an input for each, 1 where it stands and 0 elsewhere.

    Beyond `MOST_LEVELS` the rarer words share the input "other", which takes unseen ones too;
    without it, unseen ones have 0 everywhere. A missing value is a word of its own where the
    training rows had one, else it has 0 everywhere. This is scikit-learn's ``OneHotEncoder`` with
    ``max_categories``.
    """

    kind: ClassVar[str] = "category"

    column: str
    levels: tuple[str, ...]
    other: bool
    indicator: bool

    @classmethod
    def fit(cls, name: str, column: np.ndarray, decimal: str) -> Category:  # noqa: ARG003
        """Collect the words of the training rows."""
        words = to_categories(column)
        absent = is_missing(words)
        levels, counts = np.unique(words[~absent], return_counts=True)
        other = levels.size > MOST_LEVELS
        if other:
            levels = np.sort(levels[np.argsort(-counts, kind="stable")[: MOST_LEVELS - 1]])
        return cls(name, tuple(map(str, levels)), other, bool(absent.any()))

    def names(self) -> list[str]:
        """Name the inputs."""
        others = ["other"] if self.other else []
        words = [*self.levels, *others, *(["missing"] if self.indicator else [])]
        return [f"{self.column} = {word}" for word in words]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:  # noqa: ARG002
        """Turn a column into inputs."""
        words = to_categories(column)
        absent = is_missing(words)
        distinct, places = np.unique(words, return_inverse=True)
        known = {level: i for i, level in enumerate(self.levels)}
        elsewhere = len(self.levels) if self.other else -1
        code = np.array([known.get(str(word), elsewhere) for word in distinct], dtype=int)[places]
        unseen = ~absent & (code < 0)
        code[absent] = self._width - 1 if self.indicator else -1
        x = np.zeros((len(words), self._width), dtype=np.float32)
        rows = np.flatnonzero(code >= 0)
        x[rows, code[rows]] = 1.0
        return Encoded(x, np.zeros(len(words), dtype=bool), unseen)

    def imputed(self) -> str:
        """Say what a missing value becomes."""
        return "a category of its own" if self.indicator else "none of the categories"

    @property
    def _width(self) -> int:
        return len(self.levels) + self.other + self.indicator


ENCODERS: dict[str, Any] = {each.kind: each for each in (Number, Date, Boolean, Category)}


def order_statistics(values: np.ndarray) -> tuple[float, float]:
    """Return the median and the scale of the values that are there.

    The scale is the distance of the quartiles, half the range where that is zero, and 1 where all
    values are alike.
    """
    present = values[~np.isnan(values)]
    if not present.size:
        return 0.0, 1.0
    with np.errstate(over="ignore"):
        low, first, median, third, high = np.percentile(present, (0, 25, 50, 75, 100)).tolist()
        scale = third - first or (high - low) / 2 or 1.0
    return median, min(max(scale, 1e-300), 1e300)


def standard(values: np.ndarray, center: float, scale: float) -> np.ndarray:
    """Centre, scale and clip numbers smoothly; missing ones become 0, the median."""
    with np.errstate(over="ignore"):
        z = np.clip((values - center) / scale, -1e6, 1e6)
    clipped: np.ndarray = np.nan_to_num(z / np.hypot(1, z / BOUND))
    return clipped


def _encoded(
    parts: Sequence[np.ndarray], values: np.ndarray, bad: np.ndarray, indicator: bool
) -> Encoded:
    absent = np.isnan(values)
    columns = [np.where(np.isnan(part), 0.0, part) for part in parts]
    if indicator:
        columns.append(absent.astype(np.float64))
    x = np.stack(columns, axis=1).astype(np.float32)
    return Encoded(x, bad, np.zeros(len(values), dtype=bool))


def _indicator_name(encoder: Number | Date | Boolean) -> list[str]:
    return [f"{encoder.column}: missing"] if encoder.indicator else []
