"""What the cells of a column say: numbers, dates, truth values, categories."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from anynet.data.tables.table import TEXT, is_missing, number_text

TRUE = frozenset(("true", "t", "yes", "y"))
FALSE = frozenset(("false", "f", "no", "n"))

_DAY = 86400.0


def to_numbers(column: np.ndarray, decimal: str = ".") -> tuple[np.ndarray, np.ndarray]:
    """Read a column as numbers.

    Parameters
    ----------
    column : ndarray of shape (N,)
        Float64, or text.
    decimal : str
        "," where decimal commas are numbers too.

    Returns
    -------
    values : ndarray of float64
        Finite, or NaN where a value is missing or is no number.
    bad : ndarray of bool
        Where a value is there that is no finite number.
    """
    if column.dtype.kind == "f":
        return column, np.zeros(len(column), dtype=bool)
    absent = is_missing(column)
    if not np.any(np.strings.find(column, "_") >= 0):  # Python's own digit grouping, not people's
        try:
            values = np.full(len(column), np.nan)
            values[~absent] = column[~absent].astype(np.float64)
            return _checked(values, absent)
        except ValueError:
            pass  # one by one, then
    return _checked(_each(column, lambda cell: _number(cell, decimal)), absent)


def to_days(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a column as ISO 8601 dates, with or without a time, such as 2024-05-31.

    Returns
    -------
    values : ndarray of float64
        Days since 1970-01-01 (UTC where a zone is given), NaN where there is no date.
    bad : ndarray of bool
        Where a value is there that is no such date.
    """
    if column.dtype.kind == "f":
        return np.full(len(column), np.nan), ~np.isnan(column)
    return _checked(_each(column, _days), is_missing(column))


def to_truth(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a column as truth values: 1.0 for true and yes, 0.0 for false and no; also 1 and 0.

    Returns
    -------
    values, bad : ndarray
        As `to_numbers` gives them.
    """
    known = dict.fromkeys(TRUE, 1.0) | dict.fromkeys(FALSE, 0.0) | {"1": 1.0, "0": 0.0}
    text = to_categories(column)
    values = _each(text, lambda cell: known.get(cell.casefold(), math.nan))
    return _checked(values, is_missing(text))


def to_categories(column: np.ndarray) -> np.ndarray:
    """Read a column as text: numbers get the form that people write."""
    if column.dtype.kind != "f":
        return column
    values, places = np.unique(column, return_inverse=True)
    text = ["" if math.isnan(value) else number_text(value) for value in values.tolist()]
    written: np.ndarray = np.array(text, dtype=TEXT)[places]
    return written


def _each(column: np.ndarray, read: Callable[[str], float]) -> np.ndarray:
    """Read cell by cell; repeated ones once."""
    known: dict[str, float] = {}
    values = np.empty(len(column))
    for i, cell in enumerate(column):
        if cell not in known:
            known[cell] = read(cell)
        values[i] = known[cell]
    return values


def _checked(values: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    finite = np.isfinite(values)
    return np.where(finite, values, np.nan), ~finite & ~absent


def _number(cell: str, decimal: str) -> float:
    if decimal == "," and "." not in cell:
        cell = cell.replace(",", ".", 1)
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def _days(cell: str) -> float:
    if (
        cell[4:5] != "-"
    ):  # 20240531 is a number, and other orders of day and month are not told apart
        return math.nan
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / _DAY
