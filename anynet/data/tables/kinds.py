"""What the columns of a table hold, judged by their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from anynet.data.tables.hints import emptying, rewriting, typical
from anynet.data.tables.table import EXACT, Table, is_missing, nearest
from anynet.data.tables.values import (
    CODE,
    FALSE,
    TRUE,
    is_placeholder,
    to_days,
    to_numbers,
    to_text,
)
from anynet.errors import DataError, InvalidArgumentError

KINDS = ("number", "boolean", "date", "category", "ignored")

#: A column is of numbers (or dates) where at least this share of its values are.
SHARE = 0.9

#: Text of more distinct values than this, and than half of its rows, names rows: it is no category.
FEW = 10

_WHOLE = re.compile(r"[+-]?\d+")


class Found(NamedTuple):
    """What a column holds, and why if that is worth a note, as it is if the column is ignored."""

    kind: str
    reason: str = ""


def infer_kinds(
    table: Table, target: str, wanted: Mapping[str, str] | None = None
) -> dict[str, Found]:
    """Judge every column but the target.

    Parameters
    ----------
    table : Table
        All rows: what a column holds is a matter of its file, not of the rows that train.
    target : str
        The column that is left out.
    wanted : mapping of str to str, optional
        Columns whose kind is said beforehand: one of `KINDS`.

    Returns
    -------
    dict of str to Found
        In the order of the columns.

    Raises
    ------
    InvalidArgumentError
        If `wanted` names a kind that there is not, or the target.
    DataError
        If it names a column that there is not, or one without a value of that kind.
    """
    wanted = wanted or {}
    for name, kind in wanted.items():
        table.require(name)
        if kind not in KINDS:
            message = (
                f"the kind of {name!r} must be one of {', '.join(KINDS)}, got {kind!r}"
                f"{nearest(kind, KINDS)}"
            )
            raise InvalidArgumentError(message)
        if name == target:
            message = f"{name!r} is the target: choose its task, not its kind"
            raise InvalidArgumentError(message)
    index = set(table.index)
    return {
        name: _wanted(table, name, wanted[name])
        if name in wanted
        else Found("ignored", _index(name))
        if name in index
        else infer(table, name)
        for name in table.columns
        if name != target
    }


def infer(table: Table, name: str) -> Found:
    """Judge one column by its values."""
    column = table.columns[name]
    present = column[~is_missing(column)]
    if not present.size:
        return Found("ignored", "it is empty")
    if present.size == column.size and np.all(column == column[0]):
        return Found("ignored", "it has one value only")
    values, bad = to_numbers(column, table.decimal)
    if mostly_readable(values, bad) and not has_codes(column):
        if name in table.categorical:
            return Found("category")
        large = large_integers(column, values)
        if np.sum(large) > (values.size - np.sum(np.isnan(values))) / 2:
            return _identifiers(present)
        return _number_or_row(values, large)
    return _text(present, table.decimal)


def mostly_readable(values: np.ndarray, bad: np.ndarray) -> bool:
    """Whether a column is of numbers, or dates, given what was read and where that failed."""
    readable = np.sum(~np.isnan(values))
    return bool(readable and np.sum(bad) <= (1 - SHARE) * (readable + np.sum(bad)))


def has_codes(column: np.ndarray) -> bool:
    """Whether a column holds numbers with leading zeros, which are codes: of towns, of products."""
    return column.dtype.kind != "f" and any(map(CODE.match, column))


def large_integers(column: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return where text is a whole number beyond 2^53, which float64 may round, bool (N,)."""
    found = np.zeros(len(column), dtype=bool)
    if column.dtype.kind != "f":
        large = np.flatnonzero(np.abs(np.nan_to_num(values)) >= EXACT)
        cells = column[large]
        found[large] = [bool(_WHOLE.fullmatch(c)) and abs(int(c)) > EXACT for c in cells]
    return found


def _text(present: np.ndarray, decimal: str) -> Found:
    """Judge a column that is not of numbers by its values."""
    present = to_text(present)
    words = np.unique(present)
    kept = words[~is_placeholder(words)]
    if kept.size <= 2 * len(TRUE) and {word.casefold() for word in kept} <= TRUE | FALSE:
        return Found("boolean") if kept.size else Found("ignored", "it has placeholders only")
    days, bad = to_days(present)
    if mostly_readable(days, bad):
        return Found("date")
    words, present = kept, present[~is_placeholder(present)]
    hint = rewriting(present, decimal) or emptying(present, decimal)
    if words.size > FEW and words.size > present.size / 2:
        shown = (
            f"{words.size} different values in {present.size} rows, "
            f"such as {(hint[0] if hint else typical(present))[:30]!r}"
        )
        use = f"{hint[1]} to have them used" if hint else "text or names of rows"
        return Found("ignored", f"{shown}: {use}")
    if hint:
        return Found("category", f"{hint[1]}, not as {hint[0][:30]!r}, to have them used as such")
    return Found("category")


def _number_or_row(values: np.ndarray, large: np.ndarray) -> Found:
    """Ignore whole numbers that count the rows from 0 or 1."""
    with np.errstate(over="ignore"):
        steps = np.diff(values)
    if values.size > FEW and values[0] in (0, 1) and bool(np.all(steps == 1)):
        return Found("ignored", "it numbers the rows")
    return Found("number", _rounding(large))


def _index(name: str) -> str:
    """Say why a column is taken for an index."""
    if name.casefold() == "id":
        return "its distinct whole numbers name the rows"
    return "it is the index of a data frame"


def _rounding(large: np.ndarray) -> str:
    count = np.sum(large)
    return (
        f"{count:,} of its whole numbers are beyond 2^53, and rounded to float64" if count else ""
    )


def _identifiers(present: np.ndarray) -> Found:
    """Whole numbers beyond 2^53 are identifiers: names of rows if most differ, else categories."""
    distinct = np.unique(present).size
    told = "its whole numbers are beyond 2^53 and taken for identifiers; choose number for amounts"
    ignored = distinct > FEW and distinct > present.size / 2
    return Found("ignored" if ignored else "category", told)


def _wanted(table: Table, name: str, kind: str) -> Found:
    if kind == "ignored":
        return Found(kind, "as you asked")
    column = table.columns[name]
    values = to_numbers(column, table.decimal)[0] if kind == "number" else None
    values = to_days(column)[0] if kind == "date" else values
    if (is_missing(column) if values is None else np.isnan(values)).all():
        cells = to_text(column[~is_missing(column)])
        hint = rewriting(cells, table.decimal) if cells.size else None
        how = f": {hint[1]}, not as {hint[0][:30]!r}" if hint else ""
        message = f"{table.name}: the column {name!r} has no value that is a {kind}{how}"
        raise DataError(message)
    if kind == "number" and values is not None:
        return Found(kind, _rounding(large_integers(column, values)))
    return Found(kind)
