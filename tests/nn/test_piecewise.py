"""Piecewise-linear encoding: the published formula, distinct quantiles, awkward columns, blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.nn import Activation, Dense, Network, PiecewiseLinear


def encoded(layer: PiecewiseLinear, train: np.ndarray, x: np.ndarray, backend: Backend) -> Any:
    state = layer.fit_state(train.shape[1], [train])
    placed = tree.map(lambda leaf: backend.to_device(leaf.astype(backend.dtype)), state)
    y, _, _ = layer.apply_with_state({}, placed, backend.to_device(x), backend=backend, key=None)
    return backend.to_host(y)


def by_the_formula(train: np.ndarray, x: np.ndarray, bins: int) -> np.ndarray:
    """Encode one column, value by value."""
    edges = sorted(set(np.quantile(train, [t / bins for t in range(bins + 1)]).tolist()))
    rows = []
    for value in x:
        row = [0.0] * bins
        for t in range(len(edges) - 1):
            component = (value - edges[t]) / (edges[t + 1] - edges[t])
            if t > 0:
                component = max(component, 0.0)
            if t < len(edges) - 2:
                component = min(component, 1.0)
            row[t] = component
        rows.append(row)
    return np.array(rows)


def awkward(rng: np.random.Generator) -> np.ndarray:
    return np.stack(
        [
            rng.standard_normal(101),
            rng.integers(0, 4, 101),  # few values: quantiles coincide
            np.arange(101) % 2,
            np.full(101, 7.25),
            np.where(np.arange(101) < 80, 0.0, rng.exponential(1e6, 101)),
            1e9 + rng.standard_normal(101),
        ],
        axis=1,
    )


def test_encoding_matches_the_published_formula(backend64: Backend, rng) -> None:
    train, new = awkward(rng), awkward(rng) * 3 - 1
    y = encoded(PiecewiseLinear(bins=8), train, new, backend64).reshape(101, 6, 8)
    for column in range(6):
        expected = by_the_formula(train[:, column], new[:, column], 8)
        np.testing.assert_allclose(y[:, column], expected, rtol=1e-9, atol=1e-9)


def test_ends_are_linear_and_duplicate_quantiles_leave_zeros(backend64: Backend) -> None:
    train = np.array([0.0, 0.0, 1.0, 1.0])[:, None]
    y = encoded(PiecewiseLinear(bins=5), train, np.array([[-2.0], [0.5], [9.0]]), backend64)
    one_bin = encoded(PiecewiseLinear(bins=1), train, np.array([[-2.0], [0.5], [9.0]]), backend64)
    np.testing.assert_allclose(one_bin, [[-2.0], [0.5], [9.0]])
    np.testing.assert_array_equal(np.isfinite(y), True)
    constant = encoded(PiecewiseLinear(bins=5), 0 * train + 3, train, backend64)
    np.testing.assert_array_equal(constant, np.zeros((4, 5)))


def test_other_columns_pass_behind_the_encoded_ones(backend64: Backend, rng) -> None:
    train = rng.standard_normal((50, 3))
    y = encoded(PiecewiseLinear(2, bins=4), train, train, backend64)
    assert y.shape == (50, 2 * 4 + 1)
    np.testing.assert_array_equal(y[:, -1], train[:, 2])
    y = encoded(PiecewiseLinear(2, bins=4, keep_input=True), train, train, backend64)
    np.testing.assert_array_equal(y[:, 8:], train)
    assert PiecewiseLinear(2, bins=4, keep_input=True).shapes(3)[1] == y.shape[1]


def test_float32_columns_have_distinct_float32_edges(backend: Backend) -> None:
    train = np.float32(1e6) + np.linspace(0, 0.5, 200, dtype=np.float32)[:, None]
    y = encoded(PiecewiseLinear(bins=48), train, train, backend)
    assert np.isfinite(y).all()
    assert y.min() >= 0
    assert y.max() <= 1


def test_state_does_not_depend_on_blocks_and_is_thinned_beyond_the_limit(rng, monkeypatch) -> None:
    x = rng.standard_normal((1000, 2)).astype(np.float32)
    layer = PiecewiseLinear(bins=4)
    whole = layer.fit_state(2, [x])
    parts = layer.fit_state(2, np.split(x, [7, 7, 500]))
    monkeypatch.setattr("anynet.nn.layers.piecewise.MOST_VALUES", 600)
    thinned, every_fourth = layer.fit_state(2, np.split(x, [7, 333])), layer.fit_state(2, [x[::4]])
    for name, array in whole.items():
        np.testing.assert_array_equal(parts[name], array)
        np.testing.assert_array_equal(thinned[name], every_fourth[name])


@pytest.mark.parametrize(("n_rows", "bins"), [(30, 4), (331, 13), (50_000, 48)])
def test_the_number_of_bins_adapts_to_the_number_of_rows(n_rows: int, bins: int) -> None:
    assert PiecewiseLinear.bins_for(n_rows) == bins


def test_a_step_function_is_learned_faster_than_from_raw_numbers(rng) -> None:
    x = rng.uniform(-1, 1, (1200, 2)).astype(np.float32)
    y = (np.floor(4 * x[:, 0]) % 2 == np.floor(3 * x[:, 1]) % 2).astype(np.int32)
    scores = []
    for first in ([], [PiecewiseLinear(bins=24)]):
        network = Network(2, (*first, Dense(32), Activation("relu"), Dense(2)))
        model = anynet.fit(network, (x, y), epochs=15, batch_size=32, backend="numpy")
        scores.append(model.score(x, y))
    assert scores[1] > scores[0] + 0.1


def test_files_and_configurations_keep_the_encoding(rng, tmp_path) -> None:
    x = awkward(rng).astype(np.float32)
    network = Network(6, (PiecewiseLinear(5, bins=6, keep_input=True), Dense(2)))
    assert Network.from_config(network.to_config()) == network
    model = anynet.fit(network, (x, np.arange(101) % 2), epochs=1, backend="numpy")
    model.save(tmp_path / "model.safetensors")
    again = anynet.load(tmp_path / "model.safetensors", "numpy")
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PiecewiseLinear(bins=0), "bins must be a whole number of at least 1, got 0"),
        (lambda: PiecewiseLinear(0), "columns must be a whole number of at least 1, got 0"),
        (lambda: PiecewiseLinear(keep_input=1), "True or False, got 1"),  # type: ignore[arg-type]
        (lambda: PiecewiseLinear(5).shapes(4), "at most the 4 inputs, got 5"),
        (lambda: PiecewiseLinear.bins_for(0), "at least 1, got 0"),
    ],
)
def test_invalid_options_raise(make, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make()
