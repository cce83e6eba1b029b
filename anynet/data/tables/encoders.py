"""Truth values and categories as inputs, and the encoder of each kind of column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.data.tables.encoding import Encoded, encoded, indicator_name
from anynet.data.tables.numeric import Date, Number
from anynet.data.tables.table import is_missing
from anynet.data.tables.values import find_levels, to_categories, to_truth

#: One column becomes so many inputs at most; of more categories, the rarer ones share an input.
MOST_LEVELS = 50


@dataclass(frozen=True)
class Boolean:
    """True or false as 1 or 0; a missing value becomes the more frequent of them."""

    kind: ClassVar[str] = "boolean"

    column: str
    fill: float
    indicator: bool

    @classmethod
    def fit(cls, name: str, column: np.ndarray, decimal: str) -> Boolean:  # noqa: ARG003
        """Measure the training rows."""
        values, _ = to_truth(column)
        absent = np.isnan(values)
        fill = 0.0 if absent.all() else float(np.mean(values[~absent]) > 0.5)
        return cls(name, fill, bool(absent.any()))

    def names(self) -> list[str]:
        """Name the inputs."""
        return [self.column, *indicator_name(self)]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:  # noqa: ARG002
        """Turn a column into inputs."""
        values, bad = to_truth(column)
        filled = np.where(np.isnan(values), self.fill, values)
        return encoded([filled], values, bad, self.indicator)

    def imputed(self) -> str:
        """Say what a missing value becomes."""
        return "true" if self.fill else "false"


@dataclass(frozen=True)
class Category:
    """One of several words: an input for each, 1 where it stands and 0 elsewhere.

    Beyond `MOST_LEVELS` the rarer words share the input "other", which takes unseen ones too;
    without it, unseen ones have 0 everywhere. A missing value is a word of its own where the
    training rows had one, else it has 0 everywhere. This is scikit-learn's ``OneHotEncoder`` with
    ``max_categories``.

    Attributes
    ----------
    column : str
    levels : tuple of str
        The words with an input of their own.
    other : bool
        Whether there is an input for the rarer words.
    indicator : bool
    rare : tuple of str
        The rarer words of the training rows, which tells them from unseen ones.
    """

    kind: ClassVar[str] = "category"

    column: str
    levels: tuple[str, ...]
    other: bool
    indicator: bool
    rare: tuple[str, ...] = ()

    @classmethod
    def fit(cls, name: str, column: np.ndarray, decimal: str) -> Category:  # noqa: ARG003
        """Collect the words of the training rows."""
        words = to_categories(column)
        absent = is_missing(words)
        levels, counts = np.unique(words[~absent], return_counts=True)
        most = levels.size if levels.size <= MOST_LEVELS else MOST_LEVELS - 1
        by_count = levels[np.argsort(-counts, kind="stable")].tolist()
        frequent, rare = sorted(by_count[:most]), sorted(by_count[most:])
        return cls(name, tuple(frequent), bool(rare), bool(absent.any()), tuple(rare))

    def names(self) -> list[str]:
        """Name the inputs."""
        others = ["other"] if self.other else []
        words = [*self.levels, *others, *(["missing"] if self.indicator else [])]
        return [f"{self.column} = {word}" for word in words]

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:  # noqa: ARG002
        """Turn a column into inputs."""
        words = to_categories(column)
        absent = is_missing(words)
        code = find_levels(words, (*self.levels, *self.rare))
        unseen = ~absent & (code < 0)
        elsewhere = len(self.levels) if self.other else -1
        code[unseen | (code >= len(self.levels))] = elsewhere
        code[absent] = self._width - 1 if self.indicator else -1
        x = np.zeros((len(words), self._width), dtype=np.float32)
        rows = np.flatnonzero(code >= 0)
        x[rows, code[rows]] = 1.0
        return Encoded(x, np.zeros(len(words), dtype=bool), unseen)

    def imputed(self) -> str:
        """Say what a missing value becomes."""
        return "a category of its own" if self.indicator else "none of the categories"

    @property
    def _width(self) -> int:
        return len(self.levels) + self.other + self.indicator


ENCODERS: dict[str, Any] = {each.kind: each for each in (Number, Date, Boolean, Category)}
