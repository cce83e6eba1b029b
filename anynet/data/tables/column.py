"""Columns: values of any library as NumPy arrays of float64 or of text."""

from __future__ import annotations

import contextlib
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
    coded = getattr(values, "cat", values)  # categoricals of pandas
    if hasattr(coded, "codes") and hasattr(coded, "categories"):
        known = as_column(coded.categories, name)
        missing = as_text([""]) if known.dtype == TEXT else np.array([np.nan])
        decoded: np.ndarray = np.append(known, missing)[np.asarray(coded.codes)]
        return decoded
    array = _as_array(_of_numpy(values), name)
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
        return _date_text(array)
    if kind == "b":
        return np.array(["False", "True"], dtype=TEXT)[array.astype(np.intp)]
    if kind == "m":
        array = array / _SECOND
    elif kind in "iuf":
        if (large := _large_integers(values, array)) is not None:
            return as_text(map(_cell_text, large))
    else:
        return _repeated(array.tolist(), name)
    return _finite(array.astype(np.float64))


def _repeated(cells: list[Any], name: str) -> np.ndarray:
    """Convert Python's objects, equal ones once."""
    kinds = {kind for kind in set(map(type, cells)) if kind.__name__ not in _ABSENT}
    if len(kinds - {str}) <= 1 and kinds <= {str, bool, int, float}:  # 1 and True are equal
        distinct = dict.fromkeys(cells)
        if len(distinct) <= len(cells) / 2:
            places = {cell: place for place, cell in enumerate(distinct)}
            inverse = np.fromiter(map(places.__getitem__, cells), dtype=np.intp, count=len(cells))
            with contextlib.suppress(InvalidArgumentError):  # reported below, with the row
                column: np.ndarray = _objects(list(distinct), name)[inverse]
                return column
    return _objects(cells, name)


def _objects(cells: list[Any], name: str) -> np.ndarray:
    """Convert Python's objects to float64 if all are numbers or missing, else to text."""
    cells = [
        cell if type(cell) in (str, float) else _plain(cell, name, row)
        for row, cell in enumerate(cells)
    ]
    if all(cell is None or _is_small_number(cell) for cell in cells):
        return _finite(np.array([np.nan if c is None else c for c in cells], dtype=np.float64))
    return _text([cell if type(cell) is str else _cell_text(cell) for cell in cells], name)


def _finite(numbers: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _date_text(dates: np.ndarray) -> np.ndarray:
    """Return dates as text: days if there are no times, and fractions of seconds if needed."""
    present = dates[~np.isnat(dates)]
    if np.all(present == present.astype("M8[D]")):
        dates = dates.astype("M8[D]")
    else:
        whole = np.all(present == present.astype("M8[s]"))
        dates = dates.astype("M8[s]" if whole else "M8[us]")
    return as_text(np.datetime_as_string(dates).tolist())


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


def _of_numpy(values: Any) -> Any:
    """Return nullable numbers and zoned times of pandas as those of NumPy, and others as given."""
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "tz", None) is not None:
        return getattr(values, "dt", values).tz_convert(None)
    if hasattr(dtype, "numpy_dtype") and getattr(dtype, "kind", "") in "iuf":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return values if np.any(np.abs(numbers) >= EXACT) else numbers
    return values


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
