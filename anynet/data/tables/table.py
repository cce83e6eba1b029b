"""A table in host memory: named columns of numbers or of text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anynet.errors import DataError, InvalidArgumentError

TEXT = np.dtypes.StringDType()

#: What stands for a missing value, in any case: as in pandas (see also `values.PLACEHOLDERS`),
#: "?" of the UCI repository, "\\N" of databases, and NumPy's form of a missing date.
MISSING = frozenset(
    ("", "na", "n/a", "#na", "#n/a", "#n/a n/a", "<na>", "null", "nat", "?", r"\n")
) | {"nan", "-nan", "snan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
_LONGEST = max(map(len, MISSING))

#: Whole numbers up to this have their own float64.
EXACT = 2**53


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length.

    Attributes
    ----------
    name : str
        Of its file, for messages.
    columns : dict of str to ndarray
        By name, in order: float64 with NaN where a value is missing, or text (NumPy's
        ``StringDType``) with "" there.
    lines : ndarray of int or None
        The line of the file on which each row begins; None where it has no lines.
    decimal : str
        "," if numbers in text may have decimal commas, else ".".
    notes : tuple of str
        What was left out on reading.
    categorical : frozenset of str
        Columns whose type is one of categories: categoricals of pandas and polars, Arrow's
        dictionaries.
    """

    name: str
    columns: dict[str, np.ndarray]
    lines: np.ndarray | None = None
    decimal: str = "."
    notes: tuple[str, ...] = ()
    categorical: frozenset[str] = frozenset()

    @classmethod
    def of(cls, columns: Any, name: str = "the table") -> Table:
        """Make a table of a mapping of names to sequences, or of a data frame.

        Data frames are those of pandas and polars, and pyarrow's tables.

        Values may be numbers, booleans, text, dates (NumPy's, or ``datetime`` objects) and None.

        Raises
        ------
        InvalidArgumentError
            If it is no such mapping, or the columns have different lengths.
        """
        names = columns if isinstance(columns, Mapping) else getattr(columns, "columns", None)
        names = getattr(columns, "column_names", names)  # pyarrow's
        if names is None:
            message = f"expected a mapping of names to columns, got {type(columns).__name__}"
            raise InvalidArgumentError(message)
        made = {str(each): as_column(columns[each], str(each)) for each in names}
        lengths = {each: len(column) for each, column in made.items()}
        if len(set(lengths.values())) > 1:
            message = f"the columns must have the same number of values, got {lengths}"
            raise InvalidArgumentError(message)
        categorical = frozenset(str(each) for each in names if _is_categorical(columns[each]))
        return cls(name, made, categorical=categorical)

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def take(self, rows: np.ndarray) -> Table:
        """Return some of the rows: their indices, or a mask."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return replace(
            self, columns=columns, lines=None if self.lines is None else self.lines[rows]
        )

    def missing(self, name: str) -> np.ndarray:
        """Return in which rows a column has no value, bool (N,)."""
        return is_missing(self.columns[name])

    def where(self, row: int) -> str:
        """Say where a row stands: its line in the file, or its number counted from 1."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"

    def require(self, name: str, suggestions: Iterable[str] | None = None) -> None:
        """Check that there is a column of this name.

        Parameters
        ----------
        name : str
        suggestions : iterable of str, optional
            Columns of which the message offers the nearest; by default all.

        Raises
        ------
        DataError
            If not; the message offers the nearest.
        """
        if name not in self.columns:
            near = nearest(name, self.columns if suggestions is None else suggestions)
            hint = near or f": it has {some(self.columns)}"
            message = f"{self.name} has no column {name!r}{hint}"
            raise DataError(message)


def is_missing(column: np.ndarray) -> np.ndarray:
    """Return where a column has no value, bool (N,)."""
    absent: np.ndarray = np.isnan(column) if column.dtype.kind == "f" else column == ""
    return absent


def as_column(values: Any, name: str = "a column") -> np.ndarray:
    """Return values of many types as a column: float64 or text.

    Whole numbers beyond 2^53, which float64 would round, become text.

    Raises
    ------
    InvalidArgumentError
        If they are not one-dimensional, or of a type that has no such form.
    """
    array = np.asarray(values)
    if array.ndim == 1 and array.dtype.kind in "iuf":
        if (cells := _large_integers(values, array)) is not None:
            return as_text(_cell(cell, name) for cell in cells)
        numbers = array.astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    if array.ndim == 1 and array.dtype.kind in "bSUOTM":
        if array.dtype.kind == "O" and all(v is None or _is_small_number(v) for v in array):
            return as_column(np.array([np.nan if v is None else float(v) for v in array]), name)
        if array.dtype.kind == "M":
            return as_text(np.datetime_as_string(array).tolist())
        return as_text(_cell(cell, name) for cell in array.tolist())
    message = (
        f"{name} must be numbers, booleans, text or dates, one a row, got shape {array.shape} of "
        f"type {array.dtype}"
    )
    raise InvalidArgumentError(message)


def as_text(cells: Iterable[str]) -> np.ndarray:
    """Return cells as a column of text: stripped, and "" for what stands for a missing value."""
    stripped = (cell.strip() for cell in cells)
    return np.array(
        ["" if len(cell) <= _LONGEST and cell.lower() in MISSING else cell for cell in stripped],
        dtype=TEXT,
    )


def number_text(value: float) -> str:
    """Write a number as people do: whole ones without a point, others in the shortest form."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def some(names: Iterable[str], most: int = 6) -> str:
    """List some of the names, in quotes."""
    quoted = [repr(str(name)) for name in names]
    more = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + more


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a message about a name that is none: the nearest of the names, in any case."""
    folded = {each.casefold(): each for each in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def _large_integers(values: Any, array: np.ndarray) -> Any:
    """Return the cells of an array of numbers if there are whole numbers beyond 2^53, else None.

    NumPy makes float64 of nullable integers, and of integers beside floats: such `values` are read
    again.
    """
    if not (np.any(array >= EXACT) or np.any(array <= -EXACT)):
        return None
    if array.dtype.kind != "f":
        return array.tolist()
    cells = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    return cells if any(map(_is_large_integer, cells)) else None


def _is_large_integer(cell: object) -> bool:
    return isinstance(cell, (int, np.integer)) and abs(int(cell)) > EXACT


def _cell(cell: object, name: str) -> str:
    """Return a value as text.

    Raises
    ------
    InvalidArgumentError
        If it is bytes that are not UTF-8.
    """
    if isinstance(cell, (bytes, bytearray, memoryview)):
        try:
            return bytes(cell).decode()
        except UnicodeDecodeError as error:
            shown = bytes(cell[:30])
            message = f"{name} must be UTF-8 text, got the bytes {shown!r}: decode them first"
            raise InvalidArgumentError(message) from error
    if isinstance(cell, (float, np.floating)):
        return number_text(float(cell)) if np.isfinite(cell) else str(cell)
    return "" if cell is None else str(cell)


def _is_categorical(values: Any) -> bool:
    """Whether values have a type of categories: of pandas, polars or pyarrow."""
    kind = str(getattr(values, "dtype", getattr(values, "type", "")))
    return kind.startswith(("category", "Categorical", "Enum", "dictionary<"))


def _is_small_number(value: object) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    return number and not isinstance(value, bool) and not _is_large_integer(value)
