"""Estimators with ``device="cuda"``: the results of NumPy, from captured steps."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import anynet

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
QUICK = {"hidden_layer_sizes": (9,), "max_iter": 4, "batch_size": 50, "random_state": 0}


@pytest.fixture
def where(on_cuda: str) -> dict[str, Any]:
    """Return the parameters that choose the device."""
    return {"backend": on_cuda, "device": "cuda"}


def assert_close(model: Any, expected: Any) -> None:
    """Check that the results of two fits are equal to rounding."""
    for name in ("coefs_", "intercepts_"):
        for mine, numpys in zip(getattr(model, name), getattr(expected, name), strict=True):
            assert type(mine) is np.ndarray
            np.testing.assert_allclose(mine, numpys, rtol=1e-6, atol=1e-8)
    if model.solver != "lbfgs":
        np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-6)
    assert (model.loss_, model.n_iter_) == (pytest.approx(expected.loss_), expected.n_iter_)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam", "early_stopping": True, "max_iter": 20, "n_iter_no_change": 2},
        {"solver": "sgd", "dropout": 0.2, "layer_norm": True, "alpha": 0.01},
        {"solver": "lbfgs"},
    ],
    ids=lambda options: options["solver"],
)
def test_fits_match_numpy(where: Any, table: Any, options: Any) -> None:
    model, numpys = (table.fit(anynet, **QUICK | options | how) for how in (where, {}))
    assert_close(model, numpys)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(
        again.predict(table.X), numpys.predict(table.X), rtol=1e-5, atol=1e-5
    )


def test_continued_training_matches_numpy(where: Any, classes: Any, values: Any) -> None:
    models = []
    for how in (where, {}):
        parts = anynet.MLPClassifier(**QUICK, **how)
        for begin in range(0, 200, 70):
            rows = slice(begin, begin + 70)
            parts.partial_fit(classes.X[rows], classes.y[rows], classes=np.arange(10))
        warm = anynet.MLPRegressor(warm_start=True, **QUICK, **how)
        models.append((parts, warm.fit(values.X, values.y).fit(values.X, values.y)))
    for model, numpys in zip(*models, strict=True):
        assert_close(model, numpys)


def test_networks_of_an_ensemble_match_numpy(where: Any, table: Any) -> None:
    model, numpys = (table.fit(anynet, n_ensemble=3, **QUICK | how) for how in (where, {}))
    for one, other in zip(model.estimators_, numpys.estimators_, strict=True):
        assert_close(one, other)
    np.testing.assert_allclose(model.predict(table.X), numpys.predict(table.X), rtol=1e-6)


def test_searches_match_numpy(where: Any, table: Any) -> None:
    grid = {"alpha": [1e-4, 0.1], "learning_rate_init": [0.001, 0.03]}
    searches = [
        anynet.PopulationSearchCV(getattr(anynet, table.estimator)(**QUICK, **how), grid, cv=3)
        for how in (where, {})
    ]
    mine, numpys = (search.fit(table.X, table.y) for search in searches)
    for name in ("split0_test_score", "mean_test_score", "rank_test_score"):
        np.testing.assert_allclose(mine.cv_results_[name], numpys.cv_results_[name], rtol=1e-6)
    assert_close(mine.best_estimator_, numpys.best_estimator_)


def test_processes_of_joblib_each_use_the_device(where: Any, classes: Any) -> None:
    scores = [
        cross_val_score(
            make_pipeline(StandardScaler(), anynet.MLPClassifier(**QUICK, **how)),
            classes.X,
            classes.y,
            cv=2,
            n_jobs=jobs,
        )
        for how, jobs in ((where, 2), ({}, None))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-6)
