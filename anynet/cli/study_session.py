"""The runs of ``anynet study``: what they have in common, their training, and the report."""

import argparse
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

import anynet
from anynet.backends import Group
from anynet.backends.groups import ALONE
from anynet.cli.job import TABLE_OPTIONS, Job
from anynet.cli.options import OF_PRESETS, TrainOptions
from anynet.cli.terminal import say
from anynet.data import Dataset
from anynet.space import Point, Space
from anynet.study.grid import Experiment
from anynet.study.report import Setting, write_report
from anynet.study.results import Results, Row, plain, words
from anynet.study.run import Arrays, Trial, Where, missing, run_missing
from anynet.study.search import optuna_search
from anynet.study.summary import Plan, choose, mean, spread, summarise

#: Seed of the validation rows: the same for all runs, so that they can be compared.
SPLIT_SEED = 0

#: Options that do not affect the numbers of a run, or are recorded elsewhere in its row.
_NOT_RECORDED = (
    *("dataset", *TABLE_OPTIONS, *OF_PRESETS),
    *("seed", "threads", "parallel", "out", "log", "json", "quiet", "data_dir"),
    *("checkpoint_every", "calibrate"),
)

#: Options that are the same for all runs of a study.
SHARED = (*_NOT_RECORDED, "backend", "device", "dtype", "precision", "validation")


@dataclass(frozen=True)
class Study:
    """What the runs of a study have in common.

    Attributes
    ----------
    name : str
    base : Job
        The data, the backend, and the options that points do not change.
    studied : tuple of str
        The options that points set.
    n_seeds : int
        Number of runs of a point; their seeds are 0 … n_seeds − 1.
    """

    name: str
    base: Job
    studied: tuple[str, ...]
    n_seeds: int

    @property
    def where(self) -> Where:
        """The arguments from which other processes make the backend."""
        options = self.base.options
        return Where(options.backend, options.device, options.dtype, options.precision)

    @cached_property
    def arrays(self) -> Arrays:
        """The rows for training, validation and test."""
        x, y = self.base.dataset.train
        kept, held_out = self.base.split(SPLIT_SEED)
        return Arrays(x[kept], y[kept], x[held_out], y[held_out], *self.base.dataset.test)

    def plan(self, experiment: Experiment) -> Plan:
        """Return an experiment with all options of each point."""
        jobs = [self.base.changed(**point) for point in experiment.points]
        return Plan(experiment, tuple(_recorded(job.options) for job in jobs))

    def trials(self, experiment: Experiment) -> list[Trial]:
        """Return the runs of an experiment: each point with each seed.

        Raises
        ------
        InvalidArgumentError
            If options of a point contradict each other.
        """
        trials = []
        for point in experiment.points:
            job = self.base.changed(**point)
            recorded = _recorded(job.options)
            trials += [Trial(recorded, seed, job.arguments) for seed in range(self.n_seeds)]
        return trials

    def about(self) -> dict[str, Any]:
        """Return what distinguishes this study; the number of points and of seeds may grow."""
        where, dataset = self.where, self.base.dataset
        options = replace(self.base.given, backend=where.backend, device=where.device)
        return {
            "name": self.name,
            "dataset": dataset.name,
            "data": f"{_checksum(dataset):08x}",
            "studied": list(self.studied),
            "options": self._without_studied(options),
        }

    def setting(self) -> Setting:
        """Return what the report says of the circumstances."""
        about, arrays = self.base.backend.describe(), self.arrays
        rows = (arrays.y_train.shape[0], arrays.y_validation.shape[0], arrays.y_test.shape[0])
        machine = (
            f"anynet {anynet.__version__} with {about['name']} {about['version']} "
            f"on {about['device']}, {about['dtype']}"
        )
        fixed = self._without_studied(self.base.options)
        return Setting(self.name, self.base.dataset.name, rows, fixed, machine)

    def _without_studied(self, options: TrainOptions) -> dict[str, Any]:
        return {k: v for k, v in _recorded(options).items() if k not in self.studied}


