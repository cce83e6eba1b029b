"""Which points a study visits: all of a product, or some drawn at random."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anynet.errors import InvalidArgumentError

#: Of a grid. The points are listed, and none of so many could be trained.
MOST_POINTS = 10**6

Point: TypeAlias = dict[str, Any]
"""The value of each studied option."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes
    ----------
    low, high : int or float
        Both ints make a range of whole numbers.
    log : bool
        Whether every factor, not every difference, is as likely.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Refuse a range without numbers, or a logarithm of what has none."""
        for name in ("low", "high"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value):
                message = f"{name} of a range must be a finite number, got {value!r}"
                raise InvalidArgumentError(message)
        if not self.low < self.high:
            message = f"a range needs low below high, got low {self.low!r} and high {self.high!r}"
            raise InvalidArgumentError(message)
        if self.log and self.low <= 0:
            message = f"a range with log needs low above 0, got {self.low!r}"
            raise InvalidArgumentError(message)

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers."""
        return type(self.low) is int and type(self.high) is int

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one of its numbers."""
        if self.whole and not self.log:
            return int(generator.integers(int(self.low), int(self.high), endpoint=True))
        if not self.log:
            return float(generator.uniform(self.low, self.high))
        # A whole number owns the interval half a unit around it, so that the ends are not rarer.
        margin = 0.5 if self.whole else 0.0
        ends = math.log(self.low - margin), math.log(self.high + margin)
        drawn = min(max(math.exp(generator.uniform(*ends)), self.low), self.high)
        return round(drawn) if self.whole else drawn


Space: TypeAlias = Mapping[str, Sequence[Any] | Range]
"""For each studied option its values, or the range that they come from."""


def product(grid: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Return every combination of the values, the last option varying fastest, each once.

    Raises
    ------
    InvalidArgumentError
        If no option is studied, one has no values, or there are more than MOST_POINTS points.

    Examples
    --------
    >>> product({"decay": [0.9, 1.0], "batch_size": [64]})
    [{'decay': 0.9, 'batch_size': 64}, {'decay': 1.0, 'batch_size': 64}]
    """
    check_space(grid)
    values = [list(dict.fromkeys(some)) for some in grid.values()]
    if (count := math.prod(map(len, values))) > MOST_POINTS:
        message = (
            f"the grid has {count:,} points, more than {MOST_POINTS:,}: give fewer "
            f"values, or sample points at random (n_trials)"
        )
        raise InvalidArgumentError(message)
    return [dict(zip(grid, chosen, strict=True)) for chosen in itertools.product(*values)]


def random_points(space: Space, n_trials: int, seed: int = 0) -> list[Point]:
    """Draw different points; asked for more of the same seed, it begins with the same ones.

    Fewer than `n_trials` are returned only where the space is finite and has no more.

    Raises
    ------
    InvalidArgumentError
        If no option is studied, or one has no values.
    """
    check_space(space)
    generator = np.random.default_rng(seed)
    lists = [list(dict.fromkeys(some)) for some in space.values() if not isinstance(some, Range)]
    size = math.prod(map(len, lists)) if len(lists) == len(space) else math.inf
    points: dict[tuple[Any, ...], Point] = {}
    for _ in range(1000 * n_trials):  # a range of few whole numbers is finite too
        if len(points) >= min(n_trials, size):
            break
        point = {name: _draw(values, generator) for name, values in space.items()}
        points.setdefault(tuple(point.values()), point)
    return list(points.values())


def check_space(space: Space) -> None:
    """Refuse an empty grid.

    Raises
    ------
    InvalidArgumentError
        If no option is studied, or one has no values.
    """
    if not space:
        message = "the grid is empty: name at least one option and its values"
        raise InvalidArgumentError(message)
    for name, values in space.items():
        if not isinstance(values, Range) and not values:
            message = f"the grid is empty: {name.replace('_', '-')} has no values"
            raise InvalidArgumentError(message)


def _draw(values: Sequence[Any] | Range, generator: np.random.Generator) -> Any:
    if isinstance(values, Range):
        return values.draw(generator)
    different = list(dict.fromkeys(values))
    return different[generator.integers(len(different))]
