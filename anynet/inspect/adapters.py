"""Models as estimators of scikit-learn, whose columns may stand for several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from anynet.data.tables import Preprocessing
from anynet.training.ensemble import Ensemble
from anynet.training.model import Model


class Adapter(BaseEstimator):
    """A model, of which each column of X is an input, or stands for those of a table's column.

    With `preprocessing`, row i of X has the number of a row of `x` for each column of the table:
    the inputs that come from this column are those of that row. So a shuffled column of X is a
    shuffled column of the table, which is not encoded again.

    Parameters
    ----------
    model : Model or Ensemble
    preprocessing : Preprocessing or None
        That of a table.
    x : ndarray of shape (M, I) or None
        The encoded rows of the table.
    """

    def __init__(
        self,
        model: Model | Ensemble,
        preprocessing: Preprocessing | None = None,
        x: np.ndarray | None = None,
    ) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.x = x

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> Adapter:  # noqa: ARG002, N803  (scikit-learn asks for it)
        """Return the adapter: the model is trained."""
        return self

    def inputs(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return the inputs of the network, (N, I)."""
        if self.preprocessing is None or self.x is None:
            return X
        x = np.empty((len(X), self.x.shape[1]), dtype=self.x.dtype)
        for column, places in enumerate(self.preprocessing.places):
            for _, place in places:
                x[:, place] = self.x[X[:, column], place]
        return x

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Predict classes by their indices, labels, or values in the units of the table."""
        predicted = np.asarray(self.model.predict(self.inputs(X)))
        regression = self.preprocessing is not None and not hasattr(self, "classes_")
        return self.preprocessing.decode(predicted) if regression else predicted  # type: ignore[union-attr]


class ClassAdapter(ClassifierMixin, Adapter):
    """A model of classes or labels."""

    @property
    def classes_(self) -> np.ndarray:
        """The indices of the classes."""
        first = self.model.models[0] if isinstance(self.model, Ensemble) else self.model
        return np.arange(max(2, first.network.n_outputs) if first.loss.task == "classes" else 2)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Predict probabilities (N, classes)."""
        likely: np.ndarray = np.asarray(self.model.predict_proba(self.inputs(X)), dtype=np.float64)
        if likely.shape[1] == 1:  # of one label
            return np.concatenate([1 - likely, likely], axis=1)
        # float32 rows sum to 1 to their rounding, scorers require float64 rounding
        likely /= likely.sum(axis=1, keepdims=True)
        return likely


class ValueAdapter(RegressorMixin, Adapter):
    """A model of values."""


def adapted(
    model: Model | Ensemble,
    preprocessing: Preprocessing | None = None,
    x: np.ndarray | None = None,
) -> Adapter:
    """Return the adapter for the task of a model."""
    first = model.models[0] if isinstance(model, Ensemble) else model
    kind = ValueAdapter if first.loss.task == "values" else ClassAdapter
    return kind(model, preprocessing, x)


def row_numbers(n_rows: int, n_columns: int) -> np.ndarray:
    """Return the rows of a table as an adapter takes them, (N, F)."""
    return np.repeat(np.arange(n_rows)[:, None], n_columns, axis=1)
