"""Numbers in the text of a table, rewritten as Python writes them: 1.016,50 becomes 1016.50."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from anynet.data.tables.kinds import SHARE
from anynet.data.tables.marks import Judged, Marks, agreed, check_marks, judge, note_on_marks
from anynet.data.tables.table import TEXT, Table, is_missing, some
from anynet.data.tables.values import is_placeholder

#: The decimal separator of a column, and its thousands separator where a user chose it.
Saved = Mapping[str, tuple[str, str | None]]

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
    """Rewrite the numbers of a table whose separators are not known, or are given.

    Parameters
    ----------
    table : Table
    decimal, thousands : str, optional
        Given by the user for all columns; else inferred for each column.
    kinds : mapping of str to str, optional
        Kinds of columns that the user chose: a column that is not of numbers is left as it is.

    Returns
    -------
    table : Table
        With ``marks``.
    notes : list of str
        How numbers are read, other than by Python's rules.

    Raises
    ------
    InvalidArgumentError
        If there are no such separators.
    """
    check_marks(decimal, thousands)
    kinds = kinds or {}
    names = [name for name in table.columns if kinds.get(name, "number") == "number"]
    found = _infer(table, names, decimal, thousands)
    columns, made, changed = _rewrite(table, found, kinds)
    saved = {
        name: (each.marks.decimal, thousands)
        for name, each in made.items()
        if each.marked or each.marks.thousands
    }
    chosen = decimal or {",": ".", ".": ","}.get(thousands or "")
    if chosen:  # a later file may have what this one lacks
        text = (name for name in names if table.columns[name].dtype == TEXT)
        saved = dict.fromkeys(text, (chosen, thousands)) | saved
    return replace(table, columns=columns, marks=saved), _notes(_unusual(made), changed)


def marks_of(
    table: Table, decimal: str | None = None, thousands: str | None = None
) -> tuple[dict[str, Marks], list[str]]:
    """Infer the separators of the columns of numbers that have any, and leave these as they are.

    Returns
    -------
    marks : dict of str to Marks
    notes : list of str
        As from `infer_marks`.
    """
    check_marks(decimal, thousands)
    _, made, changed = _rewrite(table, _infer(table, table.columns, decimal, thousands), {})
    return {name: each.marks for name, each in made.items()}, _notes(_unusual(made), changed)


def apply_marks(table: Table, saved: Saved, names: Iterable[str]) -> tuple[Table, list[str]]:
    """Rewrite the numbers of new rows as the training rows have them.

    Where a column contradicts that, as in a file from another country, the separators are inferred
    anew, and a note reports it.

    Parameters
    ----------
    table : Table
    saved : mapping
        Of `Table.marks` of the training rows.
    names : iterable of str
        The columns of numbers.
    """
    kinds = dict.fromkeys(names, "number")  # even if most of the new values cannot be read
    names = [name for name in dict.fromkeys([*kinds, *saved]) if name in table.columns]

    def as_saved(cells: Collection[str], name: str, known: str | None) -> Judged | None:
        decimal, thousands = saved.get(name, (None, None))
        if decimal == "." and not thousands and _has_points_only("\n".join(cells)):
            return _PLAIN
        return judge(cells, table.separator, decimal, thousands, known)

    def anew(cells: Collection[str], name: str, known: str | None) -> Judged | None:  # noqa: ARG001
        return judge(cells, table.separator, known=known)

    trained = {decimal for decimal, _ in saved.values()}
    found = _judge_all(table, names, as_saved, trained.pop() if len(trained) == 1 else None)
    short = [name for name, each in found.items() if name in saved and not each.complete]
    other = _judge_all(table, short, anew) if short else {}
    if any(each.marks.decimal != saved[name][0] for name, each in other.items()):
        found = _judge_all(table, names, anew)
    columns, made, changed = _rewrite(table, found, kinds)
    unusual = _unusual(made)
    told = {
        name: each
        for name, each in made.items()
        if each.marks.decimal != saved.get(name, (".",))[0]
        or (name not in saved and name in unusual)
    }
    return replace(table, columns=columns, marks=saved), _notes(told, changed)


def _infer(
    table: Table, names: Iterable[str], decimal: str | None, thousands: str | None
) -> dict[str, Judged]:
    def judged(cells: Collection[str], name: str, known: str | None) -> Judged | None:  # noqa: ARG001
        if decimal is thousands is None and table.separator == "," and _is_plain(cells):
            return _PLAIN
        return judge(cells, table.separator, decimal, thousands, known)

    return _judge_all(table, names, judged)


def _unusual(made: Mapping[str, Judged]) -> dict[str, Judged]:
    """Return the columns that are not read by Python's rules, or may be meant otherwise."""
    return {name: each for name, each in made.items() if each.marks != Marks() or not each.evident}


