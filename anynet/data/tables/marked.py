"""Numbers in the text of a table, rewritten in Python's notation: 1.016,50 becomes 1016.50."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from anynet.data.tables.column import TEXT, is_missing
from anynet.data.tables.kinds import SHARE
from anynet.data.tables.marks import Judged, Marks, agreed, check_marks, judge, note_on_marks
from anynet.data.tables.table import Table, some
from anynet.data.tables.values import is_placeholder

#: The decimal separator of a column, and its thousands separator if a user chose it.
Saved = Mapping[str, tuple[str, str | None]]

#: For each column of numbers the conclusion, and its cells with separators and their new text.
Rewritten = dict[str, tuple[Judged, dict[str, str]]]

_MARK = re.compile("[0-9][,.' \u00a0\u2009\u202f\u2019][0-9]|[0-9],|,[0-9]")
_OTHERS = ",' \u00a0\u2009\u202f\u2019"
_TWO_POINTS = re.compile("\\.[0-9]*\\.")
_DECIMAL = re.compile("\\.(?:[0-9]{1,2}|[0-9]{4,})$|^[+-]?0\\.[0-9]", re.MULTILINE)
_PLAIN = Judged(Marks(), evident=True, marked=True, complete=True)


def infer_marks(
    table: Table,
    decimal: str | None = None,
    thousands: str | None = None,
    kinds: Mapping[str, str] | None = None,
) -> tuple[Table, list[str]]:
    """Rewrite the numbers of a table with unknown or given separators.

    Parameters
    ----------
    table : Table
        The table.
    decimal, thousands : str, optional
        Given by the user for all columns; else inferred for each column.
    kinds : mapping of str to str, optional
        Kinds of columns that the user chose: a column that is not of numbers is kept.

    Returns
    -------
    table : Table
        With ``marks``.
    notes : list of str
        Columns that are not read in Python's notation.

    Raises
    ------
    InvalidArgumentError
        If the separators are invalid.
    """
    check_marks(decimal, thousands)
    kinds = kinds or {}
    names = [name for name in table.columns if kinds.get(name, "number") == "number"]
    found = _judge_all(table, dict.fromkeys(names, (decimal, thousands)))
    columns, made = _rewrite(table, found, kinds)
    saved = {
        name: (each.marks.decimal, thousands)
        for name, (each, _) in made.items()
        if each.marked or each.marks.thousands
    }
    chosen = decimal or {",": ".", ".": ","}.get(thousands or "")
    if chosen:  # a later file may have separators that this one lacks
        text = (name for name in names if table.columns[name].dtype == TEXT)
        saved = dict.fromkeys(text, (chosen, thousands)) | saved
    return replace(table, columns=columns, marks=saved), _notes(_unusual(made))


def marks_of(
    table: Table, decimal: str | None = None, thousands: str | None = None
) -> tuple[dict[str, Marks], list[str]]:
    """Infer the separators of the columns of numbers that have any, without rewriting them.

    Parameters
    ----------
    table : Table
        The table.
    decimal, thousands : str, optional
        As for `infer_marks`.

    Returns
    -------
    marks : dict of str to Marks
        The separators by column.
    notes : list of str
        As from `infer_marks`.
    """
    check_marks(decimal, thousands)
    found = _judge_all(table, dict.fromkeys(table.columns, (decimal, thousands)))
    _, made = _rewrite(table, found, {})
    return {name: each.marks for name, (each, _) in made.items()}, _notes(_unusual(made))


def apply_marks(table: Table, saved: Saved, names: Iterable[str]) -> tuple[Table, list[str]]:
    """Rewrite the numbers of new rows with the separators of the training rows.

    If a column contradicts them, as in a file from another country, all separators are inferred
    again, and a note reports it.

    Parameters
    ----------
    table : Table
        The new rows.
    saved : mapping
        ``Table.marks`` of the training rows.
    names : iterable of str
        The columns of numbers.

    Returns
    -------
    table : Table
        With ``marks``.
    notes : list of str
        Columns that are not read like those of the training rows.
    """
    kinds = dict.fromkeys(names, "number")  # even if most of the new values cannot be read
    present = [name for name in dict.fromkeys([*kinds, *saved]) if name in table.columns]
    unknown: dict[str, tuple[str | None, str | None]] = dict.fromkeys(present, (None, None))
    given = {name: saved.get(name, unknown[name]) for name in present}
    trained = {decimal for decimal, _ in saved.values()}
    known = trained.pop() if len(trained) == 1 else None
    found = _judge_all(table, given, known)
    short = [name for name, each in found.items() if name in saved and not each.complete]
    other = _judge_all(table, dict.fromkeys(short, (None, None)), quick=False)
    if any(each.marks.decimal != saved[name][0] for name, each in other.items()):
        found = _judge_all(table, unknown, quick=False)
    columns, made = _rewrite(table, found, kinds)
    unusual = _unusual(made)
    different = {
        name: (each, changed)
        for name, (each, changed) in made.items()
        if each.marks.decimal != saved.get(name, (".",))[0]
        or (name not in saved and name in unusual)
    }
    return replace(table, columns=columns, marks=saved), _notes(different)


def _judge_all(
    table: Table,
    given: Mapping[str, tuple[str | None, str | None]],
    known: str | None = None,
    quick: bool = True,
) -> dict[str, Judged]:
    """Judge columns by themselves, and then the ambiguous ones by the others.

    `given` has the columns with their decimal and thousands separator, None if that is unknown,
    and `known` is the decimal separator if no column is evident. With `quick`, columns whose
    decimal points are evident at a glance are `_PLAIN`.
    """

    def judged(name: str, known: str | None) -> Judged | None:
        cells, (decimal, thousands) = _cells(table, name), given[name]
        if not cells:
            return None
        if quick and not thousands and _is_plain(cells, decimal, table.separator):
            return _PLAIN
        return judge(cells, table.separator, decimal, thousands, known)

    found = {name: each for name in given if (each := judged(name, None))}
    known = agreed(found.values()) or known
    if known:
        for name, each in found.items():
            if each.marked and not each.evident:
                found[name] = judged(name, known) or each
    return found


def _cells(table: Table, name: str) -> Collection[str]:
    """Return the distinct values of a column of text, or none if no number has separators."""
    column = table.columns[name]
    if column.dtype != TEXT:
        return ()
    cells = dict.fromkeys(column.tolist())
    cells.pop("", None)
    return cells if _MARK.search("\n".join(cells)) else ()


def _is_plain(cells: Collection[str], decimal: str | None, separator: str) -> bool:
    """Return whether points are given or evident as the only separators, one in a cell."""
    text = "\n".join(cells)
    if any(mark in text for mark in _OTHERS) or _TWO_POINTS.search(text):
        return False
    return decimal == "." or (decimal is None and separator == "," and bool(_DECIMAL.search(text)))


def _rewrite(
    table: Table, found: Mapping[str, Judged], kinds: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], Rewritten]:
    """Rewrite the columns of which most values are numbers; return all columns of the table."""
    columns = dict(table.columns)
    made: Rewritten = {}
    for name, each in found.items():
        if each is _PLAIN:
            made[name] = each, {}
            continue
        column = columns[name]
        plain = {cell: each.marks.plain(cell) for cell in _cells(table, name)}
        cells = column.tolist()
        numbers = sum(plain.get(cell) is not None for cell in cells)
        present = len(cells) - int(np.sum(is_missing(column) | is_placeholder(column)))
        if numbers >= SHARE * present or kinds.get(name) == "number":
            columns[name] = np.array([plain.get(cell) or cell for cell in cells], dtype=TEXT)
            changed = {cell: text for cell, text in plain.items() if text and _MARK.search(cell)}
            made[name] = each, changed
    return columns, made


def _unusual(made: Rewritten) -> Rewritten:
    """Return the columns that are not in Python's notation, or are ambiguous."""
    return {
        name: (each, changed)
        for name, (each, changed) in made.items()
        if each.marks != Marks() or not each.evident
    }


def _notes(made: Rewritten) -> list[str]:
    """Return notes on columns, one for all that are read alike."""
    groups: dict[tuple[Marks, bool], list[str]] = {}
    for name, (each, changed) in made.items():
        if changed:
            groups.setdefault((each.marks, each.evident), []).append(name)
    return [
        note_on_marks(some(names) if len(names) > 1 else names[0], *made[names[0]])
        for names in groups.values()
    ]
