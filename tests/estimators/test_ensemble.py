"""``n_ensemble``: networks match single fits, and predictions are their mean."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import anynet
from anynet import optim
from anynet.nn import SquaredError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = {"n_ensemble": 3, "hidden_layer_sizes": (9,), "max_iter": 5, "batch_size": 50}
QUICK |= {"random_state": 0}


def assert_as_alone(model, X, y, *args, **held) -> None:
    """Check that each network equals a fit with its own parameters, within rounding."""
    seeds = [one.random_state for one in model.estimators_]
    assert len(set(seeds)) == len(seeds) == model.n_ensemble
    for network in model.estimators_:
        alone = type(network)(**network.get_params()).fit(X, y, *args, **held)
        assert network.n_ensemble == 1
        assert (network.n_iter_, network.t_) == (alone.n_iter_, alone.t_)
        for name in ("coefs_", "intercepts_", "norm_gains_"):
            if hasattr(alone, name):
                pairs = zip(getattr(network, name), getattr(alone, name), strict=True)
                for ours, expected in pairs:
                    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-10)
        for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
            if getattr(alone, name, None) is not None:
                np.testing.assert_allclose(getattr(network, name), getattr(alone, name), rtol=1e-8)


@parametrize_with_checks(
    [
        anynet.MLPClassifier(max_iter=60, n_ensemble=2),
        anynet.MLPRegressor(max_iter=60, n_ensemble=2),
    ]
)
@pytest.mark.filterwarnings("ignore")
def test_all_estimator_checks_of_scikit_learn_pass(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True, "max_iter": 15, "n_iter_no_change": 3, "layer_norm": True},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.02, "tol": 0.05,
         "n_iter_no_change": 1, "max_iter": 40, "dropout": 0.2},
        {"solver": "lbfgs"},
        {"solver": "adamw", "learning_rate": optim.ReduceOnPlateau(0.01, 0.5, patience=0)},
    ],
)  # fmt: skip
def test_each_network_matches_a_single_fit(table, options) -> None:
    model = table.fit(anynet, **QUICK | options)
    assert_as_alone(model, table.X, table.y)
    assert model.n_iter_ == max(one.n_iter_ for one in model.estimators_)


def test_networks_match_single_fits_with_weights_and_a_validation_set(classes, rng) -> None:
    weight = rng.uniform(size=len(classes.y))
    held = {"X_val": classes.X[:40], "y_val": classes.y[:40], "sample_weight_val": weight[:40]}
    options = {"class_weight": "balanced", "scoring": "f1_macro", "early_stopping": True}
    model = anynet.MLPClassifier(**QUICK | options)
    model.fit(classes.X, classes.y, weight, **held)
    assert_as_alone(model, classes.X, classes.y, weight, **held)


def test_predictions_come_from_the_mean_of_the_networks(table) -> None:
    model = table.fit(anynet, **QUICK)
    if table.estimator == "MLPRegressor":
        expected = np.mean([one.predict(table.X) for one in model.estimators_], axis=0)
        np.testing.assert_allclose(model.predict(table.X), expected, rtol=1e-10)
        return
    mean = np.mean([one.predict_proba(table.X) for one in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_proba(table.X), mean, rtol=1e-10)
    np.testing.assert_allclose(model.predict_log_proba(table.X), np.log(mean), rtol=1e-8)
    several = table.y.ndim > 1
    expected = mean > 0.5 if several else model.classes_[mean.argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(table.X), expected)
    assert model.score(table.X, table.y) == np.mean(
        (expected == table.y).all(axis=1) if several else expected == table.y
    )


def test_multioutput_classification_averages_each_column() -> None:
    X, y = load_iris(return_X_y=True)
    y = np.stack([y, X[:, 0] > 6], axis=1)
    model = anynet.MLPClassifier(**QUICK).fit(X, y)
    for column, shares in enumerate(model.predict_proba(X)):
        mean = np.mean([one.predict_proba(X)[column] for one in model.estimators_], axis=0)
        np.testing.assert_allclose(shares, mean)
        np.testing.assert_array_equal(model.predict(X)[:, column], mean.argmax(axis=1))


def test_an_ensemble_beats_most_of_its_networks(classes) -> None:
    options = {"n_ensemble": 9, "hidden_layer_sizes": (8,), "learning_rate_init": 0.01}
    X, y = classes.X, classes.y
    model = anynet.MLPClassifier(max_iter=40, random_state=0, **options).fit(X[:100], y[:100])
    scores = [one.score(X[100:], y[100:]) for one in model.estimators_]
    assert model.score(X[100:], y[100:]) > np.mean(scores) + 0.02


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_arrays_stay_on_their_device(classes, library: str) -> None:
    pytest.importorskip(library)
    backend = anynet.get_backend(library, "cpu")
    X = backend.to_device(classes.X.astype(np.float32))
    model = anynet.MLPClassifier(**QUICK).fit(X, classes.y)
    shares = model.predict_proba(X)
    assert type(model.estimators_[0].coefs_[0]) is type(shares) is type(X)
    host = anynet.MLPClassifier(**QUICK).fit(classes.X.astype(np.float32), classes.y)
    expected = host.predict_proba(classes.X.astype(np.float32))
    np.testing.assert_allclose(backend.to_host(shares), expected, rtol=1e-3, atol=1e-5)
    back = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(backend.to_host(back.predict_proba(X)), backend.to_host(shares))


def test_n_ensemble_of_one_gives_a_single_network_without_ensemble_attributes(classes) -> None:
    model = classes.fit(anynet, **QUICK)
    assert not hasattr(model, "coefs_")
    model.set_params(n_ensemble=1).fit(classes.X, classes.y)
    assert not hasattr(model, "estimators_")
    assert vars(model).keys() == vars(classes.fit(anynet, **QUICK | {"n_ensemble": 1})).keys()
    model.set_params(n_ensemble=2).fit(classes.X, classes.y)
    assert vars(model).keys() == vars(classes.fit(anynet, **QUICK)).keys()
    assert not hasattr(clone(model), "estimators_")


def test_feature_names_are_checked_by_the_ensemble(classes) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(classes.X).rename(columns="pixel {}".format)
    model = anynet.MLPClassifier(**QUICK).fit(frame, classes.y)
    np.testing.assert_array_equal(
        model.predict(frame), classes.fit(anynet, **QUICK).predict(classes.X)
    )
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[frame.columns[::-1]])


def test_operations_on_a_single_network_raise_for_ensembles(classes) -> None:
    model = anynet.MLPClassifier(**QUICK)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        model.partial_fit(classes.X, classes.y)
    assert "n_ensemble is 3" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match=r"warm_start=True.*n_ensemble is 3"):
        model.set_params(warm_start=True).fit(classes.X, classes.y)
    for wrong in (0, 2.5, "many"):
        with pytest.raises(ValueError, match="'n_ensemble' parameter of MLPClassifier must be"):
            anynet.MLPClassifier(n_ensemble=wrong).fit(classes.X, classes.y)


def test_ensembles_round_trip_through_files(table, tmp_path: Path) -> None:
    model = table.fit(anynet, **QUICK)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.predict(table.X), model.predict(table.X))
    assert loaded.estimators_[1].loss_curve_ == model.estimators_[1].loss_curve_
    loaded.estimators_[0].partial_fit(table.X, table.y)
    read = anynet.load(tmp_path / "model", backend="numpy")
    assert isinstance(read, anynet.Ensemble)
    np.testing.assert_array_equal(read.predict(table.X).shape, model.predict(table.X).shape)
    anynet.Ensemble(read.models[:2], read.metadata).save(tmp_path / "two")
    with pytest.raises(anynet.ModelFileError, match="describes 3 networks and holds 2"):
        type(model).load(tmp_path / "two")


def test_exports_of_an_ensemble_raise_and_work_for_each_network(classes, tmp_path: Path) -> None:
    model = classes.fit(anynet, **QUICK)
    for write in (model.to_sklearn, model.to_torch, lambda: model.to_onnx(tmp_path / "model")):
        with pytest.raises(anynet.InvalidArgumentError, match="ensemble of 3"):
            write()
    theirs = model.estimators_[0].to_sklearn()
    np.testing.assert_array_equal(
        theirs.predict(classes.X), model.estimators_[0].predict(classes.X)
    )


def test_callbacks_receive_all_networks_and_can_stop_one(classes) -> None:
    seen = []

    def second(record) -> bool:
        seen.append(record)
        return len(seen) == 2

    model = classes.fit(anynet, callbacks=[second], **QUICK)
    assert [one.n_iter_ for one in model.estimators_] == [5, 1, 5]
    assert len(seen) == 11
    assert seen[0].learning_rate == 0.001
    assert model.n_iter_ == 5


def test_the_progress_bar_counts_the_epochs_of_all_networks(classes, capsys) -> None:
    pytest.importorskip("tqdm")
    classes.fit(anynet, progress_bar=True, **QUICK)
    assert "15/15" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}])
def test_an_interrupt_keeps_the_learnt_weights(classes, options) -> None:
    def interrupt(record) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = classes.fit(anynet, callbacks=[interrupt], **QUICK | options)
    two = classes.fit(anynet, **QUICK | options | {"max_iter": 2})
    np.testing.assert_array_equal(model.predict_proba(classes.X), two.predict_proba(classes.X))


def test_a_failed_network_is_reported(classes) -> None:
    def fail(record) -> None:
        message = f"no more after {record.epoch}"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="no more after 1"):
        classes.fit(anynet, callbacks=[fail], **QUICK)
    X = np.finfo(np.float64).max * np.random.default_rng(0).uniform(size=(10, 2))
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        anynet.MLPRegressor(n_ensemble=2).fit(X, np.arange(10.0))


class HalvedError(SquaredError):
    """A user-defined loss without support for populations."""

    def __call__(self, logits, target, weight, *, backend):
        assert logits.ndim == 2
        value, dlogits = super().__call__(logits, target, weight, backend=backend)
        return value / 2, dlogits / 2


def test_networks_with_user_defined_parts_are_trained_one_by_one(values) -> None:
    model = values.fit(anynet, loss=HalvedError(), **QUICK)
    assert_as_alone(model, values.X, values.y)


def test_networks_that_exceed_the_memory_are_trained_one_after_another(
    classes, monkeypatch
) -> None:
    at_once = classes.fit(anynet, **QUICK)
    monkeypatch.setattr("anynet.estimators.ensemble.HOST_BYTES", 1)
    in_turn = classes.fit(anynet, **QUICK)
    np.testing.assert_allclose(in_turn.predict_proba(classes.X), at_once.predict_proba(classes.X))


def test_ensembles_work_in_searches(classes) -> None:
    grid = {"n_ensemble": [1, 2]}
    search = GridSearchCV(anynet.MLPClassifier(max_iter=3, random_state=0), grid, cv=2)
    search.fit(classes.X, classes.y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
