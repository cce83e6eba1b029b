"""A table in host memory: named columns of numbers or of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from anynet.checks import did_you_mean
from anynet.data.display import Described, shortened
from anynet.data.tables.column import UnusableColumnError, as_column, is_categorical, is_missing
from anynet.data.tables.rows import columns_of_rows
from anynet.data.tables.values import to_text
from anynet.errors import DataError, InvalidArgumentError, printable

#: Longer names are not normalised: ordering n accents takes time in proportion to n².
NORMALISED = 1000


@dataclass(frozen=True, eq=False, repr=False)
class Table(Described):
    """Columns of equal length.

    Attributes
    ----------
    name : str
        Name of its file, for messages.
    columns : dict of str to ndarray
        By name, in order: float64 with NaN for a missing value, or text (NumPy's ``StringDType``)
        with "" for one.
    lines : ndarray of int or None
        The line of the file on which each row begins; None if it has no lines.
    notes : tuple of str
        What was left out on reading.
    separator : str
        The field separator of its file, a hint at the decimal separator.
    marks : mapping or None
        Decimal and thousands separators of the columns whose numbers have been rewritten in
        Python's notation, see `anynet.data.tables.marked`; None if that is still to be done.
    index : tuple of str
        Columns that are the index of a data frame.
    left_out : mapping of str to str
        Columns of the file that were not read, and why.
    sha256 : str
        Checksum of a file that can be read only once.
    categorical : frozenset of str
        Columns of a categorical type: categoricals of pandas and polars, Arrow's dictionaries.
    named : bool
        Whether the columns were given with names; otherwise they are numbered from 0.

    Examples
    --------
    >>> import anynet
    >>> table = anynet.read_table({"area": [62.5, 80.0], "town": ["Ulm", "Bonn"]})
    >>> table.columns["area"]
    array([62.5, 80. ])
    """

    name: str
    columns: dict[str, np.ndarray]
    lines: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    separator: str = ","
    marks: Mapping[str, tuple[str, str | None]] | None = None
    index: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    categorical: frozenset[str] = frozenset()
    named: bool = True

    @classmethod
    def of(cls, columns: Any, name: str = "the table") -> Table:
        """Make a table of a mapping of names to sequences, of a data frame, or of rows.

        Data frames are those of pandas and polars, also lazy ones, and pyarrow's tables. Rows are a
        two-dimensional or a structured array, or a list of lists; columns without names have the
        names "0", "1", ….

        Values may be numbers, booleans, text, dates (NumPy's, or ``datetime`` objects), bytes that
        are UTF-8 text, and None. Masked values are missing.

        Parameters
        ----------
        columns : mapping, data frame or array_like
            The columns, or the rows.
        name : str
            Name of the table in messages.

        Returns
        -------
        Table
            The table. Columns of a data frame that cannot be used are left out.

        Raises
        ------
        InvalidArgumentError
            If it is something else, two columns have the same name, or the columns have different
            lengths.
        """
        if type(columns).__name__ == "LazyFrame":
            columns = columns.collect()
        if hasattr(columns, "column_names"):  # of pyarrow
            import pyarrow

            from anynet.data.tables.arrow import arrow_table

            return arrow_table(pyarrow.table(columns), name)
        names = columns if isinstance(columns, Mapping) else getattr(columns, "columns", None)
        if names is None:
            by_name, named = columns_of_rows(columns)
            return replace(cls.of(by_name, name), named=named)
        keys = list(names)
        made: dict[str, np.ndarray] = {}
        left_out: dict[str, str] = {}
        for key, each in zip(keys, as_names(keys), strict=True):
            try:
                made[each] = as_column(columns[key], each)
            except UnusableColumnError as error:
                if isinstance(columns, Mapping):
                    raise
                left_out[each] = error.reason
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
            categorical=frozenset(as_name(key) for key in keys if is_categorical(columns[key])),
        )

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def take(self, rows: np.ndarray) -> Table:
        """Return some of the rows, by their indices or a mask."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return replace(
            self, columns=columns, lines=None if self.lines is None else self.lines[rows]
        )

    def missing(self, name: str) -> np.ndarray:
        """Return the rows in which a column has no value, bool (N,)."""
        return is_missing(self.columns[name])

    def where(self, row: int) -> str:
        """Return the line of a row in the file, or its number counted from 1, for messages."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"

    def shown(self, name: str, rows: np.ndarray) -> str:
        """Return the first value of a column among some rows, bool (N,), and where it is."""
        row = int(np.argmax(rows))
        return f"{to_text(self.columns[name][row : row + 1])[0][:30]!r} in {self.where(row)}"

    def require(self, name: Any, suggestions: Iterable[str] | None = None) -> str:
        """Check that there is a column of this name, and return the name as `columns` has it.

        Parameters
        ----------
        name : str
            The column.
        suggestions : iterable of str, optional
            Columns that the message may suggest; by default all.

        Returns
        -------
        str
            The name in the form of `as_name`.

        Raises
        ------
        DataError
            If there is none; the message suggests the most similar one.
        """
        made = as_name(name)
        if made in self.left_out:
            message = f"{self.name}: the column {made!r} cannot be used: {self.left_out[made]}"
            raise DataError(message)
        if made not in self.columns:
            near = did_you_mean(made, self.columns if suggestions is None else suggestions)
            hint = near or f": it has {some(self.columns) or 'none'}"
            message = f"{self.name} has no column {made!r}{hint}"
            raise DataError(message)
        return made

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return the title and the facts that ``print`` shows."""
        numeric = [name for name, each in self.columns.items() if each.dtype.kind == "f"]
        text = [name for name, each in self.columns.items() if each.dtype.kind != "f"]
        title = f"Table {self.name}: {self.n_rows:,} rows, {len(self.columns):,} columns"
        unknown = "text" if self.lines is None else "not yet converted"  # as in a text file
        facts = {"numbers": numeric, unknown: text, "left out": list(self.left_out)}
        shown = {kind: shortened(map(printable, names)) for kind, names in facts.items() if names}
        return printable(title), shown


def as_name(name: Any) -> str:
    """Return the name of a column as text in Unicode's form NFC, in which "é" is one character.

    Raises
    ------
    InvalidArgumentError
        If it is not valid Unicode.
    """
    if isinstance(name, bytes):
        name = name.decode(errors="surrogateescape")
    text = str(name)
    if len(text) <= NORMALISED:
        text = unicodedata.normalize("NFC", text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"the column name {text!r} is not valid Unicode: rename the column"
        raise InvalidArgumentError(message) from error
    return text


def as_names(names: Sequence[Any]) -> list[str]:
    """Return the names of all columns of a table.

    Raises
    ------
    InvalidArgumentError
        If two are the same, as 1 and "1" are.
    """
    made: dict[str, int] = {}
    for index, name in enumerate(names):
        first = made.setdefault(as_name(name), index)
        if first != index:
            given = "" if names[first] == name else f", given as {names[first]!r} and {name!r}"
            message = (
                f"two columns are named {as_name(name)!r}, number {first + 1} and number "
                f"{index + 1}{given}: rename one"
            )
            raise InvalidArgumentError(message)
    return list(made)


def some(names: Iterable[str], most: int = 6) -> str:
    """Return the first names of a list in quotes, and the number of the others."""
    quoted = [repr(str(name)) for name in names]
    more = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + more


def note_on_left_out(left_out: Mapping[str, str]) -> tuple[str, ...]:
    """Return notes on columns that were not read, one for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    return tuple(f"{some(names)} left out: {reason}" for reason, names in by_reason.items())
