"""Networks: the formulas of the report, end-to-end gradients, populations, configurations."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.nn import ACTIVATIONS, CrossEntropy, Dense, Dropout, Network, Scale
from anynet.nn.layers.dense import form_gradients
from anynet.typing import Key
from bench import report_algorithm


def test_forward_and_gradients_match_the_report(backend64: Backend, rng) -> None:
    network = anynet.mlp([6, 5, 4, 3])
    params = network.init(3, backend64)
    layers = [(layer["weight"], layer["bias"]) for layer in network.init_host(3) if layer]
    x, y = rng.standard_normal((7, 6)), rng.integers(3, size=7).astype(np.int32)
    logits, pullback, _ = network.apply(params, backend64.to_device(x), backend=backend64, key=None)
    value, dlogits = CrossEntropy()(logits, backend64.to_device(y), None, backend=backend64)
    grads, dx = pullback(dlogits)
    assert dx is None

    zs, outputs = report_algorithm.forward(layers, x)
    one_hot = np.eye(3)[y]
    assert float(backend64.to_host(value)) == pytest.approx(
        report_algorithm.loss(outputs[-1], one_hot), rel=1e-12
    )
    expected = report_algorithm.backward(layers, zs, outputs, one_hot)
    got = [layer for layer in form_gradients(grads, backend64) if layer]
    for (weight, bias), layer in zip(expected, got, strict=True):
        np.testing.assert_allclose(backend64.to_host(layer["weight"]), weight, atol=1e-13)
        np.testing.assert_allclose(backend64.to_host(layer["bias"]), bias, atol=1e-13)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_gradients_of_a_whole_network_match_finite_differences(activation: str, rng) -> None:
    backend = anynet.get_backend("numpy", dtype="float64")
    network = anynet.mlp([4, 5, 3], activation=activation, dropout=0.3, layer_norm=True, scale=0.5)
    params = network.init(1, backend)
    x, y = rng.standard_normal((6, 4)), rng.integers(3, size=6)
    key = Key(np.int32(1), np.int32(0))
    loss = CrossEntropy()

    def value(changed, x=x) -> float:
        logits, *_ = network.apply(changed, x, backend=backend, key=key)
        return float(loss(logits, y, None, backend=backend)[0])

    logits, pullback, _ = network.apply(params, x, backend=backend, key=key)
    grads, dx = pullback(loss(logits, y, None, backend=backend)[1], need_dx=True)
    grads = form_gradients(grads, backend)
    direction = tree.map(lambda leaf: rng.standard_normal(leaf.shape), params)
    slope = sum(
        float(np.sum(g * d))
        for g, d in zip(tree.leaves(grads), tree.leaves(direction), strict=True)
    )
    step = 1e-6
    ahead = value(tree.map(lambda p, d: p + step * d, params, direction))
    behind = value(tree.map(lambda p, d: p - step * d, params, direction))
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)
    shift = rng.standard_normal(x.shape)
    change = (value(params, x + step * shift) - value(params, x - step * shift)) / (2 * step)
    assert float(np.sum(dx * shift)) == pytest.approx(change, rel=1e-6)


def test_predict_equals_the_forward_pass_without_a_key(backend: Backend, rng) -> None:
    network = anynet.mlp([6, 5, 3], dropout=0.5, layer_norm=True)
    params = network.init(0, backend)
    x = backend.to_device(rng.standard_normal((4, 6)).astype(np.float32))
    np.testing.assert_array_equal(
        backend.to_host(network.predict(params, x, backend=backend)),
        backend.to_host(network.apply(params, x, backend=backend, key=None)[0]),
    )


def test_initial_weights_are_the_same_on_every_backend(backend: Backend) -> None:
    network = anynet.mlp([6, 5, 3], layer_norm=True)
    for (path, leaf), (host_path, host) in zip(
        tree.flatten(network.init(4, backend)), tree.flatten(network.init_host(4)), strict=True
    ):
        assert path == host_path
        np.testing.assert_array_equal(backend.to_host(leaf), host.astype(np.float32))


def test_initial_weights_of_population_members_match_single_runs(backend: Backend) -> None:
    network = anynet.mlp([6, 5, 3])
    together = network.init([4, 9], backend)
    for member, seed in enumerate([4, 9]):
        for stacked, single in zip(
            tree.leaves(together), tree.leaves(network.init(seed, backend)), strict=True
        ):
            np.testing.assert_array_equal(backend.to_host(stacked)[member], backend.to_host(single))


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    dropout=st.sampled_from([0.0, 0.25]),
    layer_norm=st.booleans(),
    scale=st.sampled_from([None, 1 / 255]),
    rows=st.integers(1, 5),
)
def test_any_network_has_the_documented_shapes_and_a_lossless_configuration(
    sizes, activation, dropout, layer_norm, scale, rows
) -> None:
    network = anynet.mlp(
        sizes, activation=activation, dropout=dropout, layer_norm=layer_norm, scale=scale
    )
    backend = anynet.get_backend("numpy")
    params = network.init(0, backend)
    logits = network.predict(params, np.ones((rows, sizes[0]), np.uint8), backend=backend)
    assert logits.shape == (rows, sizes[-1])
    assert logits.dtype == np.float32
    assert (network.n_inputs, network.n_outputs) == (sizes[0], sizes[-1])
    assert Network.from_config(json.loads(json.dumps(network.to_config()))) == network


@pytest.mark.parametrize("sizes", [[], [3], [3, 0], [3, -1, 2], [3, 2.5], [True, 2], "ab"])
def test_invalid_layer_sizes_raise(sizes) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="at least two positive integers"):
        anynet.mlp(sizes)


@pytest.mark.parametrize(
    "entry",
    [{"kind": "convolution"}, {}, {"kind": "dense"}, {"kind": "dropout", "shape": 3}],
)
def test_unknown_layers_in_a_configuration_raise(entry) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="unknown layer"):
        Network.from_config({"n_inputs": 2, "layers": [entry]})


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_invalid_seeds_raise(seed) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=r"seed must be .* at least 0"):
        anynet.mlp([2, 2]).init(seed, anynet.get_backend("numpy"))


def test_scaled_tanh_has_the_constants_of_lecun(backend64: Backend) -> None:
    """The constants are chosen so that the function is odd and maps ±1 to ±1."""
    network = anynet.mlp([1, 1, 1], activation="scaled_tanh")
    identity = {"weight": np.ones((1, 1)), "bias": np.zeros(1)}
    host = tuple(identity if isinstance(layer, Dense) else {} for layer in network.layers)
    params = tree.map(backend64.to_device, host)
    x = np.array([[-1.0], [0.0], [1.0], [9.0]])
    y = network.predict(params, backend64.to_device(x), backend=backend64)
    expected = [[-1.0], [0.0], [1.0], [1.7159]]
    np.testing.assert_allclose(backend64.to_host(y), expected, atol=1e-4)


def test_inputs_are_scaled_and_shifted_before_input_dropout(backend64: Backend) -> None:
    network = anynet.mlp([4, 3], scale=2 / 255, offset=-1, input_dropout=0.5)
    assert network.layers[:2] == (Scale(2 / 255, -1.0), Dropout(0.5))
    x = backend64.to_device(np.array([[0.0, 127.5, 255.0, 51.0]]))
    shifted, _ = network.layers[0].apply({}, x, backend=backend64, key=None)
    np.testing.assert_allclose(backend64.to_host(shifted), [[-1, 0, 1, -0.6]], atol=1e-15)
    assert Network.from_config(network.to_config()) == network
    with pytest.raises(InvalidArgumentError, match="dropout: rate"):
        anynet.mlp([4, 3], input_dropout=1.0)
