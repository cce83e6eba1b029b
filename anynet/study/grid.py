"""The points of a study: those of an experiment, all of a grid, or some drawn at random."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anynet.errors import InvalidArgumentError

#: Maximum number of points of a grid, which are listed in memory.
MOST_POINTS = 10**6

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
"""The values of each studied option, or the range from which they are drawn."""


def product(grid: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Return each combination of the values once; the last option varies fastest.

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
            f"the grid has {count:,} points, more than {MOST_POINTS:,}: give fewer values, or "
            f"sample points at random (n_trials)"
        )
        raise InvalidArgumentError(message)
    return [dict(zip(grid, chosen, strict=True)) for chosen in itertools.product(*values)]


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
    return different[generator.integers(len(different))]


@dataclass(frozen=True)
class Experiment:
    """A comparison of points, which differ in the studied options alone.

    Attributes
    ----------
    name : str
        Name of the experiment, of its command and of its plots.
    title : str
    points : tuple of dict
        The points, all with the same option names.
    """

    name: str
    title: str
    points: tuple[Point, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the studied options."""
        return tuple(self.points[0])


def single(name: str, title: str, option: str, values: tuple[Any, ...]) -> Experiment:
    """Return an experiment on one option."""
    return Experiment(name, title, tuple({option: value} for value in values))


#: Options of the report where they are not studied.
DEFAULTS: Point = {"layers": (128, 64), "learning_rate": 0.1, "batch_size": 64, "decay": 1.0}

#: The five experiments of the report.
EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        single("depth", "Depth", "layers", ((64,), (128, 64), (256, 128, 64))),
        single(
            "width",
            "Width of two hidden layers",
            "layers",
            ((128, 64), (256, 64), (256, 128), (512, 64), (512, 128), (512, 256)),
        ),
        single("learning-rate", "Learning rate", "learning_rate", (0.01, 0.05, 0.1, 0.3, 0.6, 1.0)),
        single("batch-size", "Batch size", "batch_size", (32, 64, 128, 256)),
        single("decay", "Decay of the learning rate", "decay", (0.9, 0.93, 0.95, 0.98, 1.0)),
    )
}
