"""One call of ``anynet study``: train what is missing, say how it goes, write the report."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anynet.cli.study_plan import Study
from anynet.cli.terminal import say
from anynet.study.experiments import Experiment
from anynet.study.grid import Point, Space
from anynet.study.report import Setting, write_report
from anynet.study.results import Results
from anynet.study.rows import Row, shown
from anynet.study.run import missing, run_missing
from anynet.study.search import optuna_search
from anynet.study.summary import choose, mean, spread, summarise


@dataclass
class Session:
    """A study at work in its folder."""

    study: Study
    results: Results
    jobs: int
    engine: str | None

    @classmethod
    @contextmanager
    def open(cls, study: Study, folder: Path, jobs: int, engine: str | None) -> Iterator["Session"]:
        """Begin or continue the study in `folder`."""
        with Results.open(folder, study.about()) as results:
            yield cls(study, results, jobs, engine)

    def train(self, experiments: Sequence[Experiment]) -> None:
        """Train the runs that have no row yet.

        Raises
        ------
        InvalidArgumentError
            Options of a point do not go together.
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
            report=report,
        )

    def finish(self, experiments: Sequence[Experiment]) -> None:
        """Write the report, and print what was chosen."""
        study, arrays = self.study, self.study.arrays
        plans = [study.plan(each) for each in experiments]
        rows = list(self.results.rows.values())
        train, validation, test = arrays.y_train, arrays.y_validation, arrays.y_test
        split = (train.shape[0], validation.shape[0], test.shape[0])
        setting = Setting(study.name, study.dataset.name, split, study.fixed(), study.machine())
        path = write_report(self.results.folder, setting, plans, rows)
        for plan in plans:
            chosen = choose(summarise(plan, rows))
            if chosen is None:
                say(f"{plan.experiment.title}: every point has runs that diverged at once")
                continue
            say(
                f"{plan.experiment.title}: chosen {_words(chosen.point)}; "
                f"validation {spread(chosen.values('validation_accuracy'))}, "
                f"test {spread(chosen.values('test_accuracy'))}"
            )
        say(f"report {path}")

    def scores(self, points: Sequence[Point]) -> list[float | None]:
        """Train points, and return the mean validation accuracy of each."""
        experiment = Experiment(self.study.name, "", tuple(points))
        self.train([experiment])
        rows = self.results.rows.values()
        return [
            mean(summary.values("validation_accuracy")) if summary.eligible else None
            for summary in summarise(self.study.plan(experiment), rows)
        ]

    def _line(self, row: Row) -> str:
        point = _words({name: row.options[name] for name in self.study.studied})
        if row.validation_accuracy is None:
            return f"{point}, seed {row.seed}: {row.stopped}"
        return (
            f"{point}, seed {row.seed}: validation {row.validation_accuracy:.4f} "
            f"in {row.epochs_run} epochs, {row.seconds:.1f} s"
        )

    def _say(self, text: str) -> None:
        if not self.study.base.quiet:
            say(text, file=sys.stderr)


def search(session: Session, space: Space, arguments: argparse.Namespace) -> Experiment:
    """Let Optuna choose points and train them; return those that it tried."""
    points = optuna_search(
        space,
        session.scores,
        n_trials=arguments.n_trials,
        sampler=arguments.sampler,
        population=arguments.population,
        folder=session.results.folder,
        storage=arguments.storage,
    )
    return Experiment(session.study.name, f"Search by Optuna's {arguments.sampler}", tuple(points))


def _words(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in point.items())
