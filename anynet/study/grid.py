"""The points of a study: those of an experiment, or all of a grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anynet.errors import InvalidArgumentError
from anynet.space import Point, check_space

#: Maximum number of points of a grid, which are listed in memory.
MOST_POINTS = 10**6


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
