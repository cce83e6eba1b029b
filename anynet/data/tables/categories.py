"""Encoders of categories: an input for each, or one code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from anynet.config import register
from anynet.data.tables.column import is_missing
from anynet.data.tables.encoders import Encoded, Encoder
from anynet.data.tables.values import find_levels, to_categories

#: Maximum number of inputs of one column; if it has more categories, the rarer ones share an input.
MOST_LEVELS = 50


@register("encoder")
@dataclass(frozen=True)
class Category(Encoder):
    """One of several categories: an input for each, which is 1 for that category and 0 otherwise.

    Beyond `MOST_LEVELS` the rarer categories share the input "other", which unseen ones use too;
    without it, unseen ones are 0 in every input. A missing value is a category if the training rows
    had one, otherwise it is 0 in every input. This is scikit-learn's ``OneHotEncoder`` with
    ``max_categories``.

    Attributes
    ----------
    column : str
        The name of the column.
    levels : tuple of str
        The categories with an input of their own.
    other : bool
        Whether there is an input for the rarer categories.
    indicator : bool
        Whether the training rows had missing values, which have an input of their own.
    rare : tuple of str
        The rarer categories of the training rows, as opposed to unseen ones.
    signed : bool
        Whether two categories are 1 and -1 in a single input, and a missing value is 0 in every
        input.
    frequent : str
        The most frequent category of the training rows, for forms; "" if there was none, and in
        files of earlier versions.
    """

    kind: ClassVar[str] = "category"
    reads: ClassVar[str] = kind

    column: str
    levels: tuple[str, ...]
    other: bool
    indicator: bool
    rare: tuple[str, ...] = ()
    signed: bool = False
    frequent: str = ""

    @classmethod
    def fit(cls, name: str, column: np.ndarray) -> Self:
        """Collect the categories of the training rows."""
        cells = to_categories(column)
        absent = is_missing(cells)
        counts = Counter(cells[~absent].tolist())
        most = len(counts) if len(counts) <= MOST_LEVELS else MOST_LEVELS - 1
        by_count = sorted(counts, key=lambda level: (-counts[level], level))
        frequent, rare = sorted(by_count[:most]), sorted(by_count[most:])
        return cls(
            name,
            tuple(frequent),
            bool(rare),
            bool(absent.any()),
            tuple(rare),
            frequent=by_count[0] if by_count else "",
        )

    @property
    def flags_missing(self) -> bool:
        """Whether an input indicates missing values."""
        return self.indicator and not self.signed

    @property
    def is_contrast(self) -> bool:
        """Whether a single input distinguishes two categories."""
        return self.signed and len(self.levels) == 2 and not self.other

    def names(self) -> list[str]:
        """Return the names of the inputs."""
        names = [*self.levels, *["other"] * self.other, *["missing"] * self.flags_missing]
        return [f"{self.column} = {name}" for name in names[: 1 if self.is_contrast else None]]

    def encode(self, column: np.ndarray) -> Encoded:
        """Return the inputs of a column."""
        cells = to_categories(column)
        absent = is_missing(cells)
        code = find_levels(cells, (*self.levels, *self.rare))
        unseen = ~absent & (code < 0)
        width = len(self.levels) + self.other + self.flags_missing
        code[unseen | (code >= len(self.levels))] = len(self.levels) if self.other else -1
        code[absent] = width - 1 if self.flags_missing else -1
        x = np.zeros((len(cells), width), dtype=np.float32)
        rows = np.flatnonzero(code >= 0)
        x[rows, code[rows]] = 1.0
        if self.is_contrast:
            x = x[:, :1] - x[:, 1:]
        return Encoded(x, np.zeros(len(cells), dtype=bool), unseen)

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return "a category of its own" if self.flags_missing else "none of the categories"


@register("encoder")
@dataclass(frozen=True)
class Code(Encoder):
    """The position of a category among those of the training rows, counted from 1.

    A network looks it up in an embedding. Missing values and unseen categories are 0.

    Attributes
    ----------
    column : str
        The name of the column.
    levels : tuple of str
        The categories of the training rows.
    indicator : bool
        Whether the training rows had missing values.
    frequent : str
        See `Category`.
    """

    kind: ClassVar[str] = "code"
    reads: ClassVar[str] = "category"

    column: str
    levels: tuple[str, ...]
    indicator: bool
    frequent: str = ""

    @classmethod
    def fit(cls, name: str, column: np.ndarray) -> Self:
        """Collect the categories of the training rows."""
        return cls.of(Category.fit(name, column))

    @classmethod
    def of(cls, one_hot: Category) -> Self:
        """Return the code of the categories that another encoder has collected."""
        levels = tuple(sorted((*one_hot.levels, *one_hot.rare)))
        return cls(one_hot.column, levels, one_hot.indicator, one_hot.frequent)

    def names(self) -> list[str]:
        """Return the name of the input."""
        return [self.column]

    def encode(self, column: np.ndarray) -> Encoded:
        """Return the codes of a column, float32 (N, 1)."""
        cells = to_categories(column)
        code = find_levels(cells, self.levels) + 1
        x = code.astype(np.float32)[:, None]
        return Encoded(x, np.zeros(len(cells), dtype=bool), ~is_missing(cells) & (code == 0))

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return "none of the categories"
