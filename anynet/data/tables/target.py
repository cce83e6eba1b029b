"""The column to predict: classes by their names, or values on a scale that suits a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.data.tables.kinds import FEW, SHARE
from anynet.data.tables.table import Table, is_missing, number_text
from anynet.data.tables.values import to_categories, to_numbers
from anynet.errors import DataError, InvalidArgumentError

#: The largest standardised value whose square is a finite float32.
LARGEST = 1e19

#: More classes than this share of the rows are no classes.
MOST_CLASSES = 0.5


@dataclass(frozen=True)
class Classes:
    """A column of class names.

    Attributes
    ----------
    column : str
    levels : tuple of str
        The names as they stand in the table; a label is an index into it.
    numeric : bool
        Whether the names are numbers, so that 1 and 1.0 are the same.
    """

    task: ClassVar[str] = "classification"

    column: str
    levels: tuple[str, ...]
    numeric: bool

    def __post_init__(self) -> None:
        """Refuse names that are no numbers where they should be."""
        if self.numeric:
            list(map(float, self.levels))

    @property
    def outputs(self) -> tuple[str, int]:
        """The task and the outputs of a network for it."""
        return "classes", len(self.levels)

    def encode(self, column: np.ndarray, decimal: str) -> tuple[np.ndarray, np.ndarray]:
        """Return labels, int64, and where there is none: a missing value or an unknown class."""
        if self.numeric:
            values, _ = to_numbers(column, decimal)
            known: dict[Any, int] = {float(level): i for i, level in enumerate(self.levels)}
            cells = values.tolist()
        else:
            known = {level: i for i, level in enumerate(self.levels)}
            cells = to_categories(column).tolist()
        labels = np.array([known.get(cell, -1) for cell in cells], dtype=np.int64)
        return labels, labels < 0

    def decode(self, predicted: np.ndarray) -> np.ndarray:
        """Return the names of labels."""
        names: np.ndarray = np.array(self.levels)[predicted]
        return names


@dataclass(frozen=True)
class Values:
    """A column of numbers, brought to mean 0 and standard deviation 1 for training.

    Attributes
    ----------
    column : str
    mean, scale : float
        Of the training rows.
    """

    task: ClassVar[str] = "regression"

    column: str
    mean: float
    scale: float

    @property
    def outputs(self) -> tuple[str, int]:
        """The task and the outputs of a network for it."""
        return "values", 1

    def encode(self, column: np.ndarray, decimal: str) -> tuple[np.ndarray, np.ndarray]:
        """Return standardised values, float64, and where there is none that float32 can square."""
        values, _ = to_numbers(column, decimal)
        with np.errstate(over="ignore"):
            standardised = (values - self.mean) / self.scale
        return standardised, ~(np.abs(standardised) < LARGEST)

    def decode(self, predicted: np.ndarray) -> np.ndarray:
        """Return standardised values in the units of the table, float64."""
        values: np.ndarray = np.asarray(predicted, dtype=np.float64) * self.scale + self.mean
        return values


Target = Classes | Values

TARGETS: dict[str, Any] = {each.task: each for each in (Classes, Values)}
TASKS = tuple(TARGETS)


def infer_task(table: Table, name: str) -> str:
    """Judge by its values what a target is.

    Numbers are values to regress on, but a few whole numbers are classes; all else is classes.
    """
    column = table.columns[name]
    values, bad = to_numbers(column, table.decimal)
    present = values[~np.isnan(values)]
    if not present.size or np.sum(bad) > (1 - SHARE) * (present.size + np.sum(bad)):
        return "classification"
    distinct = np.unique(present)
    whole = bool(np.all(distinct == np.floor(distinct)))
    few = distinct.size <= 2 or distinct.size <= min(FEW, present.size / 5)
    return "classification" if whole and few else "regression"


def usable_rows(table: Table, name: str, task: str) -> tuple[Table, list[str]]:
    """Leave out the rows whose target cannot be learnt from.

    Returns
    -------
    rows : Table
    notes : list of str
        How many rows were left out, and why; empty if none.

    Raises
    ------
    DataError
        If none is left.
    """
    column = table.columns[name]
    absent, bad = is_missing(column), np.zeros(len(column), dtype=bool)
    if task == "regression":
        _, bad = to_numbers(column, table.decimal)
    if np.all(absent | bad):
        shown = f", but words such as {str(column[bad][0])[:30]!r}" if bad.any() else ""
        kind = "number" if task == "regression" else "value"
        message = f"{table.name}: the target {name!r} holds no {kind}{shown}"
        raise DataError(message)
    notes = []
    if absent.any():
        notes.append(f"{name}: {np.sum(absent):,} rows have no target: left out")
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        notes.append(
            f"{name}: {np.sum(bad):,} rows have a target that is no number "
            f"({str(column[row])[:30]!r} in {table.where(row)}): left out"
        )
    return (table.take(~(absent | bad)) if notes else table), notes


def find_classes(table: Table, name: str) -> Classes:
    """Collect the classes of a target: numbers in their order, else words in theirs.

    Raises
    ------
    DataError
        If there are fewer than two, or so many that they are no classes.
    """
    column = table.columns[name]
    words = np.unique(to_categories(column)).tolist()
    values, bad = to_numbers(column, table.decimal)
    numeric = not bad.any()
    levels: list[str] = words
    if numeric:
        numbers = np.unique(values).tolist()
        same = len(numbers) == len(words) and table.decimal == "."
        levels = sorted(words, key=float) if same else [number_text(each) for each in numbers]
    if len(levels) < 2:
        message = (
            f"{table.name}: the target {name!r} has one class, {levels[0]!r}: expected two at least"
        )
        raise DataError(message)
    if len(levels) > max(2, MOST_CLASSES * table.n_rows):
        hint = "--task regression (task='regression') if these are numbers" if numeric else ""
        message = (
            f"{table.name}: the target {name!r} has {len(levels)} different values in "
            f"{table.n_rows} rows, such as {levels[0][:30]!r}, which are no classes: choose "
            f"another column{hint and ', or ' + hint}"
        )
        raise DataError(message)
    return Classes(name, tuple(levels), numeric)


def measure_values(name: str, column: np.ndarray, decimal: str) -> Values:
    """Measure the values of the training rows.

    Raises
    ------
    DataError
        If they are all the same.
    """
    values, _ = to_numbers(column, decimal)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(np.mean(values)), float(np.std(values))
    if not np.isfinite(scale):
        message = (
            f"the target {name!r} has values as large as {np.max(np.abs(values)):g}: scale them"
        )
        raise DataError(message)
    if np.all(values == values[0]) or scale == 0:
        message = (
            f"the target {name!r} is {values[0]:g} in every row for training: nothing to learn"
        )
        raise DataError(message)
    return Values(name, mean, scale)


def check_task(task: str | None) -> str | None:
    """Check the name of a task, and return it.

    Raises
    ------
    InvalidArgumentError
        If there is no such task.
    """
    if task is not None and task not in TASKS:
        message = f"task must be one of {', '.join(TASKS)}, got {task!r}"
        raise InvalidArgumentError(message)
    return task
