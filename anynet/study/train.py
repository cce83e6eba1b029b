"""Train a group of runs, and make a row of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from anynet.backends import get_backend
from anynet.study.rows import Row, key_of
from anynet.training import Model, fit_population
from anynet.typing import Array


@dataclass(frozen=True)
class Trial:
    """One run that is to be.

    Attributes
    ----------
    options : dict
        All that decides it but the seed, in types that JSON knows: what its row records.
    seed : int
    arguments : dict
        Of ``fit``, without data, seed and backend: what the options mean.
    """

    options: dict[str, Any]
    seed: int
    arguments: dict[str, Any]

    @property
    def key(self) -> str:
        """The key of its row."""
        return key_of(self.options, self.seed)


class Where(NamedTuple):
    """The arguments of ``get_backend``: another process or machine makes its own from them."""

    backend: str
    device: str | None = None
    dtype: str = "float32"
    precision: str | None = None


class Arrays(NamedTuple):
    """The three parts of a data set on the host, the same for every run of a study."""

    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    x_test: Array
    y_test: Array


def train_group(configs: Sequence[Mapping[str, Any]], **shared: Any) -> list[Model]:
    """Train one model for each mapping of options, all of them as a population.

    Returns
    -------
    list of Model
        In the order of `configs`. A run that diverged gives the best model of the epochs before,
        and an empty history if there were none.
    """
    return fit_population(configs[0]["network"], configs=configs, **shared)


def run_group(trials: Sequence[Trial], where: Where, *arrays: Array) -> list[Row]:
    """Train `trials` as one group, and score each on the test rows.

    The arrays are those of ``Arrays``, one argument each: joblib's backends move an argument that
    is an array once, not once a group.
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
    assert history is not None, "a model that was trained here has one"
    if not history.records:
        stopped = history.stopped
        return Row(trial.options, trial.seed, None, None, 0, 0, 0.0, stopped, [], together)
    assert history.best.validation_accuracy is not None, "a study always has validation rows"
    return Row(
        options=trial.options,
        seed=trial.seed,
        validation_accuracy=history.best.validation_accuracy,
        test_accuracy=model.score(data.x_test, data.y_test),
        best_epoch=history.best_epoch,
        epochs_run=len(history.records),
        seconds=sum(record.seconds for record in history.records),
        stopped=history.stopped,
        curve=[record.validation_accuracy or 0.0 for record in history.records],
        trained_together=together,
    )
