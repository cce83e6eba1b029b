"""Several fits trained as one population: those of ``n_ensemble``, and those of a search."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from types import NoneType
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from anynet.estimators.bridges import FIGURES
from anynet.estimators.descent import Fit, progress_bar
from anynet.estimators.network import WEIGHTS
from anynet.estimators.samples import Samples
from anynet.log import LOGGER
from anynet.training.history import for_member
from anynet.training.placement import split_by_memory
from anynet.training.trainer import group_members, train

HOST_BYTES = 2**30  # for the members that are trained at once, where free memory is unknown
PLAIN = (bool, int, float, str, tuple, list, np.ndarray, np.generic, NoneType)
OF_THE_DATA = (
    *("classes_", "_labels", "n_outputs_", "out_activation_", "n_features_in_"),
    *("target_mean_", "target_scale_"),
)


def fit_ensemble(estimator: Any, samples: Samples) -> None:
    """Train ``n_ensemble`` networks, each as it would be trained alone with its seed.

    On Ctrl-C they keep the weights so far, as a single network does.
    """
    rng = check_random_state(estimator.random_state)
    seeds = rng.randint(2**31 - 1, size=estimator.n_ensemble)
    networks = [_network(estimator, int(seed)) for seed in seeds]
    fits = [Fit(network, samples) for network in networks]
    for index, fit in enumerate(fits if estimator.callbacks else ()):
        fit.callbacks = for_member(fit.callbacks, index)
    LOGGER.info("training begins: an ensemble of %d networks", len(networks))
    if can_be_member(networks[0]):
        with ExitStack() as stack:
            if estimator.progress_bar:
                epochs = estimator.n_ensemble * estimator.max_iter
                bar = stack.enter_context(progress_bar(epochs))
                for fit in fits:
                    fit.callbacks = (*fit.callbacks, bar)
            _train(fits)
    else:
        for fit in fits:
            fit.train()
    for name in (*WEIGHTS, *FIGURES, "_optimizer"):
        if name not in OF_THE_DATA:
            vars(estimator).pop(name, None)
    estimator.estimators_ = networks
    estimator.n_layers_ = networks[0].n_layers_
    estimator.n_iter_ = max(network.n_iter_ for network in networks)


def refuse_for_ensemble(estimator: Any) -> None:
    """Refuse parameters that apply to a single network.

    Raises
    ------
    ValueError
        If such a parameter is set.
    """
    if estimator.warm_start:
        message = (
            f"warm_start=True continues from the weights of one network, n_ensemble is "
            f"{estimator.n_ensemble}: set one of them back, or fit each of estimators_ further"
        )
        raise ValueError(message)


def _network(estimator: Any, seed: int) -> Any:
    """Return an estimator of one network, with the attributes that follow from the data."""
    own = {"n_ensemble": 1, "random_state": seed, "progress_bar": False}
    network = type(estimator)(**estimator.get_params(deep=False) | own)
    known = {name: value for name, value in vars(estimator).items() if name in OF_THE_DATA}
    vars(network).update(known)
    return network


def _train(fits: list[Fit]) -> None:
    try:
        for group in group_members(fits):
            train_together(group)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    for fit in fits:
        if fit.failure is not None:
            raise fit.failure


def train_together(fits: Sequence[Fit]) -> None:
    """Train fits with one ``key`` to their ends, as many at once as fit into memory.

    If one fails, its ``failure`` is set and the others continue.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C. The estimators that were being trained then have the weights of the last epoch,
        or with ``early_stopping`` the best.
    """
    with fits[0].step.backend.context():
        for part in split_by_memory(fits, unknown=HOST_BYTES):
            try:
                train(part)
            except KeyboardInterrupt:
                for fit in part:
                    if fit.best is not None:
                        fit.interrupt()
                raise


def can_be_member(estimator: Any) -> bool:
    """Return whether an estimator can be trained in a population.

    It must be one network, trained by a stochastic solver, whose parts are those of anynet: a
    user-defined part may not support a population axis.
    """
    parts = [estimator.solver, estimator.learning_rate, getattr(estimator, "loss", None)]
    in_steps = estimator.solver != "lbfgs" and estimator.n_ensemble == 1
    return in_steps and all(map(_is_own, parts))


def _is_own(part: Any) -> bool:
    if not dataclasses.is_dataclass(part):
        return isinstance(part, PLAIN)
    inner = [getattr(part, field.name) for field in dataclasses.fields(part)]
    return type(part).__module__.partition(".")[0] == "anynet" and all(map(_is_own, inner))
