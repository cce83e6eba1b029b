"""scikit-learn export and import: the predictions match in both directions."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.export import from_sklearn, to_sklearn
from anynet.nn import Activation, BatchNorm, Dense, Dropout, LayerNorm, Network, Scale, Standardize

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402


def train(estimator: Any, x: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(x, y)


def test_predictions_match_on_digits(plain_digits_model, digits) -> None:
    estimator = to_sklearn(plain_digits_model)
    x, y = digits.test
    assert estimator.hidden_layer_sizes == (32, 16)
    np.testing.assert_array_equal(estimator.predict(x), plain_digits_model.predict(x))
    np.testing.assert_allclose(
        estimator.predict_proba(x), plain_digits_model.predict_proba(x), atol=2e-6
    )
    assert estimator.score(x, y) == pytest.approx(plain_digits_model.score(x, y))
    losses = [record.train_loss for record in plain_digits_model.history.records]
    assert estimator.loss_curve_ == losses
    assert (estimator.n_iter_, estimator.loss_, estimator.best_loss_) == (3, losses[-1], losses[-1])


def test_the_exported_estimator_has_all_fitted_attributes(plain_digits_model, digits) -> None:
    x, y = digits.train
    before = plain_digits_model.predict_proba(x)
    estimator = to_sklearn(plain_digits_model, learning_rate_init=1e-4, random_state=0)
    reference = MLPClassifier((32, 16)).partial_fit(x[:50], y[:50], classes=np.arange(10))
    assert vars(reference).keys() - vars(estimator).keys() == {"_optimizer"}
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict_proba(x), estimator.predict_proba(x))
    score, loss = again.score(x, y), None
    for _ in range(3):
        again.partial_fit(x, y)
        assert loss is None or again.loss_ < loss
        loss = again.loss_
    assert again.score(x, y) > score - 0.01
    np.testing.assert_array_equal(plain_digits_model.predict_proba(x), before)
    fresh = clone(estimator)
    assert fresh.get_params() == estimator.get_params()
    assert fresh.get_params()["learning_rate_init"] == 1e-4
    assert not hasattr(fresh, "coefs_")


@pytest.mark.parametrize("function", ["identity", "sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_and_input_scales_are_exported(
    make_model, rng, function: str, dtype: str
) -> None:
    layers = (
        *(Scale(0.5, -0.25), Dropout(0.2), Dense(6), Scale(2.0, 0.5), Activation(function)),
        *(Scale(0.5, 0.25), Scale(6.0)),
        *(Dropout(0.1), Dense(5), Activation(function), Dense(3), Dropout(0.1), Scale(-1.5)),
    )
    model = make_model(Network(4, layers), "squared_error", dtype)
    x = rng.standard_normal((40, 4)).astype(dtype)
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    estimator = to_sklearn(model)
    np.testing.assert_allclose(estimator.predict(x), model.predict(x), atol=tolerance)
    assert {coef.dtype for coef in estimator.coefs_} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_with_state_are_folded_into_the_weights(make_model, rng, dtype: str) -> None:
    layers = (
        *(Standardize(), Dropout(0.1), Dense(6), BatchNorm(), Activation("tanh"), BatchNorm()),
        *(Dense(5), BatchNorm(0.1, 1e-3), Scale(0.5), Activation("tanh"), Dense(3)),
    )
    model = make_model(Network(4, layers), "squared_error", dtype)
    x = rng.standard_normal((40, 4)).astype(dtype)
    estimator = to_sklearn(model)
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(estimator.predict(x), model.predict(x), atol=tolerance)
    assert {coef.dtype for coef in estimator.coefs_} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("loss", "n_outputs"),
    [
        ("cross_entropy", 2),
        ("cross_entropy", 4),
        ("binary_cross_entropy", 1),
        ("binary_cross_entropy", 2),
        ("binary_cross_entropy", 3),
        ("squared_error", 1),
        ("squared_error", 3),
        ("absolute_error", 1),
        ("huber", 2),
        ("poisson", 1),
        ("poisson", 3),
    ],
)
def test_every_task_round_trips(make_model, rng, loss: str, n_outputs: int) -> None:
    model = make_model(anynet.mlp([4, 6, n_outputs], scale=0.5), loss, "float64")
    x = rng.standard_normal((40, 4))
    estimator = to_sklearn(model)
    back = from_sklearn(estimator, "numpy")
    expected = model.predict(x)
    for predicted in (estimator.predict(x), back.predict(x)):
        assert predicted.shape == expected.shape
        np.testing.assert_allclose(predicted, expected, rtol=1e-12, atol=1e-13)
    if model.loss.task != "values":
        likely = model.predict_proba(x)
        likely = np.hstack([1 - likely, likely]) if likely.shape[1] == 1 else likely
        np.testing.assert_allclose(estimator.predict_proba(x), likely, atol=1e-13)
        np.testing.assert_allclose(back.predict_proba(x), likely, atol=1e-13)
    y = expected if expected.ndim == 1 or model.loss.task != "labels" else expected.astype(int)
    estimator.partial_fit(x, y)


def test_class_names_round_trip(make_model, rng) -> None:
    model = make_model(anynet.mlp([4, 6, 3]))
    x = rng.standard_normal((20, 4))
    named = to_sklearn(model, classes=["ant", "bee", "cat"])
    np.testing.assert_array_equal(named.predict(x), named.classes_[model.predict(x)])
    assert from_sklearn(named, "numpy").metadata == {"classes": ["ant", "bee", "cat"]}


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (8,), (7, 5)])
def test_trained_classifiers_are_imported(rng, activation: str, hidden: tuple[int, ...]) -> None:
    x = rng.standard_normal((60, 4))
    two = np.where(x[:, 0] > 0, "yes", "no")
    three = x.argmax(axis=1) % 3 * 10
    several = (x[:, :3] > 0).astype(int)
    for y in (two, three, several):
        estimator = train(MLPClassifier(hidden, activation, max_iter=5, random_state=0), x, y)
        model = from_sklearn(estimator, "numpy")
        predicted = model.predict(x)
        predicted = predicted if y is several else estimator.classes_[predicted]
        np.testing.assert_array_equal(predicted, estimator.predict(x))
        np.testing.assert_allclose(
            model.predict_proba(x), estimator.predict_proba(x), rtol=1e-12, atol=1e-14
        )
        assert model.metadata == {"classes": estimator.classes_.tolist()}


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_trained_regressors_are_imported(rng, loss: str, dtype: str, tmp_path) -> None:
    x = rng.standard_normal((60, 4)).astype(dtype)
    for y in (np.exp(x[:, 0]), np.exp(x[:, :2])):
        estimator = train(MLPRegressor(loss, (8,), max_iter=5, random_state=0), x, y)
        model = from_sklearn(estimator, "numpy")
        assert (model.loss.kind, model.backend.dtype) == (loss, dtype)
        rtol = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(model.predict(x), estimator.predict(x), rtol=rtol, atol=rtol)
    model.save(tmp_path / "model")
    again = anynet.load(tmp_path / "model", backend="numpy")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_the_model_shares_no_memory_with_the_estimator(rng) -> None:
    x, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    estimator = train(MLPClassifier((8,), max_iter=3), x, y)
    model = from_sklearn(estimator, "numpy")
    before = model.predict_proba(x)
    estimator.partial_fit(x, y)
    np.testing.assert_array_equal(model.predict_proba(x), before)


@pytest.mark.parametrize(
    ("layers", "loss", "message"),
    [
        ((Dense(3), LayerNorm(), Dense(2)), "squared_error", "layer 1 \\(layer_norm\\) .*ONNX"),
        ((Scale(2.0), Dense(3), Activation("gelu"), Dense(2)), "squared_error", "2 \\(gelu\\)"),
        ((Activation("tanh"), Dense(2)), "squared_error", "layer 0 \\(activation\\)"),
        (
            (Dense(3), Activation("relu"), Dense(3), Activation("tanh"), Dense(2)),
            "squared_error",
            "the network has relu, tanh",
        ),
        ((Dense(2), Activation("tanh")), "squared_error", "ends with a dense layer"),
        ((Dense(3), Activation("tanh"), Activation("tanh"), Dense(2)), "huber", "layer 2 "),
        ((Dense(2), Activation("relu"), Scale(2.0)), "huber", "layer 2 \\(scale\\) .* no layer"),
        ((Scale(2.0), Activation("tanh"), Dense(2)), "huber", "layer 0 \\(scale\\) .* layer 1"),
        ((Dense(1),), "cross_entropy", "train with two classes"),
    ],
)
def test_models_that_scikit_learn_cannot_express_raise(
    make_model, layers, loss: str, message: str
) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        to_sklearn(make_model(Network(4, layers), loss))


def test_invalid_classes_raise(make_model) -> None:
    three = make_model(anynet.mlp([4, 3]))
    for classes in (["a", "b"], ["b", "a", "c"], ["a", "a", "b"], [0, 5, 5]):
        with pytest.raises(anynet.InvalidArgumentError, match="3 different labels, ascending"):
            to_sklearn(three, classes=classes)
    labels = make_model(anynet.mlp([4, 3]), "binary_cross_entropy")
    with pytest.raises(anynet.InvalidArgumentError, match="do not pass classes"):
        to_sklearn(labels, classes=["a", "b", "c"])


def test_importing_anything_except_a_fitted_mlp_raises() -> None:
    for other in (MLPClassifier(), make_pipeline(MLPClassifier()), 3):
        with pytest.raises(anynet.InvalidArgumentError, match="expected a fitted MLPClassifier"):
            from_sklearn(other)


@pytest.mark.parametrize("classes", [[1, 2, "a"], [0, 5, 2**64 - 1]])
def test_classes_that_numpy_would_convert_raise(make_model, classes: list[Any]) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="of one type"):
        to_sklearn(make_model(anynet.mlp([2, 3])), classes=classes)
