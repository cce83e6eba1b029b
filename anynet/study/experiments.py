"""The report's five experiments: what each varies, and over which values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anynet.study.grid import Point


@dataclass(frozen=True)
class Experiment:
    """One question, asked by varying options while the rest stays as it is.

    Attributes
    ----------
    name : str
        Also that of its command and its plots.
    title : str
    points : tuple of dict
        The studied options of each point, all with the same names.
    """

    name: str
    title: str
    points: tuple[Point, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the studied options."""
        return tuple(self.points[0])


def single(name: str, title: str, option: str, values: tuple[Any, ...]) -> Experiment:
    """Make an experiment on one option."""
    return Experiment(name, title, tuple({option: value} for value in values))


#: What the report keeps where it is not the subject.
DEFAULTS: Point = {"layers": (128, 64), "learning_rate": 0.1, "batch_size": 64, "decay": 1.0}

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
