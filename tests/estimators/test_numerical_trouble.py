"""Data and settings at the limits of floating point, for the estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import anynet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
CLASSES = np.arange(30) % 3
SHORT: dict[str, Any] = {"max_iter": 3, "tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
ESTIMATORS = [(anynet.MLPClassifier, CLASSES), (anynet.MLPRegressor, X[:, 0])]


@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
@pytest.mark.parametrize(
    ("x", "options"),
    [
        (X.astype(np.float16), {}),
        (np.full((30, 4), 7.0), {}),
        (np.zeros((30, 4)), {}),
        (X, {"batch_size": 1}),
        (X[:1], {}),
    ],
    ids=["float16", "constant", "zeros", "batches of one", "one row"],
)
def test_unusual_but_valid_data_give_finite_results(
    estimator: Any, y: np.ndarray, x: np.ndarray, options
) -> None:
    model = estimator(**SHORT | options).fit(x, y[: len(x)])
    assert np.isfinite(model.loss_)
    assert np.isfinite(np.asarray(model.predict(x), dtype=float)).all()


@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
def test_a_constant_target_gives_finite_results(estimator: Any, y: np.ndarray) -> None:
    model = estimator(**SHORT).fit(X, y * 0)
    assert np.isfinite(model.loss_)
    assert np.isfinite(model.score(X, y * 0))


def test_partial_fit_accepts_classes_without_samples() -> None:
    model = anynet.MLPClassifier(**SHORT).partial_fit(X, CLASSES, classes=range(5))
    assert np.isfinite(model.loss_)
    assert model.predict_proba(X).shape == (30, 5)


def test_a_regression_that_overflows_raises() -> None:
    model = anynet.MLPRegressor(max_iter=5, random_state=0)
    with (
        pytest.warns(ConvergenceWarning),
        pytest.raises(ValueError, match="non-finite parameter weights"),
    ):
        model.fit(X * np.float32(1e30), X[:, 0])
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, X[:, 0] * np.float32(1e30))
    assert "training loss is inf" in str(caught[-1])


def test_nonfinite_loss_warns_when_earlier_weights_are_restored() -> None:
    model = anynet.MLPRegressor(
        solver="sgd", learning_rate_init=1e3, max_iter=5, early_stopping=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning) as caught, np.errstate(all="ignore"):
        model.fit(X, X[:, 0])
    assert "training loss is nan" in str(caught[-1])
    assert "weights are those of earlier updates" in str(caught[-1])
    assert np.isfinite(model.predict(X)).all()


def test_sample_weights_beyond_the_dtype_raise() -> None:
    for size, message in ((1e-300, "at least one non-zero"), (np.inf, "infinity")):
        with pytest.raises(ValueError, match=message):
            anynet.MLPClassifier(**SHORT).fit(X, CLASSES, np.full(30, size))
