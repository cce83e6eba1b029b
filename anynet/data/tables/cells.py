"""Values in memory, of whatever library, as arrays of NumPy's plain types."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

from anynet.data.files import one_line
from anynet.errors import InvalidArgumentError

#: Missing values of pandas and NumPy, by their types: pandas need not be installed.
_ABSENT = ("NoneType", "NAType", "NaTType", "MaskedConstant")

_SECOND = np.timedelta64(1, "s")
_NESTED = (list, tuple, set, frozenset, Mapping, np.ndarray)


def as_array(values: Any, name: str) -> np.ndarray:
    """Return values as an array of numbers, booleans, text, dates or objects.

    Missing ones are None among objects, and NaN among numbers. Bytes become text, and durations
    become seconds.

    Raises
    ------
    InvalidArgumentError
        If they have no such form.
    """
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        values = values.data.astype(object)
        values[mask] = None
    try:
        array = np.asarray(values)
    except ValueError:  # values of no common type
        array = np.asarray(values, dtype=object)
    except (RuntimeError, TypeError) as error:  # tensors with gradients, or on a GPU
        message = f"{name} cannot be converted to a NumPy array: {one_line(error)}"
        raise InvalidArgumentError(message) from error
    if array.dtype.kind == "m":
        return array / _SECOND
    if array.dtype.kind == "S":
        array = array.astype(object)
    if array.dtype.kind == "O" and array.ndim == 1:
        return _plain_objects(array, name)
    return array


def why_unusable(values: Any) -> str:
    """Return why a column of a data frame cannot be used, or "" if it can."""
    array = np.asarray(values)
    if array.ndim != 1:
        return "nested values"
    if array.dtype.kind != "O":
        return ""
    if any(isinstance(cell, _NESTED) or hasattr(cell, "__array__") for cell in array):
        return "nested values"
    try:
        for cell in array:
            if isinstance(cell, bytes):
                cell.decode()
    except UnicodeDecodeError:
        return "bytes that are not UTF-8 text"
    return ""


def _plain_objects(array: np.ndarray, name: str) -> np.ndarray:
    plain = np.empty(array.shape, dtype=object)
    for row, cell in enumerate(array):
        if isinstance(cell, str):
            plain[row] = cell
        elif type(cell).__name__ in _ABSENT:
            plain[row] = None
        elif isinstance(cell, (bytes, bytearray)):
            try:
                plain[row] = cell.decode()
            except UnicodeDecodeError as error:
                message = f"{name} holds bytes that are not UTF-8 text in row {row + 1}: decode it"
                raise InvalidArgumentError(message) from error
        elif isinstance(cell, _NESTED):
            message = f"{name} must hold one value for each row, got nested values in row {row + 1}"
            raise InvalidArgumentError(message)
        elif isinstance(cell, datetime.timedelta):
            plain[row] = cell.total_seconds()
        else:
            plain[row] = cell
    return plain