def _judge_all(
    table: Table,
    names: Iterable[str],
    judged: Callable[[Collection[str], str, str | None], Judged | None],
    known: str | None = None,
) -> dict[str, Judged]:
    """Judge columns by themselves, and then those that leave it open by the others."""
    found = {}
    for name in names:
        cells = _cells(table, name)
        if cells and (each := judged(cells, name, None)):
            found[name] = each
    known = agreed(found.values()) or known
    if known:
        for name, each in found.items():
            if each.marked and not each.evident:
                found[name] = judged(_cells(table, name), name, known) or each
    return found


def _cells(table: Table, name: str) -> Collection[str]:
    """Return the distinct values of a column of text, or none if no number has separators."""
    column = table.columns[name]
    if column.dtype != TEXT:
        return ()
    cells = dict.fromkeys(column.tolist())
    cells.pop("", None)
    return cells if _MARK.search("\n".join(cells)) else ()


def _is_plain(cells: Collection[str]) -> bool:
    """Whether decimal points, and no other separators, are evident at a glance."""
    text = "\n".join(cells)
    return _has_points_only(text) and bool(_DECIMAL.search(text))


def _has_points_only(text: str) -> bool:
    """Whether lines have no separators but points, and none of these twice."""
    return not any(mark in text for mark in _OTHERS) and not _TWO_POINTS.search(text)


def _rewrite(
    table: Table, found: Mapping[str, Judged], kinds: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], dict[str, Judged], dict[str, dict[str, str]]]:
    """Rewrite the columns most of whose values are numbers.

    Returns
    -------
    columns : dict of str to ndarray
        All of the table.
    made : dict of str to Judged
        Those of numbers.
    changed : dict of str to dict
        For each of these, cells and what became of them.
    """
    columns = dict(table.columns)
    made: dict[str, Judged] = {}
    changed: dict[str, dict[str, str]] = {}
    for name, each in found.items():
        if each is _PLAIN:
            made[name], changed[name] = each, {}
            continue
        column = columns[name]
        plain = {cell: each.marks.plain(cell) for cell in _cells(table, name)}
        cells = column.tolist()
        numbers = sum(plain.get(cell) is not None for cell in cells)
        present = len(cells) - int(np.sum(is_missing(column) | is_placeholder(column)))
        if numbers >= SHARE * present or kinds.get(name) == "number":
            rewritten = [plain.get(cell) or cell for cell in cells]
            columns[name] = np.array(rewritten, dtype=TEXT)
            made[name] = each
            changed[name] = {
                cell: text for cell, text in plain.items() if text and _MARK.search(cell)
            }
    return columns, made, changed


def _notes(made: Mapping[str, Judged], changed: Mapping[str, dict[str, str]]) -> list[str]:
    """Report together the columns that are read alike."""
    groups: dict[tuple[Marks, bool], list[str]] = {}
    for name, each in made.items():
        if changed[name]:
            groups.setdefault((each.marks, each.evident), []).append(name)
    return [
        note_on_marks(
            some(names) if len(names) > 1 else names[0], made[names[0]], changed[names[0]]
        )
        for names in groups.values()
    ]
