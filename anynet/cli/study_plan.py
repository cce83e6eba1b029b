"""From options to the runs of a study."""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

import anynet
from anynet.backends import Backend
from anynet.cli import recipe
from anynet.cli.options import TrainOptions
from anynet.data import Dataset
from anynet.data.splits import train_validation_split
from anynet.study.experiments import DEFAULTS, Experiment
from anynet.study.rows import plain
from anynet.study.summary import Plan
from anynet.study.train import Arrays, Trial, Where

#: The seed of the rows that are held out: the same for every run, so that runs can be compared.
SPLIT_SEED = 0

#: Options that say nothing about the numbers of a run, or stand elsewhere in its row.
_NOT_RECORDED = (
    *("dataset", "target", "task", "columns", "decimal", "thousands", "test"),
    *("seed", "threads", "out", "json", "quiet", "data_dir", "checkpoint_every"),
)

#: Options that are the same for all runs of a study: who computes, and which rows are held out.
SHARED = (*_NOT_RECORDED, "backend", "device", "dtype", "precision", "validation")


@dataclass(frozen=True)
class Study:
    """What a study's runs have in common.

    Attributes
    ----------
    name : str
    base : TrainOptions
        Where a point says nothing else.
    studied : tuple of str
        The options that points say.
    dataset : Dataset
    backend : Backend
    n_seeds : int
        Runs of a point, with the seeds 0 … n_seeds − 1.
    """

    name: str
    base: TrainOptions
    studied: tuple[str, ...]
    dataset: Dataset
    backend: Backend
    n_seeds: int

    @property
    def where(self) -> Where:
        """What makes the backend again in another process."""
        base = self.base
        return Where(self.backend.name, self.backend.device_name(), base.dtype, base.precision)

    @cached_property
    def arrays(self) -> Arrays:
        """The rows for training, validation and test."""
        x, y = self.dataset.train
        held_out = self._resolved(self.base).validation
        assert held_out is not None, "it was resolved"
        kept, held = train_validation_split(len(x), held_out, SPLIT_SEED)
        return Arrays(x[kept], y[kept], x[held], y[held], *self.dataset.test)

    def plan(self, experiment: Experiment) -> Plan:
        """Settle all the options of each point of an experiment."""
        points = [self._resolved(replace(self.base, **point)) for point in experiment.points]
        return Plan(experiment, tuple(_recorded(options) for options in points))

    def trials(self, experiment: Experiment) -> list[Trial]:
        """Make the runs of an experiment: every seed of every point.

        Raises
        ------
        InvalidArgumentError
            Options of a point do not go together.
        """
        trials = []
        for point in experiment.points:
            options = self._resolved(replace(self.base, **point))
            arguments = recipe.ingredients(options, self.dataset) | {
                name: getattr(options, name)
                for name in (
                    "epochs",
                    "batch_size",
                    "patience",
                    "target_accuracy",
                    "min_delta",
                    "clip_norm",
                    "average",
                    "max_norm",
                )
            }
            recorded = _recorded(options)
            trials += [Trial(recorded, seed, arguments) for seed in range(self.n_seeds)]
        return trials

    def about(self) -> dict[str, Any]:
        """What tells this study from others; the number of points and of seeds may grow."""
        base = asdict(replace(self.base, backend=self.where.backend, device=self.where.device))
        skipped = {*_NOT_RECORDED, *self.studied}
        return {
            "name": self.name,
            "dataset": self.dataset.name,
            "data": f"{_checksum(self.dataset):08x}",
            "studied": list(self.studied),
            "options": plain({k: v for k, v in base.items() if k not in skipped}),
        }

    def fixed(self) -> dict[str, Any]:
        """The options that no point says, settled."""
        options = asdict(self._resolved(self.base))
        return {k: v for k, v in options.items() if k not in {*_NOT_RECORDED, *self.studied}}

    def machine(self) -> str:
        """Say what computes."""
        about = self.backend.describe()
        return (
            f"anynet {anynet.__version__} with {about['name']} {about['version']} "
            f"on {about['device']}, {about['dtype']}"
        )

    def _resolved(self, options: TrainOptions) -> TrainOptions:
        return recipe.resolve(options, self.dataset, self.backend)


def base_options(values: dict[str, Any]) -> TrainOptions:
    """Return the report's options, where `values` say nothing else."""
    return TrainOptions(**{**DEFAULTS, **values})


def studied_by(experiments: Sequence[Experiment]) -> tuple[str, ...]:
    """Return the options that at least one of the experiments varies."""
    return tuple(dict.fromkeys(name for each in experiments for name in each.options))


def _recorded(options: TrainOptions) -> dict[str, Any]:
    return plain({k: v for k, v in asdict(options).items() if k not in _NOT_RECORDED})


def _checksum(dataset: Dataset) -> int:
    """Tell data apart: a file may change under its name."""
    code = 0
    for array in (*dataset.train, *dataset.test):
        code = zlib.crc32(np.ascontiguousarray(array).tobytes(), code)
    return code
