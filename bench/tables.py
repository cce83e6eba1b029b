"""Tables for estimators: four from scikit-learn, and a generated one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SEED = 0
HIDDEN = (100,)
LEARNING_RATE = 1e-3
ALPHA = 1e-4


class Split(NamedTuple):
    """A table in two parts, with columns of mean 0 and variance 1."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class TableJob:
    """A job that fits an estimator on a table, or predicts all of it.

    scikit-learn's defaults: one hidden layer of 100, Adam at 0.001, α 0.0001; a fixed number of
    epochs without early stopping.
    """

    table: str
    batch_size: int = 200
    dtype: str = "float64"
    epochs: int = 30
    kind: str = "fit"
    repeats: int = 1  # repetitions in one run, so that the time can be measured

    @property
    def name(self) -> str:
        """Return the name of the job in tables."""
        return f"{self.kind} {self.table}, batch {self.batch_size}, {self.dtype}"

    @property
    def classifies(self) -> bool:
        """Return whether the target is a class."""
        return self.table != "diabetes"

    def data(self) -> Split:
        """Return the table in the job's dtype."""
        split = load(self.table)
        X, X_test = (np.ascontiguousarray(part, dtype=self.dtype) for part in (split.X, split[2]))
        return split._replace(X=X, X_test=X_test)


@functools.cache
def load(table: str) -> Split:
    """Return a table, with three quarters for training."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import scale

    if table == "generated":
        X, y = datasets.make_classification(
            100_000, 100, n_informative=30, n_classes=5, random_state=SEED
        )
    else:
        X, y = getattr(datasets, f"load_{table}")(return_X_y=True)
    y = y if table != "diabetes" else scale(y)
    X, X_test, y, y_test = train_test_split(scale(X), y, random_state=SEED)
    return Split(X, y, X_test, y_test)


FITS = (
    TableJob("digits"),
    TableJob("digits", batch_size=64),
    TableJob("digits", batch_size=64, dtype="float32"),
    TableJob("breast_cancer"),
    TableJob("wine", repeats=3),
    TableJob("diabetes", repeats=3),
    TableJob("generated", epochs=2),
    TableJob("generated", epochs=2, dtype="float32"),
)
PREDICTIONS = tuple(
    TableJob(table, kind="predict", repeats=repeats)
    for table, repeats in (
        ("digits", 10), ("breast_cancer", 20), ("wine", 20), ("diabetes", 20), ("generated", 1),
    )
)  # fmt: skip
