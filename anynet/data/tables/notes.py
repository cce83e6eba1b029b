"""What people are told of rows unlike those that trained: which, how many, what was done."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from anynet.data.tables.encoders import Category
from anynet.data.tables.encoding import Encoded, Encoder
from anynet.data.tables.kinds import Found
from anynet.data.tables.table import Table, is_missing, nearest
from anynet.data.tables.target import Classes


def notes_on_column(encoder: Encoder, table: Table, encoded: Encoded) -> list[str]:
    """Tell of values that could not be read, are missing for the first time, or are new."""
    name, column = encoder.column, table.columns[encoder.column]
    absent = is_missing(column)
    told = []
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
        told.append(
            f"{_count(encoded.unseen)} a category that training did not have "
            f"({_first(table, encoded.unseen, column)}): taken as none of those it had"
        )
    return [f"{name}: {each}" for each in told]


def note_on_absent_column(encoder: Encoder, others: Iterable[str]) -> str:
    """Tell of a column that is not there; `others` are those whose names may be misspelt."""
    return (
        f"{encoder.column}: there is no such column{nearest(encoder.column, others)}: taken as "
        f"missing in every row, which is {encoder.imputed()}"
    )


def notes_on_kinds(found: dict[str, Found]) -> list[str]:
    """Tell which columns are not used, and why."""
    return [
        f"{name} is not used: {each.reason}"
        for name, each in found.items()
        if each.kind == "ignored"
    ]


def notes_on_rare(encoders: Iterable[Encoder]) -> list[str]:
    """Tell in which columns the rarer categories share an input."""
    return [
        f"{each.column}: the {len(each.levels)} most frequent categories have an input each, and "
        f"the others share one"
        for each in encoders
        if isinstance(each, Category) and each.other
    ]


def note_on_classes(target: Classes) -> list[str]:
    """Tell that numbers were taken for classes."""
    if not target.numeric or len(target.levels) == 2:
        return []
    told = (
        f"{target.column}: its {len(target.levels)} different whole numbers are taken for classes; "
        f"choose the task regression if they are amounts"
    )
    return [told]


def _count(mask: np.ndarray) -> str:
    count = int(np.sum(mask))
    return f"{count:,} of {mask.size:,} rows {'holds' if count == 1 else 'hold'}"


def _first(table: Table, mask: np.ndarray, column: np.ndarray) -> str:
    """Show the first of the cells, and where it stands."""
    row = int(np.flatnonzero(mask)[0])
    return f"{str(column[row])[:30]!r} in {table.where(row)}"
