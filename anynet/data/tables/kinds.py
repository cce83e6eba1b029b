"""The kinds of the columns of a table, judged by their values; columns that are an index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from anynet.checks import check_choice
from anynet.data.tables.column import EXACT, TEXT, is_missing
from anynet.data.tables.hints import emptying, rewriting, typical
from anynet.data.tables.table import Table, as_name
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

#: A column is of numbers (or dates) if at least this share of its values are.
SHARE = 0.9

#: Text with more distinct values than this, and than half of its rows, is not a category.
FEW = 10

_WHOLE = re.compile(r"[+-]?\d+")

#: Names that pandas and Dask give to an index without a name,
_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)*|__index_level_\d+__|__null_dask_index__")

#: and those that pandas, polars and people give to row numbers, which other columns may have too.
_NUMBERS = re.compile(r"index|level_\d+|row_nr|[Ii][Dd]")


class Found(NamedTuple):
    """The kind of a column, and the reason if that is worth a note or the column is ignored."""

    kind: str
    reason: str = ""


def infer_kinds(
    table: Table, target: str | None, wanted: Mapping[str, str] | None = None
) -> dict[str, Found]:
    """Judge every column except the target.

    Parameters
    ----------
    table : Table
        All rows: the kind of a column depends on its file, not on the rows for training.
    target : str or None
        The column that is left out, if any.
    wanted : mapping of str to str, optional
        Columns with a given kind, one of `KINDS`.

    Returns
    -------
    dict of str to Found
        In the order of the columns.

    Raises
    ------
    InvalidArgumentError
        If `wanted` has an unknown kind, or the target.
    DataError
        If it has an unknown column, or one without a value of that kind.
    """
    wanted = {as_name(name): kind for name, kind in (wanted or {}).items()}
    for name, kind in wanted.items():
        table.require(name)
        check_choice(f"the kind of {name!r}", kind, KINDS)
        if name == target:
            message = f"{name!r} is the target: choose its task, not its kind"
            raise InvalidArgumentError(message)
    found = {}
    for name in table.columns:
        if name == target:
            continue
        if name in wanted:
            found[name] = _wanted(table, name, wanted[name])
        elif name in table.index:
            is_id = name.casefold() == "id"
            reason = "its distinct whole numbers name the rows"
            found[name] = Found("ignored", reason if is_id else "it is the index of a data frame")
        else:
            found[name] = infer(table, name)
    return found


def infer(table: Table, name: str) -> Found:
    """Judge one column by its values.

    Parameters
    ----------
    table : Table
        All rows.
    name : str
        The column.

    Returns
    -------
    Found
        Its kind.
    """
    column = table.columns[name]
    if not table.named and column.dtype.kind == "f":
        return Found("number")  # of an array, whose columns are there to be used
    present = column[~is_missing(column)]
    if not present.size:
        return Found("ignored", "it is empty")
    if present.size == column.size and np.all(column == column[0]):
        return Found("ignored", "it has one value only")
    if present.dtype.kind != "f" and present[0][4:5] == "-" and mostly_readable(*to_days(present)):
        return Found("date")  # for speed: neither numbers nor truth values are dates
    values, bad = to_numbers(column)
    if not mostly_readable(values, bad) or has_codes(column):
        return _text(present)
    if name in table.categorical:
        return Found("category")
    large = large_integers(column, values)
    if np.sum(large) > (values.size - np.sum(np.isnan(values))) / 2:
        distinct = len(set(present.tolist()))
        ignored = distinct > FEW and distinct > present.size / 2
        reason = "its whole numbers are beyond 2^53 and taken as identifiers"
        return Found(
            "ignored" if ignored else "category", f"{reason}; choose number if they are amounts"
        )
    with np.errstate(over="ignore"):
        steps = np.diff(values)
    counted = values.size > FEW and values[0] in (0, 1) and bool(np.all(steps == 1))
    if counted:
        return Found("ignored", "it numbers the rows")
    return Found("number", _rounding(large))


def mostly_readable(values: np.ndarray, bad: np.ndarray) -> bool:
    """Return whether a column is of numbers, or dates, given its values and unreadable cells."""
    readable = np.sum(~np.isnan(values))
    return bool(readable and np.sum(bad) <= (1 - SHARE) * (readable + np.sum(bad)))


def has_codes(column: np.ndarray) -> bool:
    """Return whether a column has numbers with leading zeros: codes of towns, of products."""
    return column.dtype.kind != "f" and any(map(CODE.match, set(column.tolist())))


def large_integers(column: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return where text is a whole number beyond 2^53, which float64 may round, bool (N,)."""
    found = np.zeros(len(column), dtype=bool)
    if column.dtype.kind != "f":
        large = np.flatnonzero(np.abs(np.nan_to_num(values)) >= EXACT)
        cells = column[large]
        found[large] = [bool(_WHOLE.fullmatch(c)) and abs(int(c)) > EXACT for c in cells]
    return found


