"""Small real tables, with scikit-learn as the reference; skipped if it is missing."""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple

import numpy as np
import pytest

HERE = importlib.util.find_spec("sklearn") is not None
collect_ignore_glob = [] if HERE else ["test_*.py"]


class Table(NamedTuple):
    """Inputs, a target, and the name of the estimator for it."""

    X: np.ndarray
    y: np.ndarray
    estimator: str

    def fit(self, library: Any, *args: Any, **parameters: Any) -> Any:
        """Fit the estimator of a library, silent about convergence."""
        made = getattr(library, self.estimator)(**parameters)
        return made.fit(self.X, self.y, *args)


def make_tables() -> dict[str, Table]:
    from sklearn import datasets
    from sklearn.preprocessing import scale

    digits, classes = datasets.load_digits(return_X_y=True)
    ill, benign = datasets.load_breast_cancer(return_X_y=True)
    patients, progression = datasets.load_diabetes(return_X_y=True)
    patients, progression = scale(patients), progression / 100
    texts, labels = datasets.make_multilabel_classification(150, random_state=0)
    several = np.stack([progression, progression**2, np.abs(patients[:, 0])], axis=1)
    return {
        "multiclass": Table(digits[:200] / 16, classes[:200], "MLPClassifier"),
        "binary": Table(scale(ill)[:200], benign[:200], "MLPClassifier"),
        "multilabel": Table(texts, labels, "MLPClassifier"),
        "values": Table(patients[:200], progression[:200], "MLPRegressor"),
        "several values": Table(patients[:200], several[:200], "MLPRegressor"),
    }


TABLES = make_tables() if HERE else {}


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> Table:
    """Return each table in turn."""
    return TABLES[request.param]


@pytest.fixture
def classes() -> Table:
    """Return three hundred digits."""
    return TABLES["multiclass"]


@pytest.fixture
def values() -> Table:
    """Return the diabetes table."""
    return TABLES["values"]
