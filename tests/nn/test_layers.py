"""Layers: gradients against finite differences, populations against single runs, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import numeric_gradient

from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.backends.numpy import create
from anynet.nn import (
    LAYERS,
    PBLD,
    Activation,
    BatchEnsembleDense,
    BatchNorm,
    CosineEmbedding,
    Dense,
    Dropout,
    Embedding,
    EnsembleDense,
    EnsembleInput,
    EnsembleMean,
    EnsembleScale,
    FeatureScale,
    LayerNorm,
    ParametricActivation,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
    Scale,
    Standardize,
)
from anynet.nn.layers import AnyLayer, is_stateful
from anynet.nn.layers.dense import form_gradients
from anynet.typing import Key

CASES = [
    Dense(3),
    Dense(3, ntk=True),
    Embedding((2, 3), width=3),
    EnsembleInput(2),
    EnsembleScale(2, "normal"),
    BatchEnsembleDense(3, 2),
    EnsembleDense(3, 2),
    EnsembleMean(2),
    FeatureScale(),
    ParametricActivation("tanh"),
    PBLD(3, waves=5, width=2),
    CosineEmbedding(3, width=5),
    PiecewiseLinearEmbedding(3, bins=6, width=5),
    LayerNorm(),
    BatchNorm(),
    Standardize(),
    PiecewiseLinear(columns=3, bins=6),
    PiecewiseLinear(columns=3, bins=6, keep_input=True),
    Scale(0.25),
    Scale(2.0, -1.0),
    Activation("tanh"),
    Dropout(0.4),
]
REFERENCE = create(None, "float64", "")


def make_key(backend: Backend, seeds: Any = 5) -> Key:
    return Key(
        backend.to_device(np.asarray(seeds, dtype=np.int32)),
        backend.to_device(np.asarray(2, dtype=np.int32)),
        purpose=1,
    )


def apply(layer: AnyLayer, params: Any, x: Any, *, backend: Backend, key: Key | None):
    """Apply a layer; one with state starts from its initial state."""
    if not is_stateful(layer):
        return layer.apply(params, x, backend=backend, key=key)
    state = tree.map(
        lambda leaf: backend.to_device(leaf.astype(backend.dtype)), layer.init_state(x.shape[-1])
    )
    return layer.apply_with_state(params, state, x, backend=backend, key=key)[:2]


def draw_params(layer: AnyLayer, n_in: int, lead: tuple[int, ...], rng: np.random.Generator):
    shapes, _ = layer.shapes(n_in)
    return {name: rng.standard_normal((*lead, *shape)) for name, shape in shapes.items()}


def test_every_registered_layer_has_a_case() -> None:
    assert {type(layer) for layer in CASES} == set(LAYERS.values())


@pytest.mark.parametrize("layer", CASES, ids=lambda layer: layer.kind)
@pytest.mark.parametrize("lead", [(), (2,)])
def test_pullback_matches_finite_differences(
    backend64: Backend, rng: np.random.Generator, layer: AnyLayer, lead: tuple[int, ...]
) -> None:
    x = rng.standard_normal((*lead, 6, 4))
    params = draw_params(layer, 4, lead, rng)
    seeds = list(range(lead[0])) if lead else 5
    y, pullback = apply(
        layer,
        tree.map(backend64.to_device, params),
        backend64.to_device(x),
        backend=backend64,
        key=make_key(backend64, seeds),
    )
    dy = rng.standard_normal(y.shape)
    grads, dx = pullback(backend64.to_device(dy))
    grads = form_gradients(grads, backend64)

    def scalar(name: str | None, value: np.ndarray) -> float:
        given = params if name is None else params | {name: value}
        out, _ = apply(
            layer,
            given,
            value if name is None else x,
            backend=REFERENCE,
            key=make_key(REFERENCE, seeds),
        )
        return float(np.sum(out * dy))

    expected = numeric_gradient(lambda value: scalar(None, value), x)
    np.testing.assert_allclose(backend64.to_host(dx), expected, rtol=1e-7, atol=1e-8)
    assert set(grads) == set(params)
    for name, gradient in grads.items():
        expected = numeric_gradient(lambda value, name=name: scalar(name, value), params[name])
        np.testing.assert_allclose(backend64.to_host(gradient), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("layer", CASES, ids=lambda layer: layer.kind)
def test_pullback_skips_dx_when_need_dx_is_false(
    backend: Backend, rng: np.random.Generator, layer: AnyLayer
) -> None:
    params = tree.map(
        lambda leaf: backend.to_device(leaf.astype(np.float32)), draw_params(layer, 4, (), rng)
    )
    x = backend.to_device(rng.standard_normal((6, 4)).astype(np.float32))
    y, pullback = apply(layer, params, x, backend=backend, key=make_key(backend))
    grads, dx = pullback(backend.xp.ones_like(y), need_dx=False)
    assert dx is None
    assert set(grads) == set(params)


@pytest.mark.parametrize("layer", CASES, ids=lambda layer: layer.kind)
def test_population_on_shared_inputs_matches_single_members(
    backend64: Backend, rng: np.random.Generator, layer: AnyLayer
) -> None:
    x = rng.standard_normal((6, 4))
    params = draw_params(layer, 4, (3,), rng)
    seeds = [7, 8, 9]

    def run(given: Any, keys: Any):
        y, pullback = apply(
            layer,
            tree.map(backend64.to_device, given),
            backend64.to_device(x),
            backend=backend64,
            key=make_key(backend64, keys),
        )
        return y, pullback

    together, pullback = run(params, seeds)
    dy = np.broadcast_to(rng.standard_normal((6, together.shape[-1])), together.shape).copy()
    grads = form_gradients(pullback(backend64.to_device(dy))[0], backend64)
    for member, seed in enumerate(seeds):
        alone, pullback_alone = run({k: v[member] for k, v in params.items()}, seed)
        member_of_all = backend64.to_host(together)
        member_of_all = member_of_all[member] if member_of_all.ndim == 3 else member_of_all
        np.testing.assert_allclose(member_of_all, backend64.to_host(alone), rtol=1e-13)
        grads_alone, _ = pullback_alone(backend64.to_device(dy[member] if dy.ndim == 3 else dy))
        for name, gradient in form_gradients(grads_alone, backend64).items():
            np.testing.assert_allclose(
                backend64.to_host(grads[name])[member], backend64.to_host(gradient), rtol=1e-11
            )


def test_dropout_preserves_the_mean_and_drops_the_given_fraction(backend: Backend) -> None:
    x = backend.to_device(np.ones((400, 250), dtype=np.float32))
    y, _ = Dropout(0.3).apply({}, x, backend=backend, key=make_key(backend))
    values = backend.to_host(y)
    deviation = np.sqrt(0.3 * 0.7 / values.size)
    assert abs(np.mean(values == 0) - 0.3) < 5 * deviation
    np.testing.assert_allclose(values[values > 0], 1 / 0.7, rtol=1e-4)
    assert abs(values.mean() - 1) < 5 * deviation / 0.7


def test_dropout_is_the_identity_at_inference_and_at_rate_zero(backend: Backend) -> None:
    x = backend.to_device(np.arange(6, dtype=np.float32).reshape(2, 3))
    for layer, key in [(Dropout(0.9), None), (Dropout(0.0), make_key(backend))]:
        y, pullback = layer.apply({}, x, backend=backend, key=key)
        np.testing.assert_array_equal(backend.to_host(y), backend.to_host(x))
        np.testing.assert_array_equal(backend.to_host(pullback(x)[1]), backend.to_host(x))


def test_dropout_masks_differ_between_steps_and_layers(backend: Backend) -> None:
    x = backend.to_device(np.ones((50, 50), dtype=np.float32))
    key = make_key(backend)
    later = key._replace(step=key.step + 1)
    masks = [
        backend.to_host(Dropout(0.5).apply({}, x, backend=backend, key=k)[0])
        for k in (key, key, later, key.at(2))
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    for other in masks[2:]:
        assert 0.4 < np.mean(masks[0] == other) < 0.6


def test_layer_norm_output_has_mean_zero_and_variance_one(backend64: Backend, rng) -> None:
    x = 3 + 5 * rng.standard_normal((6, 200))
    params = {"gain": backend64.to_device(np.ones(200)), "bias": backend64.to_device(np.zeros(200))}
    y = backend64.to_host(
        LayerNorm(1e-12).apply(params, backend64.to_device(x), backend=backend64, key=None)[0]
    )
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=1), 1, rtol=1e-10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0), "units must be a whole number of at least 1, got 0"),
        (lambda: Dense(2.5), "units must be a whole number of at least 1, got 2.5"),
        (lambda: Dense(2, "magic"), "initializer must be one of he_normal"),
        (lambda: Dropout(1.0), "at least 0 and below 1, got 1.0"),
        (lambda: Dropout(-0.1), "got -0.1"),
        (lambda: Dropout(float("nan")), "got nan"),
        (lambda: Activation("softplus"), "activation must be one of relu"),
    ],
)
def test_invalid_options_raise(make, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make()