def _recorded(options: TrainOptions) -> dict[str, Any]:
    return plain({k: v for k, v in asdict(options).items() if k not in _NOT_RECORDED})


def _checksum(dataset: Dataset) -> int:
    """Return a checksum of the data, since a file may change under its name."""
    code = 0
    for array in (*dataset.train, *dataset.test):
        code = zlib.crc32(np.ascontiguousarray(array).tobytes(), code)
    return code


@dataclass
class Session:
    """A study that is trained in its folder.

    Attributes
    ----------
    study : Study
    results : Results
    jobs : int
        Number of groups of runs to train in parallel.
    engine : str or None
        The backend of joblib.
    processes : Group
        Processes that train the groups instead.
    """

    study: Study
    results: Results
    jobs: int
    engine: str | None
    processes: Group = ALONE

    def train(self, experiments: Sequence[Experiment]) -> None:
        """Train the runs that have no row yet.

        Raises
        ------
        InvalidArgumentError
            If options of a point contradict each other.
        """
        trials = [trial for each in experiments for trial in self.study.trials(each)]
        left = len(missing(self.results, trials))
        total = len({trial.key for trial in trials})
        done = total - left
        if done and left:
            self._say(f"{done} of {total} runs are there already")

        def report(rows: Sequence[Row]) -> None:
            nonlocal done
            for row in rows:
                done += 1
                self._say(f"{done:{len(str(total))}}/{total}  {self._line(row)}")

        run_missing(
            self.results,
            trials,
            self.study.arrays,
            self.study.where,
            jobs=self.jobs,
            engine=self.engine,
            processes=self.processes,
            report=report,
        )

    def search(self, space: Space, arguments: argparse.Namespace) -> Experiment:
        """Train the points that Optuna chooses; return those that it tried."""
        points = optuna_search(
            space,
            self._scores,
            n_trials=arguments.n_trials,
            sampler=arguments.sampler,
            population=arguments.population,
            folder=self.results.folder,
            storage=arguments.storage,
        )
        title = f"Search by Optuna's {arguments.sampler}"
        return Experiment(self.study.name, title, tuple(points))

    def _scores(self, points: Sequence[Point]) -> list[float | None]:
        """Train points, and return the mean validation accuracy of each."""
        experiment = Experiment(self.study.name, "", tuple(points))
        self.train([experiment])
        rows = self.results.rows.values()
        return [
            mean(summary.values("validation_accuracy")) if summary.eligible else None
            for summary in summarise(self.study.plan(experiment), rows)
        ]

    def finish(self, experiments: Sequence[Experiment]) -> None:
        """Write the report, and print the chosen points."""
        plans = [self.study.plan(each) for each in experiments]
        rows = list(self.results.rows.values())
        path = write_report(self.results.folder, self.study.setting(), plans, rows)
        optimizer = self.study.base.options.optimizer
        fixed = "optimizer" not in self.study.studied and optimizer != TrainOptions.optimizer
        by = f" (optimizer {optimizer})" if fixed else ""
        for plan in plans:
            chosen = choose(summarise(plan, rows))
            if chosen is None:
                say(f"{plan.experiment.title}: all points have runs that diverged at once")
                continue
            say(
                f"{plan.experiment.title}: chosen {words(chosen.point)}{by}; "
                f"validation {spread(chosen.values('validation_accuracy'))}, "
                f"test {spread(chosen.values('test_accuracy'))}"
            )
        say(f"report {path}")

    def _line(self, row: Row) -> str:
        point = words({name: row.options[name] for name in self.study.studied})
        if row.validation_accuracy is None:
            return f"{point}, seed {row.seed}: {row.stopped}"
        return (
            f"{point}, seed {row.seed}: validation {row.validation_accuracy:.4f} "
            f"in {row.epochs_run} epochs, {row.seconds:.1f} s"
        )

    def _say(self, text: str) -> None:
        if not self.study.base.given.quiet:
            say(text, file=sys.stderr)
