"""The column to predict: classes by their names, or values on a scale that suits a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.data.tables.hints import rewriting, typical
from anynet.data.tables.kinds import FEW, has_codes, large_integers, mostly_readable
from anynet.data.tables.numeric import mean_and_deviation
from anynet.data.tables.table import Table, is_missing, number_text, some
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

#: Standard deviations of a target: beyond these, its values and errors leave the range of float64.
SMALLEST_SCALE, LARGEST_SCALE = 1e-300, 1e300

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
        Whether all names are numbers.
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
        labels = find_levels(_names(column, decimal), self.levels)
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

    Numbers are values to regress on. Classes are a few whole numbers, codes with leading zeros,
    whole numbers beyond 2^53, columns that are categorical by their type, and all else.
    """
    column = table.columns[name]
    values, bad = to_numbers(column, table.decimal)
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
    values, bad = to_numbers(column, table.decimal)
    placeholder = is_placeholder(column)
    among_numbers = not np.any(bad)
    absent, notes = is_missing(column), []
    if task == "regression" or among_numbers:
        absent |= placeholder
    elif placeholder.any():
        kept = np.unique(column[placeholder])
        notes.append(
            f"{name}: {np.sum(placeholder):,} rows hold {some(kept)}, which is taken for a class: "
            f"leave the cells empty if the target is missing there"
        )
    bad = bad & ~absent if task == "regression" else np.zeros(len(column), dtype=bool)
    if np.all(absent | bad):
        shown = f", but words such as {_example(column[bad], table)}" if bad.any() else ""
        kind = "number" if task == "regression" else "value"
        message = f"{table.name}: the target {name!r} holds no {kind}{shown}"
        raise DataError(message)
    if absent.any():
        marked = np.flatnonzero(absent & placeholder)
        shown = f" ({str(column[marked[0]])!r} in {table.where(marked[0])})" if marked.size else ""
        notes.append(f"{name}: {np.sum(absent):,} rows have no target{shown}: left out")
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        notes.append(
            f"{name}: {np.sum(bad):,} rows have a target that is no number "
            f"({str(column[row])[:30]!r} in {table.where(row)}): left out"
        )
    large = int(np.sum(large_integers(column, values))) if task == "regression" else 0
    if large:
        notes.append(f"{name}: {large:,} whole numbers are beyond 2^53, and rounded to float64")
    left_out = absent | bad
    return (table.take(~left_out) if left_out.any() else table), notes


def _example(cells: np.ndarray, table: Table) -> str:
    """Show a typical one of cells that are no numbers, and how to write it if it is one."""
    hint = rewriting(cells, table.decimal)
    return f"{hint[0][:30]!r}: {hint[1]}" if hint else repr(typical(cells)[:30])


def _names(column: np.ndarray, decimal: str) -> np.ndarray:
    """Return a column as names of classes: decimal commas become points, all else stays."""
    text = to_text(column)
    if decimal != "," or not np.any(np.strings.find(text, ",") >= 0):
        return text
    values, bad = to_numbers(text, decimal)
    commas = (np.strings.find(text, ",") >= 0) & ~bad
    names = text.copy()
    names[commas] = [number_text(value) for value in values[commas].tolist()]
    return names


def find_classes(table: Table, name: str) -> Classes:
    """Collect the classes of a target, one for each text: numbers in their order, else words.

    Raises
    ------
    DataError
        If there are fewer than two, or so many that they are no classes.
    """
    names = _names(table.columns[name], table.decimal)
    levels: list[str] = np.unique(names).tolist()
    numeric = not np.isnan(to_numbers(names)[0]).any()
    if numeric:
        levels.sort(key=lambda level: exact_number(level) or 0)
    if len(levels) < 2:
        message = (
            f"{table.name}: the target {name!r} has one class, {levels[0]!r}: expected two at least"
        )
        raise DataError(message)
    if len(levels) > max(2, MOST_CLASSES * table.n_rows):
        rewrite = rewriting(names, table.decimal)
        example = rewrite[0] if rewrite else typical(names)
        hint = f", or {rewrite[1]}" if rewrite else ""
        hint = (
            ", or --task regression (task='regression') if these are numbers" if numeric else hint
        )
        message = (
            f"{table.name}: the target {name!r} has {len(levels)} different values in "
            f"{table.n_rows} rows, such as {example[:30]!r}, which are no classes: choose "
            f"another column{hint}"
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
    if np.all(values == values[0]):
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
