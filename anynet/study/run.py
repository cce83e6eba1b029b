"""Train the missing runs of a study in groups, and add a row for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from anynet.backends import Group, get_backend
from anynet.backends.groups import ALONE
from anynet.study.jobs import run_calls
from anynet.study.results import Results, Row, key_of
from anynet.training import Model, fit_population
from anynet.typing import Array

#: Number of runs in a group. An interruption loses the groups in progress, and the seconds of a run
#: are its share of its group's: groups of the default number of seeds make the times comparable.
GROUP_SIZE = 5


@dataclass(frozen=True)
class Trial:
    """A run to train.

    Attributes
    ----------
    options : dict
        All options except the seed in types of JSON, as the row records them.
    seed : int
    arguments : dict
        The arguments of ``fit`` for these options, without data, seed and backend.
    """

    options: dict[str, Any]
    seed: int
    arguments: dict[str, Any]

    @property
    def key(self) -> str:
        """The key of the row of this run."""
        return key_of(self.options, self.seed)


class Where(NamedTuple):
    """The arguments of ``get_backend``, from which other processes make their backend."""

    backend: str
    device: str | None = None
    dtype: str = "float32"
    precision: str | None = None


class Arrays(NamedTuple):
    """The three parts of a data set on the host, which all runs of a study share."""

    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    x_test: Array
    y_test: Array


def train_group(configs: Sequence[Mapping[str, Any]], **shared: Any) -> list[Model]:
    """Train one model for each configuration, all of them as a population.

    Returns
    -------
    list of Model
        The models in the order of `configs`. A run that diverged has the best model of the epochs
        before, and an empty history if there were none.
    """
    return fit_population(configs[0]["network"], configs=configs, **shared)


def run_group(trials: Sequence[Trial], where: Where, *arrays: Array) -> list[Row]:
    """Train `trials` as one group, and score each model on the test rows.

    The arrays of ``Arrays`` are arguments of their own, since the backends of joblib send an array
    that is an argument once, and not once a group.
    """
    data = Arrays(*arrays)
    models = train_group(
        [{**trial.arguments, "seed": trial.seed} for trial in trials],
        data=(data.x_train, data.y_train),
        validation=(data.x_validation, data.y_validation),
        backend=get_backend(*where),
    )
    together = len(trials)
    return [_row(trial, model, data, together) for trial, model in zip(trials, models, strict=True)]


def _row(trial: Trial, model: Model, data: Arrays, together: int) -> Row:
    history = model.history
    assert history is not None, "only a loaded model has none"
    validation = test = None
    if history.records:
        validation = history.best.validation_accuracy
        test = model.score(data.x_test, data.y_test)
    return Row(
        options=trial.options,
        seed=trial.seed,
        validation_accuracy=validation,
        test_accuracy=test,
        best_epoch=history.best_epoch,
        epochs_run=len(history.records),
        seconds=float(sum(record.seconds for record in history.records)),
        stopped=history.stopped,
        curve=[record.validation_accuracy or 0.0 for record in history.records],
        trained_together=together,
    )


def missing(results: Results, trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials without a row, each once."""
    wanted = {trial.key: trial for trial in trials}
    return [trial for key, trial in wanted.items() if key not in results.rows]


def groups_of(trials: Iterable[Trial], size: int) -> list[list[Trial]]:
    """Group trials that can be trained as one population: same network, same batch size."""
    alike: dict[Any, list[Trial]] = {}
    for trial in trials:
        arguments = trial.arguments
        alike.setdefault((arguments["network"], arguments["batch_size"]), []).append(trial)
    return [some[i : i + size] for some in alike.values() for i in range(0, len(some), size)]


def run_missing(
    results: Results,
    trials: Sequence[Trial],
    arrays: Arrays,
    where: Where,
    *,
    jobs: int = 1,
    engine: str | None = None,
    group_size: int = GROUP_SIZE,
    processes: Group = ALONE,
    report: Callable[[Sequence[Row]], Any] | None = None,
) -> None:
    """Train the trials that have no row yet.

    Parameters
    ----------
    results : Results
        The folder of the study, to which the rows are added.
    trials : sequence of Trial
    arrays : Arrays
    where : Where
    jobs : int
        Number of groups that are trained in parallel; −1: one per processor or worker.
    engine : str, optional
        A backend of joblib: ``loky`` (its default), ``dask`` or ``ray``.
    group_size : int
        Maximum number of runs in a group.
    processes : Group
        If there are several, the others train the groups: they must ``serve`` ``run_group``.
    report : callable, optional
        Called with the rows of each group when they are on disk.
    """
    groups = groups_of(missing(results, trials), group_size)
    if processes.size > 1:
        found = processes.hand_out(groups)
    else:
        calls = [(run_group, (group, where, *arrays)) for group in groups]
        found = run_calls(calls, jobs, engine)
    for rows in found:
        results.add(rows)
        if report is not None:
            report(rows)
