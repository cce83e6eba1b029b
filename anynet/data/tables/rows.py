"""Rows without a data frame, as columns: arrays and lists of lists."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from anynet.data.files import one_line
from anynet.errors import InvalidArgumentError


def columns_of_rows(rows: Any) -> tuple[dict[str, Any], bool]:
    """Return the columns of rows, and whether they have names.

    Parameters
    ----------
    rows : array_like of shape (N, I), or structured array of shape (N,)
        Columns of an array without fields are named "0", "1", ….

    Returns
    -------
    columns : dict of str to sequence
        By name.
    named : bool
        Whether the rows have the names.

    Raises
    ------
    InvalidArgumentError
        If they are something else.
    """
    if hasattr(rows, "toarray"):
        message = f"rows must be dense, got {type(rows).__name__}: use .toarray()"
        raise InvalidArgumentError(message)
    if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
        return _columns_of_lists(rows), False
    try:
        array = rows if isinstance(rows, np.ndarray) else np.asarray(rows)
    except (RuntimeError, TypeError, ValueError) as error:  # tensors with gradients, or on a GPU
        message = f"{type(rows).__name__} cannot be converted to a NumPy array: {one_line(error)}"
        raise InvalidArgumentError(message) from error
    if array.dtype.names and array.ndim == 1:
        return {name: array[name] for name in array.dtype.names}, True
    if array.ndim != 2:
        advice = ": use .reshape(-1, 1) for one column" if array.ndim == 1 else ""
        message = (
            f"expected a data frame, a mapping of names to columns, or rows (N, I), got "
            f"{type(rows).__name__} of shape {array.shape}{advice}"
        )
        raise InvalidArgumentError(message)
    return {str(place): array[:, place] for place in range(array.shape[1])}, False


def _columns_of_lists(rows: Sequence[Any]) -> dict[str, Any]:
    if not rows or not all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        message = f"rows must be lists of one value for each column, got {rows!r:.60}"
        raise InvalidArgumentError(message)
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        message = f"all rows must have the same number of values, got from {min(widths)} to "
        message += str(max(widths))
        raise InvalidArgumentError(message)
    with contextlib.suppress(ValueError, OverflowError):  # without a common type
        array = np.asarray(rows)
        if array.ndim == 2 and array.dtype.kind in "iuf":
            return {str(place): array[:, place] for place in range(array.shape[1])}
    return {str(place): list(cells) for place, cells in enumerate(zip(*rows, strict=True))}
