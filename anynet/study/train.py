"""Train a group of runs, and make a row of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from anynet.backends import get_backend
from anynet.errors import DivergedError
from anynet.study.rows import Row, key_of
from anynet.training import Model, fit
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


def train_group(configs: Sequence[Mapping[str, Any]], **shared: Any) -> list[Model | None]:
    """Train one model for each mapping of arguments of ``fit``.

    Returns
    -------
    list of Model or None
        In the order of `configs`. A run that diverged gives the best model of the epochs before,
        and None if there were none.
    """
    return [_fit(**shared, **config) for config in configs]


def _fit(**arguments: Any) -> Model | None:
    try:
        return fit(**arguments)
    except DivergedError as error:
        return error.model if isinstance(error.model, Model) else None


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
    return [_row(trial, model, data) for trial, model in zip(trials, models, strict=True)]


def _row(trial: Trial, model: Model | None, data: Arrays) -> Row:
    history = None if model is None else model.history
    if model is None or history is None or not history.records:
        return Row(trial.options, trial.seed, None, None, 0, 0, 0.0, "diverged in epoch 1", [])
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
    )
