"""Samples that several fits have in common: one copy, and so perhaps one population."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from anynet.data.batches import Rows
from anynet.estimators.arrays import home_of


class SharedRows:
    """Tables of samples, one for as many fits as it can serve.

    Parameters
    ----------
    whole : Rows
        All samples. Most often they serve every fold; one with targets or weights of its own,
        because it lacks a class or balances its classes, gets a table with the same inputs.
    """

    def __init__(self, whole: Rows | None) -> None:
        self.tables = [] if whole is None else [whole]
        self.of_folds: dict[int, list[Rows]] = {}

    def having(self, rows: Rows, places: np.ndarray) -> Rows:
        """Return a table that has these samples at these places."""
        for table in self.tables:
            if _has(table.y, rows.y, places) and _has(table.weight, rows.weight, places):
                return table
        x = self.tables[0].x
        spread = [_spread(column, places, x.shape[0]) for column in (rows.y, rows.weight)]
        self.tables.append(Rows(x, *spread))
        return self.tables[-1]

    def like(self, rows: Rows, fold: int) -> Rows:
        """Return a table that equals these samples of a fold, which were transformed for it."""
        tables = self.of_folds.setdefault(fold, [])
        for table in tables:
            if all(_equal(one, other) for one, other in zip(table, rows, strict=True)):
                return table
        tables.append(rows)
        return rows


def _has(column: Any, part: Any, places: np.ndarray) -> bool:
    if column is None or part is None:
        return column is part
    return np.array_equal(column[places], part)


def _spread(part: Any, places: np.ndarray, length: int) -> Any:
    if part is None:
        return None
    column = np.zeros((length, *part.shape[1:]), dtype=part.dtype)
    column[places] = part
    return column


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if sp.issparse(one) or sp.issparse(other):
        return bool(sp.issparse(one) and sp.issparse(other) and (one != other).nnz == 0)
    home = home_of(one)
    return bool((np if home is None else home.xp).all(one == other))
