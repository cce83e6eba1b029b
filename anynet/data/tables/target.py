"""The column to predict: classes by their names, or values on a scale that suits a network."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.config import register
from anynet.data.tables.column import TEXT, is_missing
from anynet.data.tables.hints import rewriting, typical
from anynet.data.tables.kinds import FEW, has_codes, large_integers, mostly_readable
from anynet.data.tables.statistics import mean_and_deviation
from anynet.data.tables.table import Table, some
from anynet.data.tables.values import (
    exact_number,
    find_levels,
    is_placeholder,
    to_numbers,
    to_text,
)
from anynet.errors import DataError, InvalidArgumentError

#: The largest standardised value whose square is a finite float32.
LARGEST = 1e19

#: Standard deviations of a target: beyond these, its values and errors exceed float64.
SMALLEST_SCALE, LARGEST_SCALE = 1e-300, 1e300

#: Maximum share of the rows that are different classes.
MOST_CLASSES = 0.5

TASKS = ("classification", "regression")


@register("target")
@dataclass(frozen=True)
class Classes:
    """A column of class names.

    Attributes
    ----------
    column : str
        The name of the column.
    levels : tuple of str
        The names as they are in the table; a label is an index into it.
    numeric : bool
        Whether all names are numbers.
    dtype : str
        The type of the labels in memory from which the names were made, such as "int64", "bool" or
        "object" (text), which `decode` returns. "": the names are returned.
    """

    kind: ClassVar[str] = "classification"
    task: ClassVar[str] = kind

    column: str
    levels: tuple[str, ...]
    numeric: bool
    dtype: str = ""

    def __post_init__(self) -> None:
        """Check names that should be numbers, or of a type."""
        if self.numeric:
            list(map(float, self.levels))
        _ = self.values

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The classes in the order of labels, of their type in memory."""
        if self.dtype in ("", "object"):
            return np.array(self.levels, dtype=self.dtype or None)
        dtype = np.dtype(self.dtype)
        if dtype.kind == "b":
            return np.array([level == "True" for level in self.levels])
        if dtype.kind in "iu":
            return np.array([int(level) for level in self.levels], dtype=dtype)
        if dtype.kind == "f":
            return np.array([float(level) for level in self.levels], dtype=dtype)
        message = (
            f"labels must be of a type of integers, floats, bool or object, got {self.dtype!r}"
        )
        raise InvalidArgumentError(message)

    @property
    def outputs(self) -> tuple[str, int]:
        """The task and the number of outputs of a network for it."""
        return "classes", len(self.levels)

    def encode(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return labels, int64, and where there is none: a missing value or an unknown class."""
        labels = find_levels(to_text(column), self.levels)
        return labels, labels < 0

    def decode(self, predicted: np.ndarray) -> np.ndarray:
        """Return the classes of labels: their names, or of the type that they had in memory."""
        classes: np.ndarray = self.values[predicted]
        return classes


@register("target")
@dataclass(frozen=True)
class Values:
    """A column of numbers, standardised to mean 0 and standard deviation 1 for training.

    Attributes
    ----------
    column : str
        The name of the column.
    mean, scale : float
        Mean and standard deviation of the training rows.
    bounds : (float, float) or None
        The smallest and the largest value of the training rows, to which predictions are clamped;
        None if they are not.
    """

    kind: ClassVar[str] = "regression"
    task: ClassVar[str] = kind

    column: str
    mean: float
    scale: float
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check numbers that may be from a file."""
        if self.bounds is not None and self.bounds[0] > self.bounds[1]:
            message = f"bounds must be (smallest, largest), got {self.bounds}"
            raise InvalidArgumentError(message)
        if self.scale <= 0:
            message = f"scale must be positive, got {self.scale}"
            raise InvalidArgumentError(message)

    @property
    def outputs(self) -> tuple[str, int]:
        """The task and the number of outputs of a network for it."""
        return "values", 1

    def encode(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return standardised values, float64, and where there is none that float32 can square."""
        values, _ = to_numbers(column)
        with np.errstate(over="ignore"):
            standardised = (values - self.mean) / self.scale
        return standardised, ~(np.abs(standardised) < LARGEST)

    def decode(self, predicted: np.ndarray) -> np.ndarray:
        """Return standardised values in the units of the table, float64."""
        values: np.ndarray = np.asarray(predicted, dtype=np.float64) * self.scale + self.mean
        return values if self.bounds is None else np.clip(values, *self.bounds)


Target = Classes | Values


def infer_task(table: Table, name: str) -> str:
    """Judge by the values of a target what its task is.

    Numbers are values for regression. Classes are a few whole numbers, codes with leading zeros,
    whole numbers beyond 2^53, columns of a categorical type, and everything else.

    Parameters
    ----------
    table : Table
        All rows.
    name : str
        The target.

    Returns
    -------
    {"classification", "regression"}
        The task.
    """
    column = table.columns[name]
    values, bad = to_numbers(column)
    present = values[~np.isnan(values)]
    if not mostly_readable(values, bad) or name in table.categorical or has_codes(column):
        return "classification"
    if np.sum(large_integers(column, values)) > present.size / 2:  # identifiers
        return "classification"
    distinct = np.unique(present)
    whole = bool(np.all(distinct == np.floor(distinct)))
    few = distinct.size <= 2 or distinct.size <= min(FEW, present.size / 5)
    return "classification" if whole and few else "regression"


def usable_rows(table: Table, name: str, task: str) -> tuple[Table, list[str]]:
    """Leave out the rows whose target cannot be learnt from.

    Parameters
    ----------
    table : Table
        All rows.
    name : str
        The target.
    task : {"classification", "regression"}
        Its task.

    Returns
    -------
    rows : Table
        The rows that are left.
    notes : list of str
        How many rows were left out, and why; empty if none.

    Raises
    ------
    DataError
        If none is left.
    """
    column = table.columns[name]
    values, bad = to_numbers(column)
    placeholder = is_placeholder(column)
    absent, notes = is_missing(column), []
    if task == "regression" or not np.any(bad):
        absent |= placeholder
    elif placeholder.any():
        kept = np.unique(column[placeholder])
        notes.append(
            f"{name}: {np.sum(placeholder):,} rows hold {some(kept)}, which is taken as a class: "
            f"leave the cells empty if the target is missing there"
        )
    bad = bad & ~absent & (task == "regression")
    left_out = absent | bad
    if np.all(left_out):
        shown = f", but text such as {_example(column[bad])}" if bad.any() else ""
        kind = "number" if task == "regression" else "value"
        message = f"{table.name}: the target {name!r} holds no {kind}{shown}"
        raise DataError(message)
    if absent.any():
        marked = absent & placeholder
        shown = f" ({table.shown(name, marked)})" if marked.any() else ""
        notes.append(f"{name}: {np.sum(absent):,} rows have no target{shown}: left out")
    if bad.any():
        notes.append(
            f"{name}: {np.sum(bad):,} rows have a target that is not a number "
            f"({table.shown(name, bad)}): left out"
        )
    large = int(np.sum(large_integers(column, values))) if task == "regression" else 0
    if large:
        notes.append(f"{name}: {large:,} whole numbers are beyond 2^53, and rounded to float64")
    return (table.take(~left_out) if left_out.any() else table), notes


def _example(cells: np.ndarray) -> str:
    """Return a typical one of cells that are not numbers, and how to write it if it is one."""
    hint = rewriting(cells)
    return f"{hint[0][:30]!r}: {hint[1]}" if hint else repr(typical(cells)[:30])


def find_classes(table: Table, name: str) -> Classes:
    """Collect the classes of a target, one for each text, in the order of numbers or of text.

    Parameters
    ----------
    table : Table
        The rows with a target.
    name : str
        The target.

    Returns
    -------
    Classes
        The classes.

    Raises
    ------
    DataError
        If there are fewer than two, or too many for the number of rows.
    """
    names = to_text(table.columns[name])
    levels: list[str] = np.unique(names).tolist()
    numeric = not np.isnan(to_numbers(names)[0]).any()
    if numeric:
        levels.sort(key=lambda level: exact_number(level) or 0)
    if len(levels) < 2:
        message = (
            f"{table.name}: the target {name!r} has one class, {levels[0]!r}: expected at least two"
        )
        raise DataError(message)
    if len(levels) > max(2, MOST_CLASSES * table.n_rows):
        example, way = rewriting(names) or (typical(names), "")
        way = "task='regression' if these are numbers" if numeric else way
        advice = f", or {way}" if way else ""
        message = (
            f"{table.name}: the target {name!r} has {len(levels)} different values in "
            f"{table.n_rows} rows, such as {example[:30]!r}, which are not classes: choose "
            f"another column{advice}"
        )
        raise DataError(message)
    return Classes(name, tuple(levels), numeric)


def notes_on_classes(target: Classes, *, inferred: bool) -> list[str]:
    """Return notes on numbers that were taken as classes, and on classes that may be the same.

    Parameters
    ----------
    target : Classes
        The classes.
    inferred : bool
        Whether the task was inferred from the values.

    Returns
    -------
    list of str
        The notes.
    """
    name, levels = target.column, target.levels
    notes = []
    if inferred and target.numeric and len(levels) > 2:
        notes.append(
            f"{name}: its {len(levels)} different whole numbers are taken as classes; "
            f"choose the task regression if they are amounts"
        )
    values: dict[object, list[str]] = {}
    for level in levels:
        number = exact_number(level)
        values.setdefault(level if number is None else number, []).append(level)
    same = [each for each in values.values() if len(each) > 1]
    if same:
        notes.append(
            f"{name}: the classes {some(same[0])} are the same number written differently: write "
            f"them alike if they are one class"
        )
    hint = rewriting(np.array(levels, dtype=TEXT))
    if hint and not target.numeric:
        notes.append(f"{name}: {hint[1]}, not as {hint[0][:30]!r}, if its classes are amounts")
    return notes


def measure_values(
    name: str, column: np.ndarray, *, clamp: bool = False, constant: bool = False
) -> Values:
    """Measure the values of the training rows.

    Parameters
    ----------
    name : str
        The target.
    column : ndarray of shape (N,)
        Its values.
    clamp : bool
        Whether predictions are clamped to the range of these values.
    constant : bool
        Whether the values may all be the same, which is then every prediction.

    Returns
    -------
    Values
        The target with mean and standard deviation.

    Raises
    ------
    DataError
        If they are all the same, or too large or too close to each other for float64.
    """
    values, _ = to_numbers(column)
    low, high = float(np.min(values)), float(np.max(values))
    if low == high and constant:
        return Values(name, low, 1.0, (low, high))
    if low == high:
        message = (
            f"the target {name!r} is {values[0]:g} in every row for training: nothing to learn"
        )
        raise DataError(message)
    mean, scale = mean_and_deviation(values)
    if not SMALLEST_SCALE < scale < LARGEST_SCALE:
        size = (
            f"large as {np.max(np.abs(values)):g}"
            if scale > 1
            else f"close to each other as {scale:g}"
        )
        message = f"the target {name!r} has values as {size}: scale them"
        raise DataError(message)
    return Values(name, mean, scale, (low, high) if clamp else None)
