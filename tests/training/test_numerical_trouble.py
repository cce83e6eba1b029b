"""Data and settings at the limits of floating point: finite results or a clear error."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import nn, tree
from anynet.backends import Backend
from anynet.nn.activations import ACTIVATIONS
from anynet.nn.losses import LOSSES, Loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
CLASSES = np.arange(24) % 3
VALUES = X[:, 0]
HUGE = np.float32(1e30)


def train(data: Any, network: anynet.Network, backend: Backend, **options: Any) -> anynet.Model:
    """Train for two epochs without Python warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "x holds values")
        return anynet.fit(
            network, data, **{"epochs": 2, "batch_size": 8, "backend": backend} | options
        )


def assert_sound(model: anynet.Model, x: np.ndarray) -> None:
    """Check that losses, weights and predictions are finite."""
    for record in model.history.records:
        assert np.isfinite([record.train_loss, record.train_score]).all()
    for leaf in tree.leaves(model.params):
        assert np.isfinite(model.backend.to_host(leaf)).all()
    assert np.isfinite(model.predict_mean(x)).all()


PLAIN, NORMALISED = anynet.mlp([4, 5, 3]), anynet.mlp([4, 5, 3], layer_norm=True)
NARROW = anynet.mlp([4, 1, 3], layer_norm=True)
SOUND: dict[str, tuple[Any, anynet.Network, dict[str, Any]]] = {
    "inputs in float16": (X.astype(np.float16), PLAIN, {}),
    "classes that never occur": (X, anynet.mlp([4, 5, 9]), {}),
    "constant features": (np.full((24, 4), 7, np.float32), NORMALISED, {}),
    "all zeros": (np.zeros((24, 4), np.float32), NORMALISED, {}),
    "batches of one, layers of one": (X, NARROW, {"batch_size": 1}),
    "huge inputs, normalised": (X * HUGE, NORMALISED, {}),
}


@pytest.mark.parametrize("case", SOUND)
def test_unusual_but_valid_data_train_with_finite_results(backend: Backend, case: str) -> None:
    x, network, options = SOUND[case]
    if backend.name == "strict" and x.dtype == np.float16:
        pytest.skip("the standard has no float16")
    assert_sound(train((x, CLASSES), network, backend, **options), x)


@pytest.mark.parametrize("one", [0, 2])
def test_data_of_a_single_class_are_learnt(backend: Backend, one: int) -> None:
    model = train((X, np.full(24, one)), PLAIN, backend)
    assert_sound(model, X)
    assert model.score(X, np.full(24, one)) == 1.0


def test_a_network_with_one_class_is_not_reported_as_guessing() -> None:
    data = X, np.zeros(24, dtype=int)
    model = train(data, anynet.mlp([4, 1]), anynet.get_backend("numpy"), loss="cross_entropy")
    assert model.history.warning == ""


def test_a_constant_regression_target_trains_with_finite_results(backend: Backend) -> None:
    model = train((X, np.full(24, 3.0)), anynet.mlp([4, 5, 1]), backend, learning_rate=0.01)
    assert_sound(model, X)


def test_a_too_large_learning_rate_raises_or_warns_with_the_rate(backend: Backend) -> None:
    """The run either diverges, or stays finite and is reported as no better than guessing."""
    try:
        model = train((X, CLASSES), PLAIN, backend, learning_rate=1e3)
    except anynet.DivergedError as error:
        assert "try a smaller learning rate (now 1000)" in str(error)  # noqa: PT017
    else:
        assert "try another learning rate (now 1000)" in model.history.warning


