"""Data in memory, x and y, as one table with judged columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from anynet.checks import check_choice
from anynet.data.files import one_line
from anynet.data.tables.column import TEXT, as_column, is_missing, number_text
from anynet.data.tables.kinds import Found, infer_kinds, notes_on_kinds
from anynet.data.tables.load import read_table, with_numbers
from anynet.data.tables.marked import infer_marks
from anynet.data.tables.table import Table, as_name
from anynet.data.tables.target import TASKS, Classes, infer_task
from anynet.errors import InvalidArgumentError

#: Types of labels: booleans, integers, floats, text, objects.
_LABELS = "biufUTO"


class Supervised(NamedTuple):
    """A table for training.

    Attributes
    ----------
    table : Table
        The columns of x, and the target.
    names : tuple of str or None
        The names of the columns of x as given; None if they have none, or not all are text.
    found : dict of str to Found
        The kinds of the columns of x.
    target : str
        The column of the target; "" without y.
    classes : Classes or None
        The classes of y; None for regression. `Classes.values` has the type of y.
    notes : tuple of str
        What was done about columns.
    """

    table: Table
    names: tuple[str, ...] | None
    found: dict[str, Found]
    target: str
    classes: Classes | None
    notes: tuple[str, ...]


def table_of(
    x: Any, y: Any = None, *, columns: Mapping[Any, str] | None = None, task: str | None = None
) -> Supervised:
    """Return x and y as one table, with the kinds of the columns.

    Columns of numbers are numbers, also of a few whole numbers; columns of a categorical type,
    of booleans, dates and text have their kinds; text that names the rows is ignored. New rows need
    not pass here: `Preprocessing.encode` takes them as they are.

    Parameters
    ----------
    x : data frame, mapping of names to columns, or array_like of shape (N, I)
        See `Table.of`.
    y : array_like of shape (N,) or (N, 1), optional
        The target: labels (text, booleans or numbers), or numbers.
    columns : mapping of str or int to str, optional
        Kinds of columns, which override detection: "number", "boolean", "date", "category" or
        "ignored". Columns without names are numbered from 0.
    task : {"classification", "regression"}, optional
        By default numbers are values for regression; a few whole numbers, and others, are classes.

    Returns
    -------
    Supervised
        The table, the kinds and the classes.

    Raises
    ------
    InvalidArgumentError
        If x or y is not of such a type, or y has another number of rows or missing values.
    DataError
        If `columns` has an unknown column, or one without a value of that kind.

    Examples
    --------
    >>> from anynet.data.tables import table_of
    >>> made = table_of({"size": [1.5, 2.0, 3.5], "colour": ["red", "blue", "red"]}, [7, 8, 7])
    >>> {name: each.kind for name, each in made.found.items()}
    {'size': 'number', 'colour': 'category'}
    >>> made.classes.values
    array([7, 8])
    """
    table = read_table(x)
    kinds = {as_name(name): kind for name, kind in (columns or {}).items()}
    table, notes = infer_marks(table, kinds=kinds)
    found = infer_kinds(table, None, kinds)
    numbers = [name for name, each in found.items() if each.kind == "number"]
    table = with_numbers(table, numbers)
    notes = [*table.notes, *notes, *notes_on_kinds(found)]
    names = _names(x) if table.named else None
    if y is None:
        return Supervised(table, names, found, "", None, tuple(notes))
    target = free_name(getattr(y, "name", None), table)
    column, classes = _target(y, target, task)
    if len(column) != table.n_rows:
        message = f"x and y must have the same number of rows, got {table.n_rows} and {len(column)}"
        raise InvalidArgumentError(message)
    table = replace(table, columns=table.columns | {target: column})
    return Supervised(table, names, found, target, classes, tuple(notes))


def _names(x: Any) -> tuple[str, ...] | None:
    """Return the names of the columns as given, if all are text."""
    if isinstance(x, Table):
        return tuple(x.columns)
    names: Any = getattr(x, "column_names", None)  # of pyarrow
    if names is None and type(x).__name__ == "LazyFrame":
        names = x.collect_schema().names()
    if names is None:
        fields = getattr(getattr(x, "dtype", None), "names", None)
        names = fields or (x if isinstance(x, Mapping) else getattr(x, "columns", ()))
    return tuple(names) if all(isinstance(name, str) for name in names) else None


def free_name(name: Any, table: Table) -> str:
    """Return a name for the target that no column has."""
    free = as_name("y" if name in (None, "") else name)
    while free in table.columns or free in table.left_out:
        free += "_"
    return free


def _target(y: Any, name: str, task: str | None) -> tuple[np.ndarray, Classes | None]:
    """Return the target as a column: the names of its classes, or numbers."""
    if task is not None:
        check_choice("task", task, TASKS)
    array = _one_dimension(y)
    column = as_column(array, "y")
    absent = is_missing(column)
    if array.dtype.kind in "UTO":  # text such as "NA" is a class
        absent = np.array([is_absent(cell) for cell in array.tolist()], dtype=bool)
    if absent.any():
        message = (
            f"y must have a finite value in each row, got {np.sum(absent)} missing or infinite, "
            f"the first in row {np.argmax(absent) + 1}: leave these rows out"
        )
        raise InvalidArgumentError(message)
    if task is None:
        categorical = frozenset([name] if array.dtype.kind in "UTO" else [])
        task = infer_task(Table("y", {name: column}, categorical=categorical), name)
    if task == "classification":
        return _labels(array, name)
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        message = f"y must be numbers for regression, got {array.dtype}: {one_line(error)}"
        raise InvalidArgumentError(message) from error
    return numbers, None


def _one_dimension(y: Any) -> np.ndarray:
    """Return y as an array (N,) of the type of its values."""
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in _LABELS or not array.size:
        message = (
            f"y must be labels or numbers, one for each row, got {type(y).__name__} of shape "
            f"{array.shape} and type {array.dtype}"
        )
        raise InvalidArgumentError(message)
    if array.dtype.kind == "O":
        types = {type(cell) for cell in array.tolist()}
        if all(issubclass(each, (bool, int, float, np.number, np.bool_)) for each in types):
            array = np.array(array.tolist())
    return array


def is_absent(cell: Any) -> bool:
    """Return whether a cell is None, NaN or a missing value of pandas."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or bool(cell != cell)


def _labels(array: np.ndarray, name: str) -> tuple[np.ndarray, Classes]:
    """Return the names of the classes of all rows, and the classes, sorted as their type is."""
    dtype = "" if array.dtype.kind in "UT" else array.dtype.name
    if array.dtype.kind == "T":
        array = array.astype(object)
    try:
        values, places = np.unique(array, return_inverse=True)
    except TypeError as error:
        message = f"the labels in y must be of one type: {one_line(error)}"
        raise InvalidArgumentError(message) from error
    if array.dtype.kind == "O" and not all(isinstance(value, str) for value in values.tolist()):
        message = f"labels must be text, booleans or numbers, got {values.tolist()!r:.60}"
        raise InvalidArgumentError(message)
    if values.size < 2:
        message = f"y must have at least two classes, got {values.tolist()!r:.60}"
        raise InvalidArgumentError(message)
    levels = [
        number_text(value) if isinstance(value, float) else str(value) for value in values.tolist()
    ]
    numeric = array.dtype.kind in "iuf"
    classes = Classes(name, tuple(levels), numeric, dtype)
    return np.array(levels, dtype=TEXT)[places], classes
