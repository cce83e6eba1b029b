"""Parity: with equal settings and seeds a run equals scikit-learn's, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.neural_network as oracle

import anynet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = {
    "sgd": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.1},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.01},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.01},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.05,
        "tol": 0.05,
        "n_iter_no_change": 1,
    },
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "adam without memory": {"solver": "adam", "beta_1": 0, "beta_2": 0.5, "epsilon": 1e-3},
    "lbfgs": {"solver": "lbfgs"},
}
COMMON: dict[str, Any] = {
    "hidden_layer_sizes": (12, 7),
    "alpha": 0.3,
    "batch_size": 64,
    "max_iter": 12,
    "random_state": 5,
}


def assert_same_run(ours: Any, theirs: Any) -> None:
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)
    for name in ("loss_curve_", "validation_scores_"):
        if getattr(theirs, name, None) is not None:
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)
    for name in ("coefs_", "intercepts_"):
        for our, their in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(our, their, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_matches_on_every_task(table, solver: str, weighted: bool, rng) -> None:
    weight = [rng.uniform(size=len(table.X))] if weighted else []
    ours, theirs = (
        table.fit(library, *weight, **COMMON | SOLVERS[solver]) for library in (anynet, oracle)
    )
    assert_same_run(ours, theirs)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_activation_matches(classes, activation: str, shuffle: bool) -> None:
    options = COMMON | {"activation": activation, "shuffle": shuffle}
    assert_same_run(classes.fit(anynet, **options), classes.fit(oracle, **options))


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_poisson_regression_matches(solver: str, table) -> None:
    if table.estimator == "MLPClassifier":
        pytest.skip("needs a regression loss")
    options = COMMON | {"loss": "poisson", "solver": solver, "learning_rate_init": 0.01}
    assert_same_run(table.fit(anynet, **options), table.fit(oracle, **options))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_early_stopping_matches(solver: str, table) -> None:
    if table.estimator == "MLPClassifier" and table.y.ndim == 1 and table.y.max() > 1:
        pytest.skip("scikit-learn stratifies two classes only")
    options = COMMON | {"early_stopping": True, "tol": 0.01, "n_iter_no_change": 3, "max_iter": 60}
    ours, theirs = (table.fit(library, solver=solver, **options) for library in (anynet, oracle))
    assert_same_run(ours, theirs)
    assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)
    assert ours.best_loss_ is theirs.best_loss_ is None


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_partial_fit_and_warm_start_match(table, solver: str, learning_rate: str) -> None:
    options = COMMON | {"solver": solver, "learning_rate": learning_rate, "max_iter": 4}
    pair = [getattr(library, table.estimator)(**options) for library in (anynet, oracle)]
    classes = {} if table.estimator == "MLPRegressor" else {"classes": np.unique(table.y)}
    if table.y.ndim == 2 and classes:
        classes = {"classes": np.arange(table.y.shape[1])}
    for estimator in pair:
        for start in (0, 70, 30):
            rows = slice(start, start + 80)
            estimator.partial_fit(table.X[rows], table.y[rows], **classes)
    assert_same_run(*pair)
    for estimator in pair:
        estimator.set_params(warm_start=True).fit(table.X, table.y).fit(table.X, table.y)
    assert_same_run(*pair)
    assert pair[0].t_ == pair[1].t_


def test_predictions_match_scikit_learn(table) -> None:
    ours, theirs = (table.fit(library, **COMMON) for library in (anynet, oracle))
    np.testing.assert_allclose(ours.predict(table.X), theirs.predict(table.X), rtol=1e-6)
    assert ours.predict(table.X).dtype == theirs.predict(table.X).dtype
    assert ours.score(table.X, table.y) == pytest.approx(theirs.score(table.X, table.y))
    if table.estimator == "MLPClassifier":
        for method in ("predict_proba", "predict_log_proba"):
            our, their = (getattr(one, method)(table.X) for one in (ours, theirs))
            np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-9)
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)


def test_every_fitted_attribute_of_scikit_learn_exists(table) -> None:
    ours, theirs = (table.fit(library, **COMMON) for library in (anynet, oracle))
    public = {name for name in vars(theirs) if name.endswith("_")}
    assert public <= vars(ours).keys()
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "n_iter_", "t_"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_their_defaults_match_scikit_learn(name: str) -> None:
    ours, theirs = (getattr(library, name)().get_params() for library in (anynet, oracle))
    assert theirs.items() <= ours.items()
    order = [parameter for parameter in ours if parameter in theirs]
    assert order == list(theirs)


@pytest.mark.parametrize("verbose", [True, 10])
def test_verbose_output_matches(classes, verbose, capsys) -> None:
    options = COMMON | {"verbose": verbose, "learning_rate": "adaptive", "solver": "sgd"}
    options |= {"tol": 0.5, "n_iter_no_change": 1, "max_iter": 40, "learning_rate_init": 1e-4}
    printed = []
    for library in (anynet, oracle):
        classes.fit(library, **options)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Setting learning rate to" in printed[0]


def test_float32_inputs_give_float32_weights(table) -> None:
    fitted = table._replace(X=table.X.astype(np.float32)).fit(anynet, **COMMON)
    assert all(array.dtype == np.float32 for array in fitted.coefs_ + fitted.intercepts_)
    if table.estimator == "MLPRegressor":
        assert fitted.predict(table.X.astype(np.float32)).dtype == np.float32


def test_a_single_class_matches_and_scores_1(classes) -> None:
    options = COMMON | {"early_stopping": True, "max_iter": 30}
    alone = classes._replace(y=np.zeros(len(classes.X)))
    ours, theirs = (alone.fit(library, **options) for library in (anynet, oracle))
    assert_same_run(ours, theirs)
    assert ours.validation_scores_[0] == ours.score(alone.X, alone.y) == 1.0


@pytest.mark.parametrize("solver", ["adam", "nesterov"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_unscaled_inputs_stop_at_the_same_iteration(
    table, solver: str, dtype: str, weighted: bool, rng
) -> None:
    if table.estimator != "MLPClassifier":
        pytest.skip("needs class probabilities of 0 and 1")
    weight = [rng.uniform(size=len(table.X)).astype(dtype)] if weighted else []
    table = table._replace(X=(table.X * 100).astype(dtype))
    options = COMMON | SOLVERS[solver] | {"alpha": 1e-4, "max_iter": 40, "n_iter_no_change": 3}
    ours, theirs = (table.fit(library, *weight, **options) for library in (anynet, oracle))
    assert max(theirs.loss_curve_) > 1  # some probabilities are clipped
    assert ours.n_iter_ == theirs.n_iter_
    tolerance = 1e-7 if dtype == "float64" else 0.02  # rounding errors grow from step to step
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
