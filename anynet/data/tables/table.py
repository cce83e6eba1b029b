"""A table in host memory: named columns of numbers or of text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from anynet.data.tables.cells import as_array, why_unusable
from anynet.data.tables.names import as_name, as_names
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

#: Longer names are not compared: that takes time in proportion to the square of their length.
COMPARED = 100


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
    separator : str
        The field separator of its file, which hints at the decimal separator.
    marks : mapping or None
        Decimal and thousands separators of the columns whose numbers have been rewritten as Python
        writes them, see `anynet.data.tables.marked`; None where that is still to be done.
    index : tuple of str
        Columns that are the index of a data frame.
    left_out : mapping of str to str
        Columns of the file that were not read, and why.
    sha256 : str
        Of a file that can be read only once.
    categorical : frozenset of str
        Columns whose type is one of categories: categoricals of pandas and polars, Arrow's
        dictionaries.
    """

    name: str
    columns: dict[str, np.ndarray]
    lines: np.ndarray | None = None
    decimal: str = "."
    notes: tuple[str, ...] = ()
    separator: str = ","
    marks: Mapping[str, tuple[str, str | None]] | None = None
    index: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    categorical: frozenset[str] = frozenset()

    @classmethod
    def of(cls, columns: Any, name: str = "the table") -> Table:
        """Make a table of a mapping of names to sequences, or of a data frame.

        Data frames are those of pandas and polars, lazy ones too, and pyarrow's tables.

        Values may be numbers, booleans, text, dates (NumPy's, or ``datetime`` objects), bytes that
        are UTF-8 text, and None. Masked values are missing.

        Raises
        ------
        InvalidArgumentError
            If it is no such mapping, two columns have the same name, or the columns have different
            lengths.
        """
        if type(columns).__name__ == "LazyFrame":
            columns = columns.collect()
        if hasattr(columns, "column_names"):  # pyarrow's
            import pyarrow

            from anynet.data.tables.arrow import arrow_table

            return arrow_table(pyarrow.table(columns), name)
        names = columns if isinstance(columns, Mapping) else getattr(columns, "columns", None)
        if names is None:
            message = f"expected a mapping of names to columns, got {type(columns).__name__}"
            raise InvalidArgumentError(message)
        keys = list(names)
        made: dict[str, np.ndarray] = {}
        left_out: dict[str, str] = {}
        categorical = []
        for key, each in zip(keys, as_names(keys), strict=True):
            reason = "" if isinstance(columns, Mapping) else why_unusable(columns[key])
            if reason:
                left_out[each] = reason
            else:
                made[each] = as_column(columns[key], each)
                if _is_categorical(columns[key]):
                    categorical.append(each)
        lengths = {len(column): each for each, column in made.items()}
        if len(lengths) > 1:
            shown = ", ".join(f"{n} in {each!r}" for n, each in list(lengths.items())[:6])
            message = f"the columns must have the same number of values, got {shown}"
            raise InvalidArgumentError(message)
        return cls(
            name,
            made,
            left_out=left_out,
            notes=note_on_left_out(left_out),
            categorical=frozenset(categorical),
        )

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

    def require(self, name: Any, suggestions: Iterable[str] | None = None) -> str:
        """Check that there is a column of this name, and return it as `columns` has it.

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
        made = as_name(name)
        if made in self.left_out:
            message = f"{self.name}: the column {made!r} cannot be used: {self.left_out[made]}"
            raise DataError(message)
        if made not in self.columns:
            near = nearest(made, self.columns if suggestions is None else suggestions)
            hint = near or f": it has {some(self.columns) or 'none'}"
            message = f"{self.name} has no column {made!r}{hint}"
            raise DataError(message)
        return made


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
    array = as_array(values, name)
    if array.ndim == 1 and array.dtype.kind in "iuf":
        if (cells := _large_integers(values, array)) is not None:
            return as_text(map(_cell, cells))
        numbers = array.astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    if array.ndim == 1 and array.dtype.kind in "bUOTM":
        if array.dtype.kind == "O" and all(v is None or _is_small_number(v) for v in array):
            return as_column(np.array([np.nan if v is None else float(v) for v in array]), name)
        if array.dtype.kind == "M":
            return as_text(np.datetime_as_string(array).tolist())
        cells = [_cell(cell) for cell in array.tolist()]
        try:
            return as_text(cells)
        except UnicodeEncodeError as error:  # a half of a character
            row = next(i for i, cell in enumerate(cells) if cell != _valid(cell))
            message = f"{name}: row {row + 1} is not valid Unicode text: {cells[row][:30]!r}"
            raise InvalidArgumentError(message) from error
    message = (
        f"{name} must be numbers, booleans, text or dates, one a row, got shape {array.shape} of "
        f"type {array.dtype}{': use .ravel()' if array.ndim == 2 and 1 in array.shape else ''}"
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
    folded = {each.casefold(): each for each in names if len(each) <= COMPARED}
    near = difflib.get_close_matches(name.casefold(), folded, n=1) if len(name) <= COMPARED else []
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def note_on_left_out(left_out: Mapping[str, str]) -> tuple[str, ...]:
    """Report columns that were not read."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    return tuple(f"{some(names)} left out: {reason}" for reason, names in by_reason.items())


def _valid(text: str) -> str:
    return text.encode(errors="replace").decode()


def _large_integers(values: Any, array: np.ndarray) -> Any:
    """Return the cells of an array of numbers if there are whole numbers beyond 2^53, else None.

    NumPy makes float64 of nullable integers, and of integers beside floats: such `values` are read
    again.
    """
    if array.dtype == np.float16 or not (np.any(array >= EXACT) or np.any(array <= -EXACT)):
        return None
    if array.dtype.kind != "f":
        return array.tolist()
    cells = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    return cells if any(map(_is_large_integer, cells)) else None


def _is_large_integer(cell: object) -> bool:
    return isinstance(cell, (int, np.integer)) and abs(int(cell)) > EXACT


def _cell(cell: object) -> str:
    """Return a value as text."""
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
