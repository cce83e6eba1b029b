"""Columns that are the index of a data frame: they number or name its rows, and predict nothing.

A frame whose rows were sorted by class and then shuffled, filtered or sampled has the class in its
index, which a network would learn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from anynet.data.tables.kinds import FEW
from anynet.data.tables.table import is_missing
from anynet.data.tables.values import to_numbers

#: Names that pandas and Dask give to an index that has none,
_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)*|__index_level_\d+__|__null_dask_index__")

#: and those that pandas, polars and people give to row numbers, which other columns may have too.
_NUMBERS = re.compile(r"index|level_\d+|row_nr|[Ii][Dd]")


def index_columns(columns: Mapping[str, np.ndarray], unnamed: Iterable[str] = ()) -> list[str]:
    """Find the index among columns.

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
        column without a name may also have distinct values of any kind, as row names are, or many
        whole numbers, which repeat where frames were concatenated.
    """
    unnamed = set(unnamed)
    return [
        name
        for name, column in columns.items()
        if ((name in unnamed or _UNNAMED.fullmatch(name)) and _names_rows(column))
        or (_NUMBERS.fullmatch(name) and _are_distinct_whole(column))
    ]


def may_be_index(name: str) -> bool:
    """Whether a column of this name is worth a look."""
    return bool(_UNNAMED.fullmatch(name) or _NUMBERS.fullmatch(name))


def _names_rows(column: np.ndarray) -> bool:
    if is_missing(column).any():
        return False
    distinct = np.unique(column).size
    return distinct == column.size or (distinct > FEW and _are_whole(column))


def _are_distinct_whole(column: np.ndarray) -> bool:
    return _are_whole(column) and np.unique(column).size == column.size


def _are_whole(column: np.ndarray) -> bool:
    values, _ = to_numbers(column)
    return bool(np.all((values >= 0) & (values == np.floor(values))))  # false for NaN
