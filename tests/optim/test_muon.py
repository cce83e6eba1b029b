"""Muon: NumPy formulas in float64, singular values, populations, which weights are hidden."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.config import from_config, to_config
from anynet.nn import Activation, Dense, LayerNorm, Network
from anynet.optim import Group, Muon, bound_to
from anynet.optim.muon import orthogonalised

NETWORK = Network(3, (Dense(6), LayerNorm(), Activation("relu"), Dense(4), Dense(4), Dense(2)))
RATE, DECAY = 0.01, 0.1
GROUPS = (Group(index=3, rate=0.5, decay=2.0), Group(name="bias", rate=0.1))


def by_formula(update: np.ndarray) -> np.ndarray:
    """Return the Newton–Schulz iteration, always on X Xᵀ."""
    x = update / np.linalg.norm(update)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
    return x


def muon_step(w: Any, g: Any, m: Any, rate: float, decay: float) -> None:
    m[...] = 0.95 * m + 0.05 * g
    rows, columns = g.shape[::-1]  # those of torch: outputs and inputs
    step = by_formula(0.05 * g + 0.95 * m) * math.sqrt(max(1, rows / columns))
    w *= 1 - rate * decay
    w -= rate * step


def adamw_step(w: Any, g: Any, state: Any, t: int, rate: float, decay: float) -> None:
    m, v = state
    m[...] = 0.9 * m + 0.1 * g
    v[...] = 0.999 * v + 0.001 * g * g
    w *= 1 - rate * decay
    w -= rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def factors(index: int, name: str) -> tuple[float, float]:
    """Return the factors of the rate and of the decay in ``GROUPS``."""
    if index == 3:
        return 0.5, 2.0
    return (0.1 if name == "bias" else 1.0), float(name == "weight")


@pytest.mark.parametrize("members", [(), (2,)])
def test_updates_equal_the_formulas(backend64: Backend, members: tuple[int, ...]) -> None:
    drawn = np.random.default_rng(1)

    def draw(_: int) -> Any:
        return tree.map(
            lambda leaf: drawn.standard_normal((*members, *leaf.shape)), NETWORK.init_host(0)
        )

    host, *gradients = map(draw, range(4))
    optimizer = bound_to(NETWORK, Muon(weight_decay=DECAY, ratio=5.0, groups=GROUPS))
    assert optimizer.hidden == (0, 3, 4)
    params = tree.map(backend64.to_device, host)
    state = optimizer.init(params, backend=backend64)
    rate = backend64.to_device(np.full(members, RATE))
    expected = tree.map(np.copy, host)
    means, squares = (tree.map(np.zeros_like, host) for _ in range(2))
    for t, gradient in enumerate(gradients, start=1):
        grads = tree.map(backend64.to_device, gradient)
        params, state = optimizer.update(grads, state, params, rate, backend=backend64)
        for index, layer in enumerate(expected):
            for name, leaf in layer.items():
                of_rate, of_decay = factors(index, name)
                for member in np.ndindex(*members):
                    w, g, m, v = (
                        one[index][name][member][...]
                        for one in (expected, gradient, means, squares)
                    )
                    if index in (0, 3, 4) and name == "weight":
                        muon_step(w, g, m, 5 * RATE * of_rate, DECAY * of_decay)
                    else:
                        adamw_step(w, g, (m, v), t, RATE * of_rate, DECAY * of_decay)
                assert leaf is expected[index][name]
    for ours, theirs in zip(tree.leaves(params), tree.leaves(expected), strict=True):
        np.testing.assert_allclose(backend64.to_host(ours), theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(8, 8), (4, 32), (32, 4), (1, 5), (5, 1), (3, 2, 7)])
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_singular_values_become_about_one_and_their_vectors_stay(
    backend: Backend, shape: tuple[int, ...], scale: float
) -> None:
    matrix = np.random.default_rng(2).standard_normal(shape)
    found = backend.to_host(
        orthogonalised(backend.to_device((matrix * scale).astype(backend.dtype)), backend=backend)
    )
    for one, before in zip(
        found.reshape(-1, *shape[-2:]), matrix.reshape(-1, *shape[-2:]), strict=True
    ):
        u, s, vt = np.linalg.svd(before, full_matrices=False)
        rotated = u.T @ one @ vt.T
        large = s > 0.1 * s.max()  # five steps do not lift the smallest ones all the way
        assert np.all(np.abs(np.diag(rotated)[large] - 1) < 0.4)
        np.testing.assert_allclose(rotated, np.diag(np.diag(rotated)), atol=2e-3)


def test_a_gradient_of_zero_makes_no_step(backend: Backend) -> None:
    zeros = backend.to_device(np.zeros((2, 3, 4), dtype=backend.dtype))
    assert not np.any(backend.to_host(orthogonalised(zeros, backend=backend)))


def test_hidden_are_the_weights_of_dense_layers_except_the_last(digits) -> None:
    assert bound_to(anynet.mlp([4, 3]), Muon()).hidden == ()
    network = anynet.mlp([64, 8, 8, 10], scale=digits.scale, dropout=0.1, layer_norm=True)
    dense = [index for index, layer in enumerate(network.layers) if layer.kind == "dense"]
    assert bound_to(network, Muon()).hidden == tuple(dense[:-1])
    assert bound_to(network, Muon(hidden=(1,))).hidden == (1,)
    optimizer = bound_to(network, Muon(groups=(Group(name="bias", rate=0.1),)))
    assert optimizer.hidden == tuple(dense[:-1])
    assert from_config("optimizer", to_config(optimizer)) == optimizer


def test_an_optimizer_that_is_not_bound_to_a_network_raises() -> None:
    with pytest.raises(InvalidArgumentError, match="bound_to"):
        Muon().init(({},), backend=anynet.get_backend("numpy"))


def small(digits: anynet.Dataset) -> tuple[Any, Any]:
    return digits.train[0][:200], digits.train[1][:200]


OPTIONS: dict[str, Any] = {"epochs": 2, "learning_rate": 0.002, "backend": "numpy"}


def test_population_members_with_their_own_numbers_match_single_runs(digits) -> None:
    network = anynet.mlp([64, 12, 12, 10], scale=digits.scale)
    configs = [
        {"optimizer": Muon(ratio=5.0, weight_decay=0.1), "learning_rate": 0.001},
        {"optimizer": Muon(ratio=20.0, momentum=0.9), "weight_decay": 0.0},
        {"optimizer": Muon(), "weight_decay": anynet.optim.FlatCos(0.1)},
    ]
    for some in (configs[:2], configs[2:]):
        models = anynet.fit_population(network, small(digits), some, **OPTIONS)
        for model, config in zip(models, some, strict=True):
            alone = anynet.fit(network, small(digits), **OPTIONS | config)
            for ours, theirs in zip(
                tree.leaves(model.params), tree.leaves(alone.params), strict=True
            ):
                np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_resumed_run_equals_the_straight_run(digits, tmp_path) -> None:
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    options = OPTIONS | {"optimizer": Muon(ratio=5.0)}
    straight = anynet.fit(network, small(digits), **options | {"epochs": 3})
    anynet.fit(network, small(digits), checkpoint=tmp_path / "run", **options)
    resumed = anynet.resume(tmp_path / "run", small(digits), epochs=3)
    for ours, theirs in zip(tree.leaves(resumed.params), tree.leaves(straight.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_frozen_hidden_layers_stay_and_others_learn(digits) -> None:
    network = anynet.mlp([64, 12, 12, 10], scale=digits.scale).freeze([1])
    model = anynet.fit(network, small(digits), optimizer="muon", **OPTIONS)
    first = network.init(0, anynet.get_backend("numpy"))
    np.testing.assert_array_equal(model.params[1]["weight"], first[1]["weight"])
    assert not np.array_equal(model.params[3]["weight"], first[3]["weight"])


def test_muon_learns_faster_than_guessing_on_every_backend(backend: Backend, digits) -> None:
    network = anynet.mlp([64, 24, 24, 10], scale=digits.scale)
    options = {"optimizer": "muon", "learning_rate": 0.002, "epochs": 4, "backend": backend}
    assert anynet.fit(network, digits.train, **options).score(*digits.test) > 0.9
