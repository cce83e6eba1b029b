"""scikit-learn's estimator checks, and the tools that use estimators."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import anynet

QUICK = {"max_iter": 3, "hidden_layer_sizes": (8,), "random_state": 0}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([anynet.MLPClassifier(max_iter=100), anynet.MLPRegressor(max_iter=100)])
def test_all_estimator_checks_of_scikit_learn_pass(estimator, check) -> None:
    check(estimator)


def test_array_api_checks_pass_with_scikit_learns_dispatch_enabled() -> None:
    """The checks need an environment variable that is set before scikit-learn is imported."""
    script = """
import warnings
import anynet
from sklearn.utils.estimator_checks import check_estimator
warnings.simplefilter("ignore")
for estimator in (anynet.MLPClassifier(max_iter=60), anynet.MLPRegressor(max_iter=60)):
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    ran = [one for one in found if "array_api" in one["check_name"]]
    failed = [(one["check_name"], one["exception"]) for one in found if one["status"] == "failed"]
    assert not failed, failed
    print(sum(one["status"] == "passed" for one in ran))
"""
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    pytest.importorskip("array_api_strict")
    assert all(int(count) >= 3 for count in result.stdout.split())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_work_in_searches_pipelines_and_calibration(classes) -> None:
    X, y = classes.X, classes.y
    estimator = anynet.MLPClassifier(**QUICK)
    pipeline = make_pipeline(StandardScaler(), estimator).set_output(transform="default")
    grid = {"mlpclassifier__alpha": [1e-4, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.predict(X).shape == y.shape
    assert cross_val_score(pipeline, X, y, cv=2, error_score="raise").shape == (2,)
    calibrated = CalibratedClassifierCV(estimator, cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1, rtol=1e-6)


def test_a_clone_has_the_parameters_but_no_fitted_attributes(classes) -> None:
    schedule = anynet.optim.Cosine(0.01, epochs=3)
    options = QUICK | {"learning_rate": schedule, "callbacks": [print], "activation": ["tanh"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = anynet.MLPClassifier(**options).fit(classes.X, classes.y)
    copied = clone(fitted)
    assert not hasattr(copied, "coefs_")
    assert copied.get_params()["learning_rate"] == schedule


def test_metadata_routing_reaches_fit_and_score() -> None:
    estimator = anynet.MLPClassifier()
    with config_context(enable_metadata_routing=True):
        estimator.set_fit_request(sample_weight=True, X_val=True, y_val=True)
        estimator.set_partial_fit_request(sample_weight=True, classes=True)
        estimator.set_score_request(sample_weight=True)
    routed = estimator.get_metadata_routing()
    assert routed.fit.requests["X_val"] is True
    assert routed.score.requests["sample_weight"] is True


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_pipeline_also_transforms_the_validation_set(classes) -> None:
    held = {"X_val": classes.X[:50], "y_val": classes.y[:50]}
    with config_context(enable_metadata_routing=True):
        estimator = anynet.MLPClassifier(**QUICK).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), estimator, transform_input=["X_val"])
        pipeline.fit(classes.X, classes.y, **held)
    score = pipeline.score(held["X_val"], held["y_val"])
    assert pipeline[-1].validation_scores_[-1] == score


def test_importing_anynet_does_not_import_scikit_learn() -> None:
    script = "import sys, anynet; assert 'sklearn' not in sys.modules; anynet.MLPClassifier"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_missing_scikit_learn_raises_with_the_install_command() -> None:
    script = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "sklearn" else found(name, *rest)
import anynet
try:
    anynet.MLPClassifier
except ImportError as error:
    assert "pip install scikit-learn" in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
