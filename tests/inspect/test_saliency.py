"""Saliency: finite differences on every backend, ensembles, targets, bad input."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.backends import Backend, to_numpy
from anynet.inspect import saliency
from anynet.nn import mlp
from anynet.nn.losses import CrossEntropy, SquaredError
from anynet.training import Model


def untrained(sizes: list[int], backend: Backend, seed: int = 0, **options: Any) -> Model:
    network = mlp(sizes, activation="tanh", **options)
    states = tuple(
        {name: backend.to_device(array + 0.5) for name, array in own.items()}
        for own in network.init_states()
    )
    params = network.init(seed, backend)
    return Model(network, params, CrossEntropy(), backend, states=states)


def differences(model: Model, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the gradient of the target logits by central differences."""
    backend, step = model.backend, 1e-6
    slopes = np.empty_like(x)
    rows = np.arange(len(x))
    for column in range(x.shape[1]):
        ends = []
        for side in (step, -step):
            moved = x.copy()
            moved[:, column] += side
            ends.append(backend.to_host(model.logits(backend.to_device(moved)))[rows, targets])
        slopes[:, column] = (ends[0] - ends[1]) / (2 * step)
    return slopes


@pytest.mark.parametrize(
    "options", [{}, {"batch_norm": True}, {"layer_norm": True, "dropout": 0.5}]
)
def test_gradient_equals_central_differences(backend64: Backend, rng: Any, options: Any) -> None:
    model = untrained([5, 7, 6, 3], backend64, scale=0.5, offset=-0.1, **options)
    x, targets = rng.standard_normal((4, 5)), np.array([2, 0, 1, 1])
    gradient = to_numpy(saliency(model, x, targets, times_input=False))
    np.testing.assert_allclose(gradient, differences(model, x, targets), atol=1e-7)
    product = to_numpy(saliency(model, x, targets, baseline=0.3))
    np.testing.assert_allclose(product, gradient * (x - 0.3), rtol=1e-12, atol=1e-14)


def test_arrays_on_a_device_stay_there(backend: Backend, rng: Any) -> None:
    if backend.name not in ("torch", "jax", "cupy"):
        pytest.skip("host arrays")
    model = untrained([5, 7, 3], backend)
    x = rng.standard_normal((4, 5)).astype(np.float32)
    on_device = saliency(model, backend.to_device(x), 1)
    assert type(on_device) is type(backend.to_device(x))
    np.testing.assert_allclose(to_numpy(on_device), saliency(model, x, 1), rtol=1e-5, atol=1e-6)


def test_default_target_is_the_predicted_class(rng: Any) -> None:
    model = untrained([5, 7, 3], anynet.get_backend("numpy", dtype="float64"))
    x = rng.standard_normal((9, 5))
    np.testing.assert_array_equal(saliency(model, x), saliency(model, x, model.predict(x)))


def test_sum_of_a_linear_model_is_the_logit_without_bias(rng: Any) -> None:
    model = untrained([5, 3], anynet.get_backend("numpy", dtype="float64"))
    x = rng.standard_normal((6, 5))
    bias = model.params[0]["bias"]
    np.testing.assert_allclose(
        saliency(model, x, 2).sum(axis=1), model.logits(x)[:, 2] - bias[2], rtol=1e-12
    )


def test_ensemble_is_the_weighted_mean_of_members(rng: Any) -> None:
    backend = anynet.get_backend("numpy", dtype="float64")
    models = [untrained([5, 7, 3], backend, seed) for seed in range(3)]
    ensemble = anynet.Ensemble(models, weights=[1, 1, 2])
    x = rng.standard_normal((6, 5))
    parts = [saliency(model, x, 1) for model in models]
    expected = (parts[0] + parts[1] + 2 * parts[2]) / 4
    np.testing.assert_allclose(saliency(ensemble, x, 1), expected, rtol=1e-12)


def test_large_inputs_are_explained_in_slices(monkeypatch: pytest.MonkeyPatch, rng: Any) -> None:
    model = untrained([5, 7, 3], anynet.get_backend("numpy"))
    x = rng.standard_normal((50, 5)).astype(np.float32)
    whole = saliency(model, x)
    module = importlib.import_module("anynet.inspect.saliency")
    monkeypatch.setattr(module, "slice_rows", lambda *_: 21)
    np.testing.assert_allclose(saliency(model, x), whole, rtol=1e-5, atol=1e-7)
    assert saliency(model, x[:0]).shape == (0, 5)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_values_and_estimators(rng: Any) -> None:
    x = rng.standard_normal((60, 4))
    y = x[:, 0] * 2
    estimator = anynet.MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=0, tol=0).fit(
        x, y
    )
    assert saliency(estimator, x).shape == (60, 4)
    network = mlp([4, 8, 2])
    backend = anynet.get_backend("numpy")
    model = Model(network, network.init(0, backend), SquaredError(), backend)
    with pytest.raises(anynet.InvalidArgumentError, match="target is needed"):
        saliency(model, x)
    assert saliency(model, x, 1).shape == (60, 4)


@pytest.mark.parametrize("target", [3, -1, 1.5, [0, 1], "a", [0, 1, 2, 7]])
def test_invalid_targets_are_refused(target: Any, rng: Any) -> None:
    model = untrained([5, 7, 3], anynet.get_backend("numpy"))
    with pytest.raises(anynet.InvalidArgumentError, match="index of an output, from 0 to 2"):
        saliency(model, rng.standard_normal((4, 5)), target)


def test_invalid_arguments_are_refused(rng: Any) -> None:
    model = untrained([5, 7, 3], anynet.get_backend("numpy"))
    x = rng.standard_normal((4, 5))
    with pytest.raises(anynet.InvalidArgumentError, match="baseline must be a number, or 5"):
        saliency(model, x, baseline=[1, 2])
    with pytest.raises(anynet.InvalidArgumentError, match="got a table"):
        saliency(model, anynet.read_table({"a": [1, 2]}))
    with pytest.raises(anynet.InvalidArgumentError, match="model must be"):
        saliency(None, x)
    with pytest.raises(anynet.InvalidArgumentError, match="5"):
        saliency(model, x[:, :3])
