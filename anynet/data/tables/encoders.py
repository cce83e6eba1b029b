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
from anynet.data.tables.statistics import order_statistics, standard
from anynet.data.tables.values import to_days, to_numbers, to_truth
from anynet.errors import InvalidArgumentError

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
    reads : str
        The kind of the column, see `anynet.data.tables.kinds`.
    n_numbers : int
        The first inputs that are numbers on a scale, not 0 or 1, sines or codes.
    column : str
        The name of the column.
    indicator : bool
        Whether the training rows had missing values.
    suffixes : tuple of str
        For the names of the inputs.
    read : callable
        Returns the values of a column, and where reading failed. A classmethod ``fit(name,
        column)`` measures the training rows.
    """

    kind: ClassVar[str]
    reads: ClassVar[str]
    n_numbers: ClassVar[int] = 0
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    read = staticmethod(to_numbers)

    column: str
    indicator: bool

    @property
    def flags_missing(self) -> bool:
        """Whether an input indicates missing values."""
        return self.indicator

    def inputs(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the inputs of values, each (N,); they may be NaN where the values are."""
        return [values]

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return "0"

    def names(self) -> list[str]:
        """Return the names of the inputs."""
        suffixes = [*self.suffixes, *[": missing"] * self.flags_missing]
        return [self.column + suffix for suffix in suffixes]

    def encode(self, column: np.ndarray) -> Encoded:
        """Return the inputs of a column, 0 for a missing value, and the indicator if any."""
        values, bad = self.read(column)
        absent = np.isnan(values)
        inputs = [np.where(np.isnan(each), 0.0, each) for each in self.inputs(values)]
        if self.flags_missing:
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
    limits : (float, float) or None
        Smallest and largest value of the training rows, for forms; None if there was none, and in
        files of earlier versions.
    """

    n_numbers: ClassVar[int] = 1

    column: str
    center: float
    scale: float
    indicator: bool
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check numbers that may be from a file."""
        if self.scale <= 0:
            message = f"scale must be positive, got {self.scale}"
            raise InvalidArgumentError(message)
        if self.limits is not None and not self.limits[0] <= self.limits[1]:
            message = f"limits must be (smallest, largest), got {self.limits}"
            raise InvalidArgumentError(message)

    @classmethod
    def fit(cls, name: str, column: np.ndarray) -> Self:
        """Measure the training rows."""
        values, _ = cls.read(column)
        present = values[~np.isnan(values)]
        limits = (float(np.min(present)), float(np.max(present))) if present.size else None
        return cls(name, *order_statistics(values), present.size < values.size, limits)

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
    reads: ClassVar[str] = kind

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
    reads: ClassVar[str] = kind
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
        return f"the median, {np.datetime64(int(self.center), 'D')}"


@register("encoder")
@dataclass(frozen=True)
class Boolean(Encoder):
    """A truth value as 1 or 0; a missing one becomes the more frequent of them.

    Attributes
    ----------
    column : str
        The name of the column.
    fill : float
        The more frequent value of the training rows.
    indicator : bool
        Whether the training rows had missing values, which an input indicates.
    signed : bool
        Whether the values are 1 and -1, and a missing one 0 without an indicator.
    """

    kind: ClassVar[str] = "boolean"
    reads: ClassVar[str] = kind
    read = staticmethod(to_truth)

    column: str
    fill: float
    indicator: bool
    signed: bool = False

    @classmethod
    def fit(cls, name: str, column: np.ndarray, *, signed: bool = False) -> Self:
        """Measure the training rows."""
        values, _ = cls.read(column)
        absent = np.isnan(values)
        fill = 0.0 if absent.all() else float(np.mean(values[~absent]) > 0.5)
        return cls(name, fill, bool(absent.any()), signed)

    @property
    def flags_missing(self) -> bool:
        """Whether an input indicates missing values."""
        return self.indicator and not self.signed

    def inputs(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the values with missing ones replaced."""
        return [2 * values - 1 if self.signed else np.where(np.isnan(values), self.fill, values)]

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return "neither of them" if self.signed else "true" if self.fill else "false"
