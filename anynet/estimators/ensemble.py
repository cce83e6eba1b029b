"""``n_ensemble``: several networks in one estimator, trained as one population."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import Any

from sklearn.utils import check_random_state

from anynet.estimators.bridges import FIGURES
from anynet.estimators.descent import Fit, can_be_member, progress_bar, train_together
from anynet.estimators.network import WEIGHTS
from anynet.estimators.samples import Samples
from anynet.training.trainer import group_members

OF_THE_DATA = ("classes_", "_labels", "n_outputs_", "out_activation_", "n_features_in_")


def fit_ensemble(estimator: Any, samples: Samples) -> None:
    """Train ``n_ensemble`` networks, each as it would be trained alone with its seed.

    On Ctrl-C they keep the weights so far, as a single network does.
    """
    rng = check_random_state(estimator.random_state)
    seeds = rng.randint(2**31 - 1, size=estimator.n_ensemble)
    networks = [_network(estimator, int(seed)) for seed in seeds]
    fits = [Fit(network, samples) for network in networks]
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
