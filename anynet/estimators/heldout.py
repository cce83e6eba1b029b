"""Which samples train, which validate, and how these are scored."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split

from anynet import tree
from anynet.backends import find_backend
from anynet.data.batches import Rows
from anynet.data.subset import Subset
from anynet.estimators.arrays import home_of, infer, to_host
from anynet.estimators.network import store_params
from anynet.estimators.samples import Samples
from anynet.nn.network import Network
from anynet.training.step import TrainingStep
from anynet.typing import Params


class Held(NamedTuple):
    """A validation set.

    Attributes
    ----------
    subset : Subset
    labels : array
        The targets as the user has them.
    """

    subset: Subset
    labels: Any


def held_out_of(
    estimator: Any, samples: Samples, rng: np.random.RandomState
) -> tuple[Subset, Held | None]:
    """Return the samples to train on, and the validation set if there is one.

    It is the one that was given to ``fit``, or is split off for ``early_stopping``. No sample is
    copied.

    Raises
    ------
    ValueError
        If a set of fewer than two samples would remain.
    """
    rows = samples.rows
    if samples.given is not None:
        held, labels = samples.given
        return Subset(rows), Held(Subset(held), labels)
    if not estimator.early_stopping:
        return Subset(rows), None
    kept, out = train_test_split(
        np.arange(rows.n_samples),
        random_state=rng,
        test_size=estimator.validation_fraction,
        stratify=estimator._strata(rows.y),
    )
    if len(out) < 2:
        message = (
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
        raise ValueError(message)
    return Subset(rows, kept), Held(Subset(rows, out), samples.y[out])


@dataclass(frozen=True)
class Validation:
    """The validation set of one fit, and its score.

    Parameters
    ----------
    network : Network
    step : TrainingStep
        Has the loss.
    rows : Rows
        Inputs; targets and weights as the loss takes them, on the host.
    score : callable
        ``(logits on the host, parameters, loss) -> score``.
    """

    network: Network
    step: TrainingStep
    rows: Rows
    score: Callable[[np.ndarray, Params, float], float]

    def evaluate(self, params: Params) -> tuple[float, float]:
        """Return the mean loss, without the L2 penalty, and the score."""
        step, backend = self.step, self.step.backend
        logits = infer(self.network, params, self.rows.x, backend)
        y, weight = tree.map(backend.to_device, (self.rows.y, self.rows.weight))
        with backend.context():
            value, _ = step.loss(logits, y, weight, backend=backend)
        loss = float(backend.to_host(value))
        on_host = backend.to_host(logits)
        finite = np.isfinite(on_host).all()
        return loss, self.score(on_host, params, loss) if finite else float("nan")


def validation_of(estimator: Any, held: Held, network: Network, step: TrainingStep) -> Validation:
    """Return the samples of a validation set, and how ``scoring`` scores them."""
    scoring, labels = estimator.scoring, held.labels
    rows = _select(held.subset, step)
    if scoring == "loss":
        return Validation(network, step, rows, lambda _, __, loss: -loss)
    if scoring is None:

        def own(logits: np.ndarray, _: Params, __: float) -> float:
            return estimator._score_logits(logits, rows.y, rows.weight)  # type: ignore[no-any-return]

        return Validation(network, step, rows, own)
    scorer = get_scorer(scoring)
    options = {} if rows.weight is None else {"sample_weight": rows.weight}
    # A data frame became an array: predictions for it must not ask for the names of the columns.
    nameless = copy.copy(estimator)
    nameless.__dict__.pop("feature_names_in_", None)
    nameless._place_classes(None)
    # Scorers compare on the host, where labels are: they see host arrays, computed where X lives.
    home, x = home_of(rows.x), to_host(rows.x)
    if home is not None and estimator.backend is None and estimator.device is None:
        name, device = home.name, home.device_name()
        if find_backend(name, device, home.dtype) is not None:
            nameless.backend, nameless.device = name, device

    def by_scorer(_: np.ndarray, params: Params, __: float) -> float:
        params = estimator._user_weights(params, step.backend)
        store_params(nameless, network, params, step.backend)
        return float(scorer(nameless, x, labels, **options))

    return Validation(network, step, rows, by_scorer)


def _select(subset: Subset, step: TrainingStep) -> Rows:
    """Copy the samples of a subset."""
    chosen, backend = subset.index, step.backend
    if chosen is None:
        return subset.rows

    def take(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray) or hasattr(leaf, "toarray"):
            return leaf[chosen]
        return backend.xp.take(leaf, backend.to_device(chosen), axis=0)

    selected: Rows = tree.map(take, subset.rows)
    return selected
