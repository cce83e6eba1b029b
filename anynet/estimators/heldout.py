"""Which samples train and which validate."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split

from anynet import tree
from anynet.backends import find_backend
from anynet.data.batches import Rows
from anynet.estimators.arrays import home_of, to_host
from anynet.estimators.samples import Samples
from anynet.estimators.step import Objective
from anynet.estimators.validation import Validation
from anynet.typing import Params


class Held(NamedTuple):
    """A validation set: of some samples these (None is all), and targets as the user has them."""

    rows: Rows
    places: np.ndarray | None
    labels: Any


class HeldOut(NamedTuple):
    """The samples of one fit by their places in a table, of which nothing is copied yet."""

    rows: Rows
    places: np.ndarray | None  # of those that train; None is all
    held: Held | None

    @classmethod
    def of(cls, estimator: Any, samples: Samples, rng: np.random.RandomState) -> HeldOut:
        """Take the validation set that was given, or split one off if there is to be one.

        Raises
        ------
        ValueError
            If a set of fewer than two samples would remain.
        """
        rows = samples.rows
        if samples.given is not None:
            held, labels = samples.given
            return cls(rows, None, Held(held, None, labels))
        if not estimator.early_stopping:
            return cls(rows, None, None)
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
        return cls(rows, kept, Held(rows, out, samples.y[out]))

    @property
    def n_samples(self) -> int:
        """How many train."""
        return self.rows.n_samples if self.places is None else len(self.places)

    def within(self, table: Rows, places: np.ndarray) -> HeldOut:
        """Return the same samples as those of a larger table, where they have these places."""

        def moved(chosen: np.ndarray | None) -> np.ndarray:
            return places if chosen is None else places[chosen]

        held = self.held
        if held is not None and held.rows is self.rows:
            held = Held(table, moved(held.places), held.labels)
        return HeldOut(table, moved(self.places), held)

    def train(self, objective: Objective) -> Rows:
        """Return the samples that train."""
        return self.rows if self.places is None else _select(self.rows, self.places, objective)

    def validation(self, estimator: Any, objective: Objective) -> Validation | None:
        """Return the others, and how they are scored; None if there are none."""
        if self.held is None:
            return None
        rows, places, labels = self.held
        if places is not None:
            rows = _select(rows, places, objective)
        return _validation(estimator, rows, labels, objective)


def _select(rows: Rows, chosen: np.ndarray, objective: Objective) -> Rows:
    def take(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray) or hasattr(leaf, "toarray"):
            return leaf[chosen]
        return objective.backend.xp.take(leaf, objective.backend.to_device(chosen), axis=0)

    selected: Rows = tree.map(take, rows)
    return selected


def _validation(estimator: Any, rows: Rows, labels: Any, objective: Objective) -> Validation:
    """Choose how a validation set is scored."""
    scoring = estimator.scoring
    if scoring == "loss":
        return Validation(objective, rows, lambda _, __, loss: -loss)
    if scoring is None:

        def own(logits: np.ndarray, _: Params, __: float) -> float:
            return estimator._score_logits(logits, rows.y, rows.weight)  # type: ignore[no-any-return]

        return Validation(objective, rows, own)
    scorer = get_scorer(scoring)
    options = {} if rows.weight is None else {"sample_weight": rows.weight}
    # A data frame became an array: predictions for it must not ask for the columns' names.
    nameless = copy.copy(estimator)
    nameless.__dict__.pop("feature_names_in_", None)
    nameless._place_classes(None)
    # Scorers compare on the host, where labels are: they see host arrays, computed where X lives.
    home, x = home_of(rows.x), to_host(rows.x)
    if home is not None and estimator.backend is None and estimator.device is None:
        name, device = home.name, home.device_name()
        if find_backend(name, device, home.dtype) is not None:
            nameless.backend, nameless.device = name, device

    def by_scorer(_: np.ndarray, packed: Params, __: float) -> float:
        nameless._store(packed, objective)
        return float(scorer(nameless, x, labels, **options))

    return Validation(objective, rows, by_scorer)