def test_inputs_that_overflow_raise(backend: Backend) -> None:
    with pytest.raises(anynet.DivergedError, match=r"not finite in epoch 1: try .* scaled") as stop:
        train((X * HUGE, CLASSES), PLAIN, backend)
    assert stop.value.model is None


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (VALUES * HUGE, {}),
        (VALUES * HUGE, {"optimizer": "adam", "clip_norm": 1.0}),
        (np.abs(VALUES) * HUGE, {"loss": "poisson"}),
    ],
    ids=["plain", "clipped", "counts"],
)
def test_targets_that_overflow_raise(y: np.ndarray, options: dict[str, Any]) -> None:
    with pytest.raises(anynet.DivergedError, match=r"not finite in epoch 1: try .* scaled"):
        train((X, y), anynet.mlp([4, 5, 1]), anynet.get_backend("numpy"), **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.where(X > 2, np.nan, X), VALUES), r"x holds NaN or infinity, first at row \d+, col"),
        ((X, np.where(CLASSES == 1, np.nan, VALUES)), "infinity, 8 of 24 values, first at row 1, "),
        ((X, VALUES.astype("f8") * 1e300), "beyond float32, 24 of 24, .*: scale the targets"),
        ((X[:0], VALUES[:0]), "data has no rows"),
        ((X, VALUES, np.full(24, 1e300)), "sample_weight, of 1e.300 .*float32: divide"),
        ((X, VALUES, np.full(24, 1e-300)), "sample_weight, of 1e-300 .*float32: divide"),
        ((X, VALUES, np.zeros(24)), "not all zero"),
        ((X, VALUES, np.full(24, np.inf)), "must be finite"),
    ],
)
def test_nonfinite_or_unrepresentable_numbers_raise(data: Any, message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        train(data, anynet.mlp([4, 1]), anynet.get_backend("numpy"))


@pytest.mark.parametrize("weight", [1e-30, 1.0, 1e30])
def test_the_scale_of_sample_weights_does_not_affect_training(weight: float) -> None:
    numpy = anynet.get_backend("numpy")
    data = X, CLASSES, np.full(24, weight, np.float32)
    weighted = train(data, PLAIN, numpy).history.best.train_loss
    plain = train(data[:2], PLAIN, numpy).history.best.train_loss
    assert weighted == pytest.approx(plain, rel=1e-5)


def test_batches_of_zero_weights_do_not_change_the_network(backend: Backend) -> None:
    weight = np.zeros(24)
    weight[0] = 1e-30
    model = train((X, CLASSES, weight), PLAIN, backend, batch_size=2)
    assert_sound(model, X)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["torch", "jax"])
@pytest.mark.parametrize("size", [1.0, 1e4, 1e6])
def test_reduced_precision_stays_finite_or_raises(name: str, precision: str, size: float) -> None:
    """Values above 65,504, the maximum of float16, become infinite and are detected."""
    try:
        backend = anynet.get_backend(name, "cpu", precision=precision)
    except anynet.BackendError as error:
        pytest.skip(str(error))
    data = X * np.float32(size), CLASSES
    try:
        assert_sound(train(data, PLAIN, backend), data[0])
    except anynet.DivergedError as error:
        assert size > 1
        assert "inputs scaled to about [0, 1]" in str(error)  # noqa: PT017


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_activations_of_extreme_inputs_are_finite(backend: Backend, function: str) -> None:
    ends = np.array([[-HUGE, -1e4, -89.0, -1e-30, 0.0, 1e-30, 89.0, 1e4, HUGE]], dtype=np.float32)
    layer = nn.layers.Activation(function)
    y, pullback = layer.apply({}, backend.to_device(ends), backend=backend, key=None)
    dx = pullback(backend.to_device(np.ones_like(ends)))[1]
    assert np.isfinite(backend.to_host(y)).all()
    assert np.isfinite(backend.to_host(dx)).all()
    assert np.abs(backend.to_host(dx)).max() < 2


@pytest.mark.parametrize("loss", [make() for make in LOSSES.values()], ids=repr)
def test_gradients_at_huge_logits_are_finite(backend: Backend, loss: Loss) -> None:
    """Except for Poisson: its exponential mean overflows; the infinite loss is detected."""
    size = 50.0 if loss.kind == "poisson" else 1e4
    logits = np.array([[size, -size, 0.0], [-size, -size, -size]], dtype=np.float32)
    target = np.array([1, 0], np.int32) if loss.task == "classes" else np.eye(2, 3, dtype="f4")
    value, gradient = loss(
        backend.to_device(logits), backend.to_device(target), None, backend=backend
    )
    assert np.isfinite(backend.to_host(value)).all()
    assert np.isfinite(backend.to_host(gradient)).all()


def test_the_command_reports_a_diverged_run(tmp_path, capsys) -> None:
    from anynet.cli import main

    options = ["--epochs", "2", "--learning-rate", "1000", "--backend", "numpy", "--json"]
    code = main(["train", "digits", *options, "--out", str(tmp_path / "run")])
    output = capsys.readouterr()
    assert "learning rate (now 1000)" in output.err
    assert len(output.err.splitlines()) == 1
    if code == 0:
        assert json.loads(output.out)["warning"]
    else:
        assert not (tmp_path / "run").exists()
