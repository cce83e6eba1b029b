"""What the columns of a table hold, judged by their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from anynet.data.tables.table import Table, is_missing, nearest
from anynet.data.tables.values import FALSE, TRUE, to_days, to_numbers
from anynet.errors import DataError, InvalidArgumentError

KINDS = ("number", "boolean", "date", "category", "ignored")

#: A column is of numbers (or dates) where at least this share of its values are.
SHARE = 0.9

#: Text of more distinct values than this, and than half of its rows, names rows: it is no category.
FEW = 10

_CODE = re.compile(r"[+-]?0\d")  # a number with a leading zero is a code: of a town, of a product
_OTHER_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b")
_OTHER_NUMBER = re.compile(r"[^\w\s]?\s?\d[\d.,' ]*\s?[^\w\s]?$")


class Found(NamedTuple):
    """What a column holds, and why it is ignored if it is."""

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
        else Found("ignored", "it is the index of a data frame")
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
    if column.dtype.kind == "f":
        return _number_or_row(column)
    values, bad = to_numbers(column, table.decimal)
    if np.sum(bad) <= (1 - SHARE) * present.size and not any(map(_CODE.match, present)):
        return _number_or_row(values)
    words = np.unique(present)
    if words.size <= 2 * len(TRUE) and {word.casefold() for word in words} <= TRUE | FALSE:
        return Found("boolean")
    _, bad = to_days(column)
    if np.sum(bad) <= (1 - SHARE) * present.size:
        return Found("date")
    if words.size > FEW and words.size > present.size / 2:
        return Found("ignored", _text_reason(str(words[0]), words.size, present.size))
    return Found("category")


def _number_or_row(values: np.ndarray) -> Found:
    """Whole numbers that count the rows from 0 or 1 name them, and say nothing else."""
    counted = values.size > FEW and values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))
    return Found("ignored", "it numbers the rows") if counted else Found("number")


def _text_reason(example: str, distinct: int, present: int) -> str:
    shown = f"{distinct} different values in {present} rows, such as {example[:30]!r}"
    if _OTHER_DATE.match(example):
        return f"{shown}: write dates as 2024-05-31 to have them used"
    if _OTHER_NUMBER.match(example):
        return f"{shown}: write numbers as 1234.5 to have them used"
    return f"{shown}: text or names of rows"


def _wanted(table: Table, name: str, kind: str) -> Found:
    if kind == "ignored":
        return Found(kind, "as you asked")
    column = table.columns[name]
    values = to_numbers(column, table.decimal)[0] if kind == "number" else None
    values = to_days(column)[0] if kind == "date" else values
    if (is_missing(column) if values is None else np.isnan(values)).all():
        message = f"{table.name}: the column {name!r} has no value that is a {kind}"
        raise DataError(message)
    return Found(kind)
