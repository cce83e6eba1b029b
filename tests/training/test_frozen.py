"""Frozen layers: they stay bitwise equal, and the other layers train as usual."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.nn import CrossEntropy, Network, ParameterFree
from anynet.nn.layers.dense import ProductGradient
from anynet.optim import SGD, AdamW, Constant
from anynet.training.resolve import with_dropout
from anynet.training.state import initial_state, kept_weights
from anynet.training.step import TrainingStep
from anynet.typing import Key

# two blocks of dense, norm, relu; then dense
LAYERS = anynet.mlp([6, 5, 4, 3], batch_norm=True).layers
FROZEN = (0, 1, 3)


class Refusing(ParameterFree):
    """The identity; fails if its pullback is called."""

    kind = "refusing"

    def apply(self, params: Any, x: Any, **_: Any) -> Any:  # noqa: ARG002
        def pullback(dy: Any, need_dx: bool = True) -> Any:  # noqa: ARG001
            raise AssertionError

        return x, pullback


def network(frozen: tuple[int, ...] = FROZEN) -> Network:
    return Network(6, LAYERS, frozen)


def steps(backend: Backend, seed: Any, net: Network, n_steps: int = 3, **options: Any):
    """Return the state before and after some steps on fixed data, on the host."""
    rng = np.random.default_rng(0)
    data = Rows(rng.standard_normal((40, 6)), rng.integers(3, size=40).astype(np.int32))
    arguments = {"loss": CrossEntropy(), "optimizer": SGD(), "schedule": Constant(0.1)} | options
    step = TrainingStep(net, steps_per_epoch=4, backend=backend, **arguments)
    state = initial_state(
        net, step.loss, step.optimizer, seed, backend, average=step.average is not None
    )
    before = tree.map(lambda leaf: np.array(backend.to_host(leaf)), kept_weights(state, net))
    order = backend.to_device(np.arange(10 * n_steps, dtype=np.int32).reshape(n_steps, 10))
    state = backend.loop(step).run(state, order, tree.map(backend.to_device, data))
    return before, tree.map(lambda leaf: np.array(backend.to_host(leaf)), kept_weights(state, net))


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": SGD(momentum=0.9, nesterov=True, weight_decay=0.1)},
        {"optimizer": AdamW(weight_decay=0.1), "average": 0.9, "clip_norm": 0.1},
        {"optimizer": SGD(weight_decay=0.1, decoupled=True), "max_norm": 0.01},
        {"adversarial": 1.0, "average": 0.5},
    ],
    ids=["momentum", "averaged AdamW", "max norm", "adversarial"],
)
@pytest.mark.parametrize("seed", [3, (3, 4)], ids=["one", "population"])
def test_frozen_layers_stay_bitwise_equal(backend64: Backend, options: Any, seed: Any) -> None:
    before, after = steps(backend64, seed, network(), **options)
    for index in range(len(LAYERS)):
        pairs = zip(
            tree.leaves((before.params[index], before.states[index])),
            tree.leaves((after.params[index], after.states[index])),
            strict=True,
        )
        same = [np.array_equal(old, new) for old, new in pairs]
        assert all(same) if index in FROZEN else not any(same)


def test_freezing_does_not_change_the_first_update_of_the_other_layers(backend64: Backend) -> None:
    net = Network(6, anynet.mlp([6, 5, 4, 3], layer_norm=True).layers)
    _, whole = steps(backend64, 3, net, 1)
    _, part = steps(backend64, 3, replace(net, frozen=FROZEN), 1)
    for index in set(range(len(net.layers))) - set(FROZEN):
        for ours, theirs in zip(
            tree.leaves(part.params[index]), tree.leaves(whole.params[index]), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_gradients_of_frozen_weights_are_not_computed(monkeypatch) -> None:
    formed = []
    for name in ("form", "add_to"):
        original = getattr(ProductGradient, name)

        def counted(self: Any, *args: Any, original: Any = original) -> Any:
            formed.append((self.x.shape[-1], self.dy.shape[-1]))
            return original(self, *args)

        monkeypatch.setattr(ProductGradient, name, counted)
    backend = anynet.get_backend("numpy", dtype="float64")
    steps(backend, 3, network(), optimizer=SGD(momentum=0.9), clip_norm=1.0)
    assert set(formed) == {(4, 3)}


def test_the_backward_pass_stops_at_the_first_trained_layer() -> None:
    backend = anynet.get_backend("numpy", dtype="float64")
    net = Network(6, (Refusing(), *LAYERS), (0, 1, 2))
    params, states = net.init(0, backend), net.init_states()
    x = np.random.default_rng(0).standard_normal((5, 6))
    logits, pullback, _ = net.apply(params, x, backend=backend, key=None, states=states)
    grads, dx = pullback(np.ones_like(logits))
    assert dx is None
    assert [sorted(own) for own in grads[:4]] == [[], [], [], []]
    assert all(grads[at] for at in (4, 5, 7))


def test_fit_and_populations_keep_frozen_layers(digits: anynet.Dataset) -> None:
    net = anynet.mlp([64, 16, 10], scale=digits.scale).freeze([1])
    data = (digits.train[0][:200], digits.train[1][:200])
    options: dict[str, Any] = {"epochs": 2, "backend": "numpy", "average": 0.9}
    models = anynet.fit_population(net, data, [{"seed": 1}, {"seed": 2, "dropout": 0.1}], **options)
    models.append(anynet.fit(net, data, seed=3, **options))
    for seed, model in zip((1, 2, 3), models, strict=True):
        start = net.init(seed, model.backend)
        for name, leaf in start[1].items():
            np.testing.assert_array_equal(model.params[1][name], leaf)
        assert not np.array_equal(model.params[-1]["weight"], start[-1]["weight"])


def test_inserting_dropout_layers_shifts_the_frozen_indices() -> None:
    changed = with_dropout(network((0, 3, 6)).freeze([0, 3]), 0.5)
    assert [changed.layers[at].kind for at in changed.frozen] == ["dense", "dense"]
    assert [changed.layers[at].units for at in changed.frozen] == [5, 4]


def test_frozen_layers_compute_as_at_inference(rng) -> None:
    backend = anynet.get_backend("numpy")
    net = anynet.mlp([6, 5, 3], dropout=0.5).freeze([0, 1, 2])
    params = net.init(0, backend)
    x = rng.standard_normal((5, 6))
    key = Key(np.int32(1), np.int32(0))
    trained = net.apply(params, x, backend=backend, key=key)[0]
    np.testing.assert_array_equal(trained, net.predict(params, x, backend=backend))


@pytest.mark.parametrize(
    ("layers", "message"),
    [([7], "got 7"), ([-8], "got -8"), ([1.5], r"got 1\.5"), ([0, 1, 3, 4, 6], "must be trained")],
)
def test_invalid_indices_to_freeze_raise(layers: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        network(()).freeze(layers)


@pytest.mark.parametrize("frozen", [[1, 0], [9], ["0"], 3])
def test_an_invalid_frozen_entry_in_a_configuration_raises(frozen: Any) -> None:
    config = network(()).to_config() | {"frozen": frozen}
    with pytest.raises(InvalidArgumentError, match="frozen must"):
        Network.from_config(config)
