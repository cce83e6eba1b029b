"""K-fold cross-validation, trained as a population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from anynet.backends import to_numpy
from anynet.checks import check_whole
from anynet.errors import InvalidArgumentError
from anynet.nn.network import Network
from anynet.seeds import Purpose, host_generator
from anynet.training.inputs import check_network
from anynet.training.model import Model
from anynet.training.population import fit_population


class CrossValidation(NamedTuple):
    """The result of ``cross_validate``.

    Attributes
    ----------
    models : list of list of Model
        One list for each configuration, with one model for each fold.
    scores : ndarray of shape (configurations, folds)
        Accuracy, or R², on the fold that the model was not trained on.
    """

    models: list[list[Model]]
    scores: np.ndarray


def cross_validate(
    network: Network,
    data: Any,
    configs: Sequence[Mapping[str, Any]] = ({},),
    *,
    folds: int = 5,
    fold_seed: int = 0,
    **options: Any,
) -> CrossValidation:
    """Score each configuration on each fold, after training on the other folds.

    All models are trained as one population, see ``fit_population``. The fold is used for scoring
    only: early stopping needs ``validation``, which is held out from the other folds.

    Parameters
    ----------
    network, data
        See ``fit``.
    configs : sequence of mapping
        See ``fit_population``.
    folds : int
        Number of folds of about equal size, drawn at random.
    fold_seed : int
        Seed of the folds.
    **options
        Options of ``fit_population``.

    Raises
    ------
    InvalidArgumentError
        If there are fewer than two folds or more than samples, or an option is not as documented.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 16, 10], scale=digits.scale)
    >>> found = anynet.cross_validate(
    ...     network, digits.train, [{"learning_rate": 0.1}, {"learning_rate": 0.3}],
    ...     folds=3, epochs=4, backend="numpy",
    ... )
    >>> found.scores.shape
    (2, 3)
    """
    check_network(network)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        message = f"data must be (x, y) or (x, y, sample_weight), got {type(data).__name__}"
        raise InvalidArgumentError(message)
    n_samples = len(data[1])
    check_whole("folds", folds, 2, n_samples)
    if any("samples" in config for config in configs):
        message = "samples cannot be an option here: the folds define the samples of each model"
        raise InvalidArgumentError(message)
    order = host_generator(fold_seed, Purpose.SPLIT).permutation(n_samples)
    parts = [np.sort(part) for part in np.array_split(order, folds)]
    everything = np.arange(n_samples)
    members = [
        {**config, "samples": np.setdiff1d(everything, part, assume_unique=True)}
        for config in configs
        for part in parts
    ]
    trained = fit_population(network, data, members, **options)
    models = [trained[start : start + folds] for start in range(0, len(trained), folds)]
    host = [None if column is None else to_numpy(column) for column in data]
    scores = [
        [
            model.score(*(None if column is None else column[part] for column in host))
            for model, part in zip(row, parts, strict=True)
        ]
        for row in models
    ]
    return CrossValidation(models, np.array(scores))
