"""Batch normalisation: values of torch, gradients, running statistics, a batch of one sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import numeric_gradient

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.nn import BatchNorm, CrossEntropy
from anynet.optim import SGD, Constant
from anynet.training.state import initial_state, kept_weights
from anynet.training.step import TrainingStep
from anynet.typing import Key

KEY = Key(np.int32(1), np.int32(0))
LAYER = BatchNorm(momentum=0.3, epsilon=1e-3)


def draw(rng: np.random.Generator, lead: tuple[int, ...] = ()) -> tuple[Any, Any]:
    """Return parameters and a state of three features."""
    params = {name: rng.standard_normal((*lead, 3)) for name in ("gain", "bias")}
    state = {"mean": rng.standard_normal((*lead, 3)), "variance": rng.uniform(0.5, 2, (*lead, 3))}
    return params, state


@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_match_finite_differences(rng, lead: tuple[int, ...], training: bool) -> None:
    backend = anynet.get_backend("numpy", dtype="float64")
    params, state = draw(rng, lead)
    x = rng.standard_normal((*lead, 5, 3))
    key = KEY if training else None
    y, pullback, _ = LAYER.apply_with_state(params, state, x, backend=backend, key=key)
    dy = rng.standard_normal(y.shape)
    grads, dx = pullback(dy)

    def scalar(given: Any, samples: np.ndarray) -> float:
        out = LAYER.apply_with_state(given, state, samples, backend=backend, key=key)[0]
        return float(np.sum(out * dy))

    np.testing.assert_allclose(dx, numeric_gradient(lambda v: scalar(params, v), x), atol=1e-7)
    for name, gradient in grads.items():
        expected = numeric_gradient(
            lambda v, name=name: scalar(params | {name: v}, x), params[name]
        )
        np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_running_statistics_are_updated_from_each_batch(backend64: Backend, rng) -> None:
    params, state = draw(rng)
    x = rng.standard_normal((6, 3)) * 2 + 1
    place = backend64.to_device
    _, _, after = LAYER.apply_with_state(
        tree.map(place, params), tree.map(place, state), place(x), backend=backend64, key=KEY
    )
    expected = {
        "mean": 0.7 * state["mean"] + 0.3 * x.mean(0),
        "variance": 0.7 * state["variance"] + 0.3 * x.var(0, ddof=1),
    }
    for name, array in expected.items():
        np.testing.assert_allclose(backend64.to_host(after[name]), array, rtol=1e-12)


@pytest.mark.parametrize(("key", "n_samples"), [(None, 6), (KEY, 1)], ids=["inference", "one"])
def test_inference_and_single_samples_use_the_running_statistics(
    backend64: Backend, rng, key: Any, n_samples
) -> None:
    params, state = draw(rng)
    x = rng.standard_normal((n_samples, 3))
    place = backend64.to_device
    y, _, after = LAYER.apply_with_state(
        tree.map(place, params), tree.map(place, state), place(x), backend=backend64, key=key
    )
    normal = (x - state["mean"]) / np.sqrt(state["variance"] + 1e-3)
    np.testing.assert_allclose(
        backend64.to_host(y), normal * params["gain"] + params["bias"], rtol=1e-12
    )
    for name, array in state.items():
        np.testing.assert_array_equal(backend64.to_host(after[name]), array)


@pytest.mark.parametrize("momentum", [0, -0.1, 1.5, float("nan")])
def test_invalid_momentum_raises(momentum: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"momentum must be .*above 0 and at most 1"):
        BatchNorm(momentum)


def test_a_hundred_steps_match_torch(backend64: Backend, rng) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    network = anynet.mlp([6, 8, 5, 3], activation="tanh", batch_norm=True)
    x, y = rng.standard_normal((320, 6)) * 3 + 1, rng.integers(3, size=320).astype(np.int32)
    order = np.concatenate([rng.permutation(320) for _ in range(10)]).reshape(100, 32)
    host = network.init_host(2)

    layers: list[Any] = []
    for layer, own in zip(network.layers, host, strict=True):
        if layer.kind == "dense":
            module = nn.Linear(*own["weight"].shape, dtype=torch.float64)
            with torch.no_grad():
                module.weight.copy_(torch.tensor(own["weight"].T))
                module.bias.copy_(torch.tensor(own["bias"]))
            layers.append(module)
        else:
            layers.append(
                nn.BatchNorm1d(len(own["gain"]), dtype=torch.float64) if own else nn.Tanh()
            )
    theirs = nn.Sequential(*layers)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9)
    with torch.enable_grad():
        for batch in order:
            wanted = torch.tensor(y[batch], dtype=torch.int64)
            loss = nn.functional.cross_entropy(theirs(torch.tensor(x[batch])), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    step = TrainingStep(network, CrossEntropy(), SGD(momentum=0.9), Constant(0.1), 10, backend64)
    state = initial_state(network, step.loss, step.optimizer, 2, backend64)
    data = tree.map(backend64.to_device, Rows(x, y))
    state = backend64.loop(step).run(state, backend64.to_device(order.astype(np.int32)), data)
    names = {
        "dense": {"weight": "weight", "bias": "bias"},
        "batch_norm": {
            "gain": "weight",
            "bias": "bias",
            "mean": "running_mean",
            "variance": "running_var",
        },
    }
    for layer, own, kept, module in zip(
        network.layers, state.params, state.states, theirs, strict=True
    ):
        for name, leaf in (own | kept).items():
            expected = getattr(module, names[layer.kind][name]).detach().numpy()
            got = backend64.to_host(leaf)
            got = got.T if name == "weight" else got
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11, err_msg=name)
    weights = kept_weights(state, network)
    logits = network.predict(weights.params, data.x, backend=backend64, states=weights.states)
    np.testing.assert_allclose(
        backend64.to_host(logits),
        theirs.eval()(torch.tensor(x)).detach().numpy(),
        rtol=1e-8,
        atol=1e-9,
    )


def test_predict_without_states_raises_for_a_network_with_state(rng) -> None:
    network = anynet.mlp([4, 3, 2], batch_norm=True)
    backend = anynet.get_backend("numpy")
    params = network.init(0, backend)
    with pytest.raises(InvalidArgumentError, match=r"layer 1 \(batch_norm\) keeps state"):
        network.predict(params, rng.standard_normal((5, 4)), backend=backend)


def test_training_without_a_key_raises(rng) -> None:
    network = anynet.mlp([4, 3, 2], dropout=0.5)
    backend = anynet.get_backend("numpy")
    with pytest.raises(TypeError, match="key"):
        network.apply(network.init(0, backend), rng.standard_normal((5, 4)), backend=backend)


def test_batch_norm_and_layer_norm_together_raise() -> None:
    with pytest.raises(InvalidArgumentError, match="layer_norm and batch_norm"):
        anynet.mlp([4, 3, 2], layer_norm=True, batch_norm=True)
