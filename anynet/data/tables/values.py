"""The cells of a column read as numbers, dates, truth values or categories."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import numpy as np

from anynet.data.tables.column import TEXT, is_missing, number_text

TRUE = frozenset(("true", "t", "yes", "y"))
FALSE = frozenset(("false", "f", "no", "n"))

#: Cells that mean "missing" among numbers, dates and truth values. They are not removed when a
#: table is read, because a class or a category can have such a name, for instance "+" and "-".
PLACEHOLDERS = frozenset(
    ("none", "(null)", "n.a.", "missing", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...")
) | {
    *("#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"),  # of spreadsheets
    *("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "1.#inf", "-1.#inf", "+nan"),
}
#: Placeholders that also mean "missing" among categories, as in pandas.
NO_CATEGORY = frozenset(("none",))
_LONGEST = max(map(len, PLACEHOLDERS))

#: A number with a leading zero is a code, such as a postal code.
CODE = re.compile(r"[+-]?0\d")

_DAY = 86400.0
_PLAIN_DATES = re.compile(
    r"(?:(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?(?:\n(?!$)|$))+"
)
_UTC = re.compile(r"\s*(?:utc|gmt|z)$", re.IGNORECASE)
_SPACE_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")


def to_numbers(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a column as numbers.

    Parameters
    ----------
    column : ndarray of shape (N,)
        Float64, or text.

    Returns
    -------
    values : ndarray of float64
        Finite, or NaN where a value is missing or is not a number.
    bad : ndarray of bool
        Where a value is present and is not a finite number.
    """
    if column.dtype.kind == "f":
        return column, np.zeros(len(column), dtype=bool)
    absent = is_missing(column)
    read = ~absent & (np.strings.find(column, "_") < 0)  # Python's digit grouping
    values = np.full(len(column), np.nan)
    try:
        values[read] = column[read].astype(np.float64)
    except ValueError:  # some are not numbers
        values = _each(column, _number)
    if not np.isfinite(values[~absent]).all():
        absent |= is_placeholder(column)
    return _checked(values, absent)


def to_days(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a column as ISO 8601 dates, with or without a time, such as 2024-05-31.

    A time zone is an offset, such as +01:00, or Z, UTC or GMT.

    Parameters
    ----------
    column : ndarray of shape (N,)
        Float64, or text.

    Returns
    -------
    values : ndarray of float64
        Days since 1970-01-01 (UTC if a zone is given), NaN where there is no date.
    bad : ndarray of bool
        Where a value is present and is not such a date.
    """
    if column.dtype.kind == "f":
        return np.full(len(column), np.nan), ~np.isnan(column)
    absent = is_missing(column) | is_placeholder(column)
    days = _plain_days(column[~absent])
    if days is None:
        return _checked(_each(column, _days), absent)
    values = np.full(len(column), np.nan)
    values[~absent] = days
    return values, np.zeros(len(column), dtype=bool)


def to_truth(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a column as truth values: 1.0 for true and yes, 0.0 for false and no; also 1 and 0.

    Parameters
    ----------
    column : ndarray of shape (N,)
        Float64, or text.

    Returns
    -------
    values, bad : ndarray
        As from `to_numbers`.
    """
    known = dict.fromkeys(TRUE, 1.0) | dict.fromkeys(FALSE, 0.0) | {"1": 1.0, "0": 0.0}
    text = to_text(column)
    values = _each(text, lambda cell: known.get(cell.casefold(), math.nan))
    return _checked(values, is_missing(text) | is_placeholder(text))


def to_categories(column: np.ndarray) -> np.ndarray:
    """Read a column as names of categories: text, with "" where a value is missing."""
    text = to_text(column)
    absent = is_placeholder(text, NO_CATEGORY)
    return np.where(absent, np.array("", dtype=TEXT), text) if absent.any() else text


def is_placeholder(column: np.ndarray, placeholders: frozenset[str] = PLACEHOLDERS) -> np.ndarray:
    """Return the cells that are one of the `placeholders` in any case, bool (N,)."""
    found = np.zeros(len(column), dtype=bool)
    if column.dtype.kind != "f":
        cells = column.tolist()
        short = (cell for cell in set(cells) if len(cell) <= _LONGEST)
        held = {cell for cell in short if cell.casefold() in placeholders}
        if held:
            found[:] = [cell in held for cell in cells]
    return found


def find_levels(column: np.ndarray, levels: Sequence[str]) -> np.ndarray:
    """Return the index of the level that each cell equals.

    That is the level with the same text. If there is none, it is the only level with the same
    value, because files of different types write the same value differently: 1, 1.0 and True, or
    True and true. Codes, such as 007, are compared as text only.

    Parameters
    ----------
    column : ndarray of shape (N,)
        Text, see `to_text`.
    levels : sequence of str
        Distinct texts.

    Returns
    -------
    ndarray of int, (N,)
        Indices of levels, -1 where a cell equals none of them.
    """
    known = {level: i for i, level in enumerate(levels)}
    cells = column.tolist()
    others = {cell: value for cell in {*cells} - {*known} if (value := _value(cell)) is not None}
    if others:
        alike: dict[Decimal | None, int] = {}
        for i, level in enumerate(levels):
            value = _value(level)
            alike[value] = -1 if value is None or value in alike else i
        known |= {cell: alike.get(value, -1) for cell, value in others.items()}
    return np.fromiter((known.get(cell, -1) for cell in cells), dtype=np.int64, count=len(cells))


def exact_number(cell: str) -> Decimal | None:
    """Return a cell as a number without rounding; None if it is not a finite number."""
    try:
        number = None if "_" in cell else Decimal(cell)
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def to_text(column: np.ndarray) -> np.ndarray:
    """Return a column as text, with numbers in their usual form, see `number_text`."""
    if column.dtype.kind != "f":
        return column
    values, inverse = np.unique(column, return_inverse=True)
    text = ["" if math.isnan(value) else number_text(value) for value in values.tolist()]
    written: np.ndarray = np.array(text, dtype=TEXT)[inverse]
    return written


def _each(column: np.ndarray, read: Callable[[str], float]) -> np.ndarray:
    """Read cell by cell, repeated cells once."""
    cells = column.tolist()
    values = {cell: read(cell) for cell in set(cells)}
    return np.fromiter(map(values.__getitem__, cells), dtype=np.float64, count=len(cells))


def _checked(values: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    finite = np.isfinite(values)
    return np.where(finite, values, np.nan), ~finite & ~absent


def _number(cell: str) -> float:
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def _value(cell: str) -> Decimal | None:
    """Return a cell as a number, true and false as 1 and 0; None for codes and words."""
    if cell.casefold() in ("true", "false"):
        return Decimal(cell.casefold() == "true")
    return None if CODE.match(cell) else exact_number(cell)


def _plain_days(cells: np.ndarray) -> np.ndarray | None:
    """Return the days of dates and times without a zone; None if some cells are something else."""
    if cells.dtype.kind == "f" or not _PLAIN_DATES.fullmatch("\n".join(cells.tolist())):
        return None
    try:
        microseconds = cells.astype("M8[us]").astype(np.int64)
    except ValueError:  # there is no such day or time
        return None
    days: np.ndarray = microseconds / (1e6 * _DAY)
    return days


def _days(cell: str) -> float:
    if cell[4:5] != "-":  # 20240531 is a number; other orders of day and month are ambiguous
        return math.nan
    try:
        moment = datetime.fromisoformat(_SPACE_BEFORE_OFFSET.sub("", _UTC.sub("", cell)))
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / _DAY
