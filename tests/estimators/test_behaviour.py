"""Requirements from scikit-learn's own tests of its MLP, in addition to equal runs."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor

import anynet

ESTIMATORS = [anynet.MLPClassifier, anynet.MLPRegressor]
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X_IRIS, Y_IRIS = load_iris(return_X_y=True)


def test_one_update_matches_a_manual_calculation() -> None:
    classifier = anynet.MLPClassifier(
        solver="sgd", learning_rate_init=0.1, alpha=0.1, activation="logistic", momentum=0
    )
    classifier.partial_fit(np.zeros((1, 3)), [0], classes=[0, 1])
    hidden, output = [[0.1, 0.2], [0.3, 0.1], [0.5, 0]], [[0.1], [0.2]]
    classifier.coefs_ = [np.array(hidden), np.array(output)]
    classifier.intercepts_ = [np.array([0.1, 0.1]), np.array([1.0])]
    X = np.array([[0.6, 0.8, 0.7]])
    classifier.partial_fit(X, [0])
    after = [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]]
    np.testing.assert_allclose(classifier.coefs_[0], after, atol=2e-3)
    np.testing.assert_allclose(classifier.coefs_[1], [[0.04706], [0.154089]], atol=2e-3)
    np.testing.assert_allclose(classifier.intercepts_[0], [0.098333, 0.09626], atol=1e-3)
    np.testing.assert_allclose(classifier.intercepts_[1], [0.9235], atol=1e-3)
    assert classifier.predict_proba(X)[0, 1] == pytest.approx(0.739, abs=1e-3)


@quiet
def test_copied_weights_give_the_same_predictions(table) -> None:
    trained = table.fit(anynet, max_iter=5, random_state=0)
    other = table.fit(anynet, max_iter=1, random_state=1, hidden_layer_sizes=(3,))
    other.coefs_ = [coef.copy() for coef in trained.coefs_]
    other.intercepts_ = [intercept.copy() for intercept in trained.intercepts_]
    np.testing.assert_array_equal(other.predict(table.X), trained.predict(table.X))


@quiet
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_matrix, sp.coo_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_inputs_match_dense_inputs(classes, container, solver: str) -> None:
    options = {"solver": solver, "max_iter": 5, "random_state": 0}
    dense = classes.fit(anynet, **options)
    sparse = classes._replace(X=container(classes.X)).fit(anynet, **options)
    np.testing.assert_allclose(sparse.coefs_[0], dense.coefs_[0], rtol=1e-10)
    proba = dense.predict_proba(classes.X)
    np.testing.assert_allclose(sparse.predict_proba(container(classes.X)), proba, rtol=1e-8)


@quiet
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_a_sparse_matrix_too_large_for_a_dense_array_is_processed_in_blocks(
    classes, options, monkeypatch
) -> None:
    sparse = classes._replace(X=sp.csr_array(classes.X))
    settings = {"batch_size": 50, "max_iter": 5, "random_state": 0} | options
    whole = sparse.fit(anynet, **settings)
    monkeypatch.setattr("anynet.estimators.samples.DENSE_BYTES", 0)
    blocks = sparse.fit(anynet, **settings)
    np.testing.assert_array_equal(blocks.coefs_[0], whole.coefs_[0])


def test_sparse_labels_give_sparse_predictions() -> None:
    X, y = make_multilabel_classification(60, random_state=0)
    classifier = anynet.MLPClassifier(solver="lbfgs", random_state=0)
    dense = classifier.fit(X, y).predict(X)
    sparse = classifier.fit(X, sp.csr_matrix(y)).predict(X)
    assert sp.issparse(sparse)
    np.testing.assert_array_equal(sparse.toarray(), dense)


def test_multilabel_probabilities_do_not_sum_to_one() -> None:
    X, y = make_multilabel_classification(60, random_state=0)
    classifier = anynet.MLPClassifier(solver="lbfgs", random_state=0).fit(X, y)
    probability = classifier.predict_proba(X)
    np.testing.assert_array_equal(probability > 0.5, y)
    assert np.abs(probability.sum(axis=1) - 1).max() > 0.1


def test_multilabel_partial_fit() -> None:
    X, y = make_multilabel_classification(60, random_state=0)
    classifier = anynet.MLPClassifier(
        solver="sgd", learning_rate_init=0.2, activation="logistic", random_state=0
    )
    for _ in range(100):
        classifier.partial_fit(X, y, classes=[0, 1, 2, 3, 4])
    assert classifier.score(X, y) > 0.9


def test_poisson_with_a_linear_network_matches_the_glm() -> None:
    rng = np.random.default_rng(42)
    X = np.linspace(0, 1, 100)[:, None]
    y = rng.poisson(np.exp(X[:, 0] + 1))
    expected = PoissonRegressor(alpha=0, tol=1e-7).fit(X, y).predict(X)
    network = anynet.MLPRegressor(
        "poisson", (1,), "identity", alpha=0, solver="lbfgs", tol=1e-7, random_state=1
    )
    np.testing.assert_allclose(network.fit(X, y).predict(X), expected, rtol=1e-4)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_reaching_max_iter_warns(estimator, solver: str) -> None:
    model = estimator(solver=solver, max_iter=2, n_iter_no_change=np.inf, random_state=0)
    message = (
        "lbfgs failed to converge" if solver == "lbfgs" else r"Maximum iterations \(2\) reached"
    )
    with pytest.warns(ConvergenceWarning, match=message):
        model.fit(X_IRIS, Y_IRIS)
    assert model.n_iter_ == 2


def test_max_fun_limits_lbfgs() -> None:
    with pytest.warns(ConvergenceWarning):
        model = anynet.MLPClassifier(solver="lbfgs", max_fun=4).fit(X_IRIS, Y_IRIS)
    assert model.n_iter_ <= 4


def test_convergence_ends_training_without_a_warning() -> None:
    X, y = load_digits(n_class=2, return_X_y=True)
    for patience in (2, 30):
        model = anynet.MLPClassifier(
            tol=0.01, max_iter=3000, solver="sgd", n_iter_no_change=patience, random_state=0
        )
        model.fit(X[:100], y[:100])
        curve = np.asarray(model.loss_curve_)
        assert model.n_iter_ == len(curve) < 3000
        last_gain = np.flatnonzero(curve[1:] <= np.minimum.accumulate(curve)[:-1] - model.tol)[-1]
        assert len(curve) - 1 - (last_gain + 1) == patience + 1
        assert model.best_loss_ == curve.min()


def test_infinite_patience_runs_all_iterations() -> None:
    model = anynet.MLPRegressor(tol=1e9, n_iter_no_change=np.inf, max_iter=70, batch_size=50)
    with pytest.warns(ConvergenceWarning):
        model.fit(X_IRIS, Y_IRIS)
    assert model.n_iter_ == 70


@quiet
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_early_stopping_restores_the_best_weights(estimator) -> None:
    model = estimator(
        early_stopping=True, max_iter=40, learning_rate_init=0.05, n_iter_no_change=50
    )
    model.set_params(random_state=1, solver="sgd", batch_size=10)
    held = {"X_val": X_IRIS[::3], "y_val": Y_IRIS[::3]}
    model.fit(X_IRIS[1::3], Y_IRIS[1::3], **held)
    best = max(model.validation_scores_)
    assert model.best_validation_score_ == best
    assert model.score(X_IRIS[::3], Y_IRIS[::3]) == pytest.approx(best)
    assert len(model.validation_scores_) == model.n_iter_ == len(model.validation_loss_curve_)


@quiet
def test_the_validation_split_is_stratified_for_many_classes(monkeypatch) -> None:
    seen = []
    original = anynet.MLPClassifier._score_logits

    def spy(self, logits, target, weight):
        seen.append(np.bincount(target, minlength=3))
        return original(self, logits, target, weight)

    monkeypatch.setattr(anynet.MLPClassifier, "_score_logits", spy)
    anynet.MLPClassifier(early_stopping=True, max_iter=1, validation_fraction=0.2).fit(
        X_IRIS, Y_IRIS
    )
    np.testing.assert_array_equal(seen[0], [10, 10, 10])


@quiet
def test_predictions_are_the_original_class_names() -> None:
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)[Y_IRIS]
    model = anynet.MLPClassifier(learning_rate_init=0.05, early_stopping=True, random_state=0)
    model.fit(X_IRIS, names)
    assert set(model.predict(X_IRIS)) <= set(names)
    assert model.score(X_IRIS, names) > 0.8
    assert np.isfinite(model.validation_scores_).all()


def test_data_of_one_class_always_predict_that_class() -> None:
    X = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.warns(ConvergenceWarning):
        model = anynet.MLPClassifier(max_iter=5).fit(X, np.full(10, 7))
    np.testing.assert_array_equal(model.predict(X), np.full(10, 7))


@quiet
def test_a_diverging_fit_scores_nan_or_raises_with_the_cause() -> None:
    model = anynet.MLPRegressor(
        activation="identity", solver="sgd", learning_rate_init=1, max_iter=20, early_stopping=True
    )
    model.fit(X_IRIS, Y_IRIS)
    assert str(model.validation_scores_[-1]) == "nan"
    assert isinstance(model.validation_scores_[-1], float)
    X = np.finfo(np.float64).max * np.random.default_rng(0).uniform(size=(10, 2))
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        anynet.MLPRegressor().fit(X, np.arange(10.0))


def test_an_interrupt_keeps_the_learnt_weights(classes) -> None:
    def interrupt(record) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    options = {"random_state": 0, "batch_size": 50}
    model = anynet.MLPClassifier(callbacks=[interrupt], **options)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(classes.X, classes.y)
    with pytest.warns(ConvergenceWarning):
        two = classes.fit(anynet, max_iter=2, **options)
    np.testing.assert_array_equal(model.coefs_[0], two.coefs_[0])


@quiet
def test_queued_epochs_do_not_change_the_result(classes) -> None:
    """Epochs are queued while none can be the last; a callback forces a check after each."""
    options = {"max_iter": 40, "random_state": 0, "tol": 0.02, "solver": "sgd"}
    options |= {"learning_rate": "adaptive", "n_iter_no_change": 3, "learning_rate_init": 0.1}
    ahead = classes.fit(anynet, **options)
    looking = classes.fit(anynet, callbacks=[lambda _: None], **options)
    assert ahead.loss_curve_ == looking.loss_curve_
    np.testing.assert_array_equal(ahead.coefs_[0], looking.coefs_[0])


@quiet
def test_the_memory_layout_of_inputs_does_not_affect_the_result(values) -> None:
    options = {"max_iter": 3, "random_state": 0}
    wide = np.concatenate([values.X, values.X], axis=1)[:, : values.X.shape[1]]
    expected = values.fit(anynet, **options).coefs_[0]
    for X in (np.asfortranarray(values.X), wide):
        np.testing.assert_array_equal(
            values._replace(X=X).fit(anynet, **options).coefs_[0], expected
        )


@quiet
def test_feature_names_are_kept_and_checked() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X_IRIS, columns=list("abcd"))
    model = anynet.MLPClassifier(early_stopping=True, scoring="accuracy", max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(frame, Y_IRIS).predict(frame)
    np.testing.assert_array_equal(model.feature_names_in_, list("abcd"))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X_IRIS)
