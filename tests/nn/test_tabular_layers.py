"""Layers for tables: published formulas in NumPy, initial statistics, codes of categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anynet import InvalidArgumentError, tree
from anynet.backends import Backend, get_backend
from anynet.nn import (
    PBLD,
    CosineEmbedding,
    Dense,
    Embedding,
    FeatureScale,
    ParametricActivation,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
)

HOST = get_backend("numpy", dtype="float64")


def outputs(layer: Any, params: Any, x: np.ndarray, backend: Backend = HOST) -> np.ndarray:
    placed = tree.map(backend.to_device, params)
    return backend.to_host(layer.apply(placed, backend.to_device(x), backend=backend, key=None)[0])


def drawn(layer: Any, n_in: int, rng: np.random.Generator) -> Any:
    return tree.map(
        lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape), layer.init(rng, n_in)[0]
    )


def test_pbld_matches_the_published_formula(backend64: Backend, rng) -> None:
    layer, x = PBLD(2, waves=5, width=3), rng.standard_normal((7, 3))
    p = drawn(layer, 3, rng)
    embedded = [
        np.cos(2 * np.pi * x[:, [j]] * p["frequency"][j] + p["phase"][j]) @ p["weight"][j]
        + p["bias"][j]
        for j in range(2)
    ]
    expected = np.concatenate([*embedded, x], axis=1)
    np.testing.assert_allclose(outputs(layer, p, x, backend64), expected, rtol=1e-11, atol=1e-12)


def test_pbld_starts_with_the_published_distributions(rng) -> None:
    p, n_outputs = PBLD(sigma=0.1).init(rng, 500)
    assert n_outputs == 500 * (3 + 1)
    assert p["frequency"].shape == p["phase"].shape == (500, 16)
    assert p["frequency"].std() == pytest.approx(0.1, rel=0.03)
    for name, bound in {"phase": np.pi, "weight": 0.25, "bias": 0.25}.items():
        assert np.abs(p[name]).max() <= bound
        assert p[name].std() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_cosine_embedding_matches_the_published_formula(backend64: Backend, rng) -> None:
    layer, x = CosineEmbedding(2, width=4), rng.standard_normal((7, 3))
    p = drawn(layer, 3, rng)
    columns = []
    for j in range(2):
        waves = np.cos(2 * np.pi * (x[:, [j]] * p["frequency"][j] + p["phase"][j]))
        columns.append(np.concatenate([x[:, [j]], waves], axis=1) * p["gain"][j] + p["bias"][j])
    expected = np.concatenate([*columns, x[:, 2:]], axis=1)
    np.testing.assert_allclose(outputs(layer, p, x, backend64), expected, rtol=1e-11, atol=1e-12)
    start, _ = CosineEmbedding(width=9, sigma=3.0).init(rng, 500)
    assert start["frequency"].std() == pytest.approx(3, rel=0.03)
    assert (start["gain"] == 1).all()
    assert (start["bias"] == 0).all()


def test_piecewise_linear_embedding_is_linear_at_the_start_plus_its_bins(rng) -> None:
    layer, x = PiecewiseLinearEmbedding(2, bins=4, width=3), rng.standard_normal((60, 3))
    state = layer.fit_state(3, [x])
    start, _ = layer.init(rng, 3)

    def run(params: Any) -> np.ndarray:
        return layer.apply_with_state(params, state, x, backend=HOST, key=None)[0]

    linear = [x[:, [j]] * start["weight"][j] + start["bias"][j] for j in range(2)]
    np.testing.assert_allclose(run(start), np.concatenate([*linear, x[:, 2:]], axis=1))
    bound = 3**-0.5
    assert max(np.abs(start[name]).max() for name in ("weight", "bias")) <= bound
    p = tree.map(lambda leaf: leaf + rng.standard_normal(leaf.shape), start)
    plain = PiecewiseLinear(2, bins=4)
    bins = plain.apply_with_state({}, state, x, backend=HOST, key=None)[0]
    full = [
        x[:, [j]] * p["weight"][j] + p["bias"][j] + bins[:, 4 * j : 4 * j + 4] @ p["bin_weight"][j]
        for j in range(2)
    ]
    np.testing.assert_allclose(run(p), np.concatenate([*full, x[:, 2:]], axis=1), rtol=1e-10)


def test_embedding_takes_vectors_by_code_and_zeros_for_unknown_codes(
    backend64: Backend, rng
) -> None:
    layer = Embedding((2, 3), width=4)
    weight = rng.standard_normal((5, 4))
    x = np.array([[0.5, 1, 2], [1.5, 0, -1], [2.5, 2, 0]])
    y = outputs(layer, {"weight": weight}, x, backend64)
    zero = np.zeros(4)
    expected = [
        np.concatenate([[0.5], weight[1], weight[2 + 2]]),
        np.concatenate([[1.5], weight[0], zero]),
        np.concatenate([[2.5], zero, weight[2]]),
    ]
    np.testing.assert_array_equal(y, expected)
    start, n_outputs = Embedding((400, 300)).init(rng, 3)
    assert start["weight"].shape == (700, 8)
    assert n_outputs == 1 + 2 * 8
    assert start["weight"].std() == pytest.approx(1, rel=0.05)


def test_scale_and_parametric_activation_match_their_formulas(backend64: Backend, rng) -> None:
    x, gain = rng.standard_normal((2, 9, 4))[:, :, :], rng.standard_normal((2, 4))
    params = {"gain": gain}
    np.testing.assert_allclose(outputs(FeatureScale(), params, x, backend64), x * gain[:, None])
    expected = x + gain[:, None] * (np.tanh(x) - x)
    np.testing.assert_allclose(
        outputs(ParametricActivation("tanh"), params, x, backend64), expected, rtol=1e-12
    )
    for layer in (FeatureScale(), ParametricActivation("tanh")):
        assert (layer.init(rng, 4)[0]["gain"] == 1).all()


def test_ntk_computes_the_same_function_at_the_start_from_larger_weights(rng) -> None:
    x = rng.standard_normal((5, 50))
    params = [
        Dense(3, "lecun_normal", ntk=ntk).init(np.random.default_rng(1), 50)[0]
        for ntk in (False, True)
    ]
    np.testing.assert_allclose(params[1]["weight"], params[0]["weight"] * 50**0.5)
    plain = outputs(Dense(3), params[0], x)
    np.testing.assert_allclose(outputs(Dense(3, ntk=True), params[1], x), plain, rtol=1e-12)
    np.testing.assert_allclose(plain, x @ params[1]["weight"] / 50**0.5, rtol=1e-12)
    wide, _ = Dense(400, "lecun_normal", "standard_normal", ntk=True).init(rng, 300)
    assert wide["weight"].std() == pytest.approx(1, rel=0.02)
    assert wide["bias"].std() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PBLD(0), "columns must be a whole number of at least 1, got 0"),
        (lambda: PBLD(waves=0), "waves must be a whole number of at least 1, got 0"),
        (lambda: PBLD(sigma=-1.0), "sigma must be .* got -1.0"),
        (lambda: PBLD(5).shapes(4), "at most the 4 inputs, got 5"),
        (lambda: CosineEmbedding(width=1), "width must be a whole number of at least 2, got 1"),
        (lambda: PiecewiseLinearEmbedding(width=0), "width .* got 0"),
        (lambda: Embedding(()), r"levels must be a tuple such as .*got \(\)"),
        (lambda: Embedding((3, 0)), "at least 1, got 0"),
        (lambda: Embedding((3, 3)).shapes(1), "2 columns, and there are 1 inputs"),
        (lambda: ParametricActivation("magic"), "activation must be one of relu"),
        (lambda: Dense(2, bias_initializer="ones"), "bias_initializer must be one of zeros"),
        (lambda: Dense(2, ntk=1), "True or False, got 1"),  # type: ignore[arg-type]
    ],
)
def test_invalid_options_raise(make, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make()
