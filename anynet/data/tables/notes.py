"""What people are told of rows unlike those that trained: which, how many, what was done."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from anynet.data.tables.encoders import Category
from anynet.data.tables.encoding import Encoded, Encoder
from anynet.data.tables.hints import rewriting
from anynet.data.tables.kinds import Found
from anynet.data.tables.table import TEXT, Table, is_missing, nearest, some
from anynet.data.tables.target import Classes
from anynet.data.tables.values import (
    NO_CATEGORY,
    PLACEHOLDERS,
    exact_number,
    is_placeholder,
    to_text,
)


def notes_on_column(encoder: Encoder, table: Table, encoded: Encoded) -> list[str]:
    """Tell of values that could not be read, are missing for the first time, or are new."""
    name, column = encoder.column, table.columns[encoder.column]
    placeholder = is_placeholder(
        column, NO_CATEGORY if isinstance(encoder, Category) else PLACEHOLDERS
    )
    absent = is_missing(column)
    told = []
    if placeholder.any():
        told.append(
            f"{_count(placeholder)} a placeholder ({_first(table, placeholder, column)}): "
            f"taken as missing, which is {encoder.imputed()}"
        )
    if encoded.bad.any():
        told.append(
            f"{_count(encoded.bad)} no {encoder.kind} ({_first(table, encoded.bad, column)}): "
            f"taken as missing, which is {encoder.imputed()}"
        )
    if absent.any() and not encoder.indicator:
        told.append(
            f"{_count(absent)} no value, as none for training: taken as {encoder.imputed()}"
        )
    if encoded.unseen.any():
        rare = isinstance(encoder, Category) and encoder.other
        told.append(
            f"{_count(encoded.unseen)} a category that training did not have "
            f"({_first(table, encoded.unseen, column)}): taken as "
            f"{'one of the rarest' if rare else 'none of those it had'}"
        )
    return [f"{name}: {each}" for each in told]


def note_on_absent_column(encoder: Encoder, others: Iterable[str]) -> str:
    """Tell of a column that is not there; `others` are those whose names may be misspelt."""
    return (
        f"{encoder.column}: there is no such column{nearest(encoder.column, others)}: taken as "
        f"missing in every row, which is {encoder.imputed()}"
    )


def notes_on_kinds(found: dict[str, Found]) -> list[str]:
    """Report which columns are not used, and whose kind may not be the one intended."""
    return [
        f"{name} is not used: {each.reason}"
        if each.kind == "ignored"
        else f"{name} is used as a {each.kind}: {each.reason}"
        for name, each in found.items()
        if each.reason
    ]


def notes_on_rare(encoders: Iterable[Encoder]) -> list[str]:
    """Tell in which columns the rarer categories share an input."""
    return [
        f"{each.column}: the {len(each.levels)} most frequent categories have an input each, and "
        f"the others share one"
        for each in encoders
        if isinstance(each, Category) and each.other
    ]


def notes_on_classes(target: Classes, *, inferred: bool) -> list[str]:
    """Report numbers that were taken for classes, and classes that may be one.

    Parameters
    ----------
    target : Classes
    inferred : bool
        Whether the task was inferred from the values.
    """
    name, levels = target.column, target.levels
    notes = []
    if inferred and target.numeric and len(levels) > 2:
        notes.append(
            f"{name}: its {len(levels)} different whole numbers are taken for classes; "
            f"choose the task regression if they are amounts"
        )
    values: dict[object, list[str]] = {}
    for level in levels:
        number = exact_number(level)
        values.setdefault(level if number is None else number, []).append(level)
    same = [each for each in values.values() if len(each) > 1]
    if same:
        notes.append(
            f"{name}: the classes {some(same[0])} are the same number written differently: write "
            f"them alike if they are one class"
        )
    hint = rewriting(np.array(levels, dtype=TEXT), ".")
    if hint and not target.numeric:
        notes.append(f"{name}: {hint[1]}, not as {hint[0][:30]!r}, if its classes are amounts")
    return notes


def _count(mask: np.ndarray) -> str:
    count = int(np.sum(mask))
    return f"{count:,} of {mask.size:,} rows {'holds' if count == 1 else 'hold'}"


def _first(table: Table, mask: np.ndarray, column: np.ndarray) -> str:
    """Show the first of the cells, and where it stands."""
    row = int(np.flatnonzero(mask)[0])
    cell = to_text(column[row : row + 1])[0]
    return f"{cell[:30]!r} in {table.where(row)}"
