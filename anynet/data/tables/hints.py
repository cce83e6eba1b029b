"""Hints on text that people read as numbers or dates, and anynet does not."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from anynet.data.tables.values import CODE, to_days, to_numbers

#: Hints are given if at least this share of the values are numbers or dates in any notation.
_SHARE = 0.9
_SAMPLE = 1000  # values that are examined

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(
    r"(?:[a-z]{2,9}\.?,? )?"  # the day of the week
    r"(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2(?:\d{4}|\d\d)"
    r"|\d{4}-(?:0[1-9]|1[0-2])|(?:0?[1-9]|1[0-2])[/.]\d{4}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?[ /-]?{_MONTH}[ ./,-]*\d{{2,4}}"
    rf"|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|{_MONTH}[ -]\d{{4}})"
    r"(?:[ t,].*)?",
    re.IGNORECASE,
)
_CURRENCY = (
    r"(?:usd|eur|gbp|jpy|chf|cny|rmb|inr|brl|mxn|cad|aud|nzd|sek|nok|dkk|pln|czk|huf|krw|zar)"
)
_NUMBER = re.compile(
    rf"(?:[^\w\s]{{1,2}}|[a-z]{{1,3}}\$|{_CURRENCY}|rs\.?|kr\.?|fr\.?)?\s?[+-]?\s?"
    r"(?:\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d*)?|[.,]\d+)"
    r"(?P<unit>[^\d]{0,20})",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
_MULTIPLES = frozenset("kmbgt")
_UNITS = 4  # maximum number of different units


def typical(cells: np.ndarray) -> str:
    """Return the first of the cells with the most frequent shape.

    The shape of a cell is its text with each run of digits, and of letters, counted as one.
    """
    sample = _sample(cells).tolist()
    shapes = [re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", cell)) for cell in sample]
    shape, _ = Counter(shapes).most_common(1)[0]
    first: str = sample[shapes.index(shape)]
    return first


def rewriting(cells: np.ndarray) -> tuple[str, str] | None:
    """Return how to write a column of text so that it is read as numbers or dates.

    Parameters
    ----------
    cells : ndarray of shape (N,)
        Text without missing values.

    Returns
    -------
    (example, advice) or None
        A typical cell that is not read, and what to write instead; None if the cells are neither
        numbers nor dates in any notation.
    """
    sample = _sample(cells)
    least = _SHARE * len(sample)
    unread = to_days(sample)[1]
    dates = np.array([_DATE.fullmatch(cell) is not None for cell in sample])
    if np.sum(dates | ~unread) >= least and np.any(dates & unread):
        return typical(sample[dates & unread]), "write dates as 2024-05-31"
    unread = to_numbers(sample)[1]
    matches = [_NUMBER.fullmatch(cell) for cell in sample]
    numbers = np.array([match is not None for match in matches])
    units = {match["unit"].strip().casefold() for match in matches if match} - {""}
    if np.sum(numbers | ~unread) >= least and np.any(numbers & unread) and _are_units(units):
        return typical(sample[numbers & unread]), "write numbers as 1234.5"
    return None


def emptying(cells: np.ndarray) -> tuple[str, str] | None:
    """Return which cells to empty so that a column that is half numbers is read as numbers.

    Parameters
    ----------
    cells : ndarray of shape (N,)
        Text without missing values.

    Returns
    -------
    (example, advice) or None
        As from `rewriting`.
    """
    sample = _sample(cells)
    unread = to_numbers(sample)[1]
    if not unread.any() or np.mean(unread) > 1 / 2 or any(map(CODE.match, sample)):
        return None
    return typical(sample[unread]), "write numbers as 1234.5, and missing ones as empty cells"


def _sample(cells: np.ndarray) -> np.ndarray:
    chosen: np.ndarray = cells[:: max(1, len(cells) // _SAMPLE)]
    return chosen


def _are_units(units: set[str]) -> bool:
    """Return whether the text after numbers is a unit: neither an ordinal nor part of a code."""
    letters = {unit for unit in units if len(unit) == 1 and unit.isalpha()} - _MULTIPLES
    return len(units) <= _UNITS and len(letters) <= 1 and not any(map(_ORDINAL.match, units))
