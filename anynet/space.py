"""Spaces of options: the values of each, or the range from which they are drawn at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anynet.errors import InvalidArgumentError

Point: TypeAlias = dict[str, Any]
"""The value of each studied option by its name."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes
    ----------
    low, high : int or float
        Two ints make a range of whole numbers.
    log : bool
        Whether the logarithm of the numbers is distributed uniformly.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Check that the range has numbers, and logarithms if they are needed."""
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
        """Whether it is a range of whole numbers."""
        return type(self.low) is int and type(self.high) is int

    def draw(self, generator: np.random.Generator) -> float:
        """Draw a number."""
        if self.whole and not self.log:
            return int(generator.integers(int(self.low), int(self.high), endpoint=True))
        if not self.log:
            return float(generator.uniform(self.low, self.high))
        # A whole number stands for the interval half a unit around it, so the ends are as likely.
        margin = 0.5 if self.whole else 0.0
        ends = math.log(self.low - margin), math.log(self.high + margin)
        drawn = min(max(math.exp(generator.uniform(*ends)), self.low), self.high)
        return round(drawn) if self.whole else drawn


Space: TypeAlias = Mapping[str, Sequence[Any] | Range]
"""The values of each studied option, some of which may be ranges, or one range for all."""


def random_points(space: Space, n_trials: int, seed: int = 0) -> list[Point]:
    """Draw different points; a larger number of the same seed begins with the same points.

    Fewer than `n_trials` are returned if the space has fewer.

    Raises
    ------
    InvalidArgumentError
        If no option is studied, or one has no values.
    """
    check_space(space)
    generator = np.random.default_rng(seed)
    lists = [
        list(dict.fromkeys(some))
        for some in space.values()
        if not isinstance(some, Range) and not any(isinstance(each, Range) for each in some)
    ]
    size = math.prod(map(len, lists)) if len(lists) == len(space) else math.inf
    points: dict[tuple[Any, ...], Point] = {}
    for _ in range(1000 * n_trials):  # a range of few whole numbers is finite too
        if len(points) >= min(n_trials, size):
            break
        point = {name: _draw(values, generator) for name, values in space.items()}
        points.setdefault(tuple(point.values()), point)
    return list(points.values())


def check_space(space: Space) -> None:
    """Check that a space is not empty.

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
            message = f"the grid is empty: {name} has no values"
            raise InvalidArgumentError(message)


def _draw(values: Sequence[Any] | Range, generator: np.random.Generator) -> Any:
    if isinstance(values, Range):
        return values.draw(generator)
    different = list(dict.fromkeys(values))
    chosen = different[generator.integers(len(different))]
    return chosen.draw(generator) if isinstance(chosen, Range) else chosen