def _text(present: np.ndarray) -> Found:
    """Judge a column that is not of numbers by its values."""
    present = to_text(present)
    words = np.array(sorted(set(present.tolist())), dtype=TEXT)
    kept = words[~is_placeholder(words)]
    if kept.size <= 2 * len(TRUE) and {word.casefold() for word in kept} <= TRUE | FALSE:
        return Found("boolean") if kept.size else Found("ignored", "it has placeholders only")
    if mostly_readable(*to_days(present)):
        return Found("date")
    present = present[~is_placeholder(present)]
    hint = rewriting(present) or emptying(present)
    if kept.size > FEW and kept.size > present.size / 2:
        shown = (
            f"{kept.size} different values in {present.size} rows, "
            f"such as {(hint[0] if hint else typical(present))[:30]!r}"
        )
        use = f"{hint[1]} to have them used" if hint else "text or names of rows"
        return Found("ignored", f"{shown}: {use}")
    if hint:
        return Found("category", f"{hint[1]}, not as {hint[0][:30]!r}, to have them used as such")
    return Found("category")


def _rounding(large: np.ndarray) -> str:
    count = np.sum(large)
    return (
        f"{count:,} of its whole numbers are beyond 2^53, and rounded to float64" if count else ""
    )


def _wanted(table: Table, name: str, kind: str) -> Found:
    if kind == "ignored":
        return Found(kind, "as you requested")
    column = table.columns[name]
    read = {"number": to_numbers, "date": to_days}.get(kind)
    values = read(column)[0] if read else column
    if is_missing(values).all():
        cells = to_text(column[~is_missing(column)])
        hint = rewriting(cells) if cells.size else None
        advice = f": {hint[1]}, not as {hint[0][:30]!r}" if hint else ""
        message = f"{table.name}: the column {name!r} has no value that is a {kind}{advice}"
        raise DataError(message)
    return Found(kind, _rounding(large_integers(column, values)) if kind == "number" else "")


def notes_on_kinds(found: Mapping[str, Found]) -> list[str]:
    """Return notes on columns that are not used, or whose kind may not be the intended one."""
    return [
        f"{name} is not used: {each.reason}"
        if each.kind == "ignored"
        else f"{name} is used as a {each.kind}: {each.reason}"
        for name, each in found.items()
        if each.reason
    ]


def index_columns(columns: Mapping[str, np.ndarray], unnamed: Iterable[str] = ()) -> list[str]:
    """Return the columns that are the index of a data frame: they number or name its rows.

    A frame whose rows were sorted by class and then shuffled, filtered or sampled has the class in
    its index, which a network would learn.

    Parameters
    ----------
    columns : mapping of str to ndarray
        As those of a `Table`.
    unnamed : iterable of str
        The first columns of a text file, if they have no names there.

    Returns
    -------
    list of str
        Columns of distinct whole numbers that have no name, or one that is given to row numbers. A
        column without a name may also have distinct values of any kind, such as row names, or many
        whole numbers, which repeat if frames were concatenated.
    """
    unnamed = set(unnamed)
    return [
        name
        for name, column in columns.items()
        if ((name in unnamed or _UNNAMED.fullmatch(name)) and _names_rows(column))
        or (_NUMBERS.fullmatch(name) and _are_whole(column) and _are_distinct(column))
    ]


def may_be_index(name: str) -> bool:
    """Return whether a column of this name may be an index."""
    return bool(_UNNAMED.fullmatch(name) or _NUMBERS.fullmatch(name))


def _names_rows(column: np.ndarray) -> bool:
    if is_missing(column).any():
        return False
    return _are_distinct(column) or (np.unique(column).size > FEW and _are_whole(column))


def _are_distinct(column: np.ndarray) -> bool:
    return bool(np.unique(column).size == column.size)


def _are_whole(column: np.ndarray) -> bool:
    values, _ = to_numbers(column)
    return bool(np.all((values >= 0) & (values == np.floor(values))))  # false for NaN
