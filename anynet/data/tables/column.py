"""Columns: values of any library as NumPy arrays of float64 or of text."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from anynet.data.files import is_unicode, one_line
from anynet.errors import InvalidArgumentError

TEXT = np.dtypes.StringDType()

#: Text of a missing value, in any case: as in pandas (see also `values.PLACEHOLDERS`), "?" of the
#: UCI repository, "\\N" of databases, and NumPy's form of a missing date.
MISSING = frozenset(
    ("", "na", "n/a", "#na", "#n/a", "#n/a n/a", "<na>", "null", "nat", "?", r"\n")
) | {"nan", "-nan", "snan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
_LONGEST = max(map(len, MISSING))

#: Every whole number up to this is a float64.
EXACT = 2**53

#: Types of missing values of pandas and NumPy, by name: pandas need not be installed.
_ABSENT = ("NoneType", "NAType", "NaTType", "MaskedConstant")

_SECOND = np.timedelta64(1, "s")
_NESTED = (list, tuple, set, frozenset, Mapping, np.ndarray)


class UnusableColumnError(InvalidArgumentError):
    """A column cannot be converted.

    Attributes
    ----------
    reason : str
        What it contains, for a message about a table.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


def as_column(values: Any, name: str = "a column") -> np.ndarray:
    """Return values of many types as a column: float64 or text.

    Missing values become NaN or "", durations seconds, and bytes text. Whole numbers beyond 2^53,
    which float64 would round, become text.

    Parameters
    ----------
    values : array_like
        One value for each row.
    name : str
        Name of the column in messages.

    Returns
    -------
    ndarray of shape (N,)
        Float64, or text (NumPy's ``StringDType``).

    Raises
    ------
    InvalidArgumentError
        If they are not one-dimensional, or of a type that cannot be converted.
    """
    array = _as_array(values, name)
    kind = array.dtype.kind
    if array.ndim != 1 or kind not in "iufmMbSUTO":
        advice = ": use .ravel()" if array.ndim == 2 and 1 in array.shape else ""
        message = (
            f"{name} must be numbers, booleans, text or dates, one a row, got shape {array.shape} "
            f"of type {array.dtype}{advice}"
        )
        if array.ndim == 1:
            raise InvalidArgumentError(message)
        raise UnusableColumnError(message, "nested values")
    if kind == "M":
        return as_text(np.datetime_as_string(array).tolist())
    if kind == "m":
        array = array / _SECOND
    elif kind in "iuf":
        if (large := _large_integers(values, array)) is not None:
            return as_text(map(_cell_text, large))
    else:
        cells = array.tolist()
        if kind in "SO":
            cells = [_plain(cell, name, row) for row, cell in enumerate(cells)]
        if kind != "O" or not all(cell is None or _is_small_number(cell) for cell in cells):
            return _text([_cell_text(cell) for cell in cells], name)
        array = np.array([np.nan if cell is None else cell for cell in cells])
    numbers = array.astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def as_text(cells: Iterable[str]) -> np.ndarray:
    """Return cells as a column of text: stripped, and "" for the text of a missing value."""
    stripped = (cell.strip() for cell in cells)
    return np.array(
        ["" if len(cell) <= _LONGEST and cell.lower() in MISSING else cell for cell in stripped],
        dtype=TEXT,
    )


def is_missing(column: np.ndarray) -> np.ndarray:
    """Return the rows in which a column has no value, bool (N,)."""
    absent: np.ndarray = np.isnan(column) if column.dtype.kind == "f" else column == ""
    return absent


def number_text(value: float) -> str:
    """Return a number in its usual form: whole ones without a point, others in the shortest."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def is_categorical(values: Any) -> bool:
    """Return whether values have a categorical type of pandas, polars or pyarrow."""
    kind = str(getattr(values, "dtype", getattr(values, "type", "")))
    return kind.startswith(("category", "Categorical", "Enum", "dictionary<"))


def _as_array(values: Any, name: str) -> np.ndarray:
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        values = values.data.astype(object)
        values[mask] = None
    try:
        return np.asarray(values)
    except ValueError:  # values without a common type
        return np.asarray(values, dtype=object)
    except (RuntimeError, TypeError) as error:  # tensors with gradients, or on a GPU
        message = f"{name} cannot be converted to a NumPy array: {one_line(error)}"
        raise InvalidArgumentError(message) from error


def _plain(cell: Any, name: str, row: int) -> Any:
    """Return a value with None for a missing one, text for bytes, and seconds for a duration."""
    if isinstance(cell, str):
        return cell
    if type(cell).__name__ in _ABSENT:
        return None
    if isinstance(cell, (bytes, bytearray)):
        try:
            return cell.decode()
        except UnicodeDecodeError as error:
            reason = "bytes that are not UTF-8 text"
            message = f"{name} holds {reason} in row {row + 1}: decode it"
            raise UnusableColumnError(message, reason) from error
    is_array = hasattr(cell, "__array__") and not isinstance(cell, np.generic)
    if isinstance(cell, _NESTED) or is_array:
        message = f"{name} must hold one value for each row, got nested values in row {row + 1}"
        raise UnusableColumnError(message, "nested values")
    return cell.total_seconds() if isinstance(cell, datetime.timedelta) else cell


def _large_integers(values: Any, array: np.ndarray) -> Any:
    """Return the cells of an array of numbers if there are whole numbers beyond 2^53, else None.

    NumPy makes float64 of nullable integers, and of integers beside floats: the original `values`
    are read again.
    """
    if array.dtype == np.float16 or not (np.any(array >= EXACT) or np.any(array <= -EXACT)):
        return None
    if array.dtype.kind != "f":
        return array.tolist()
    cells = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    return cells if any(map(_is_large_integer, cells)) else None


def _is_large_integer(cell: object) -> bool:
    return isinstance(cell, (int, np.integer)) and abs(int(cell)) > EXACT


def _is_small_number(cell: object) -> bool:
    number = isinstance(cell, (int, float, np.integer, np.floating))
    return number and not isinstance(cell, bool) and not _is_large_integer(cell)


def _cell_text(cell: object) -> str:
    if isinstance(cell, (float, np.floating)):
        return number_text(float(cell)) if np.isfinite(cell) else str(cell)
    return "" if cell is None else str(cell)


def _text(cells: list[str], name: str) -> np.ndarray:
    try:
        return as_text(cells)
    except UnicodeEncodeError as error:  # a lone surrogate
        row = list(map(is_unicode, cells)).index(False)
        message = f"{name}: row {row + 1} is not valid Unicode text: {cells[row][:30]!r}"
        raise InvalidArgumentError(message) from error
