"""Optimizers: updates match torch in float64 on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.optim import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Muon,
    RMSprop,
    clip_by_global_norm,
    update_average,
)

RATE = 0.05
CASES = [
    (SGD(), "SGD", {}),
    (SGD(momentum=0.9), "SGD", {"momentum": 0.9}),
    (SGD(momentum=0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
    (SGD(weight_decay=0.1), "SGD", {"weight_decay": 0.1}),
    (SGD(momentum=0.8, weight_decay=0.1), "SGD", {"momentum": 0.8, "weight_decay": 0.1}),
    (RMSprop(), "RMSprop", {}),
    (RMSprop(rho=0.9, weight_decay=0.1), "RMSprop", {"alpha": 0.9, "weight_decay": 0.1}),
    (Adam(), "Adam", {}),
    (Adam(beta_1=0.0, beta_2=0.9), "Adam", {"betas": (0.0, 0.9)}),
    (Adam(weight_decay=0.1), "Adam", {"weight_decay": 0.1}),
    (AdamW(), "AdamW", {}),
    (AdamW(weight_decay=0.3), "AdamW", {"weight_decay": 0.3}),
]


def test_every_registered_optimizer_has_a_case() -> None:
    assert {type(case[0]) for case in CASES} == set(OPTIMIZERS.values()) - {Muon}  # test_muon.py


def start(rng: np.random.Generator):
    return ({"weight": rng.standard_normal((3, 2)), "bias": rng.standard_normal(2)}, {})


def slope(leaf):
    """Return the gradient of Σ x⁴/4, which is neither constant nor linear."""
    return leaf * leaf * leaf


@pytest.mark.parametrize(("optimizer", "name", "options"), CASES, ids=lambda value: str(value))
def test_trajectories_match_torch(
    backend64: Backend, rng: np.random.Generator, optimizer, name, options
) -> None:
    torch = pytest.importorskip("torch")
    host = start(rng)
    weight, bias = (torch.tensor(host[0][key], requires_grad=True) for key in ("weight", "bias"))
    decay = options.get("weight_decay", 0.01 if name == "AdamW" else 0.0)
    groups = [{"params": [weight], "weight_decay": decay}, {"params": [bias], "weight_decay": 0.0}]
    oracle = getattr(torch.optim, name)(groups, lr=RATE, **options)

    params = tree.map(backend64.to_device, host)
    state = optimizer.init(params, backend=backend64)
    rate = backend64.to_device(np.asarray(RATE))
    for _ in range(20):
        grads = tree.map(slope, params)
        params, state = optimizer.update(grads, state, params, rate, backend=backend64)
        weight.grad, bias.grad = slope(weight.detach()), slope(bias.detach())
        oracle.step()
    for ours, theirs in ((params[0]["weight"], weight), (params[0]["bias"], bias)):
        expected = theirs.detach().numpy()
        np.testing.assert_allclose(backend64.to_host(ours), expected, rtol=1e-11, atol=1e-13)


def test_decoupled_decay_with_momentum_shrinks_the_weights_but_not_the_velocity(
    backend64: Backend,
) -> None:
    optimizer = SGD(momentum=0.9, weight_decay=0.5, decoupled=True)
    params = ({"weight": backend64.to_device(np.full((1, 1), 2.0))},)
    zero = ({"weight": backend64.to_device(np.zeros((1, 1)))},)
    state = optimizer.init(params, backend=backend64)
    rate = backend64.to_device(np.asarray(0.1))
    for _ in range(3):
        params, state = optimizer.update(zero, state, params, rate, backend=backend64)
    weight = backend64.to_host(params[0]["weight"])
    assert weight.item() == pytest.approx(2.0 * 0.95**3, rel=1e-14)
    assert backend64.to_host(state.velocity[0]["weight"]).item() == 0


def test_the_first_update_of_adam_in_float32_has_the_exact_size(backend: Backend) -> None:
    """The first update is −η · sign(g), so the bias corrections must not lose digits."""
    params = ({"weight": backend.to_device(np.zeros((1, 1), dtype=np.float32))},)
    grads = ({"weight": backend.to_device(np.full((1, 1), 3.0, dtype=np.float32))},)
    optimizer = Adam()
    rate = backend.to_device(np.asarray(1.0, dtype=np.float32))
    params, _ = optimizer.update(
        grads, optimizer.init(params, backend=backend), params, rate, backend=backend
    )
    assert backend.to_host(params[0]["weight"]).item() == pytest.approx(-1.0, rel=1e-6)


@pytest.mark.parametrize("optimizer", [case[0] for case in CASES], ids=str)
def test_population_members_with_different_rates_match_single_runs(
    backend64: Backend, rng: np.random.Generator, optimizer
) -> None:
    members = [start(rng) for _ in range(3)]
    rates = np.array([0.01, 0.1, 0.3])

    def run(host, rate):
        params = tree.map(backend64.to_device, host)
        state = optimizer.init(params, backend=backend64)
        for _ in range(5):
            grads = tree.map(slope, params)
            params, state = optimizer.update(
                grads, state, params, backend64.to_device(rate), backend=backend64
            )
        return tree.map(backend64.to_host, params)

    together = run(tree.map(lambda *leaves: np.stack(leaves), *members), rates)
    for member, host in enumerate(members):
        alone = run(host, rates[member : member + 1].reshape(()))
        for key in ("weight", "bias"):
            np.testing.assert_allclose(together[0][key][member], alone[0][key], rtol=1e-13)


def test_clipping_matches_torch(backend64: Backend, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for max_norm in (0.5, 100.0):
        host = start(rng)
        tensors = [torch.zeros(leaf.shape, dtype=torch.float64) for leaf in tree.leaves(host)]
        for tensor, leaf in zip(tensors, tree.leaves(host), strict=True):
            tensor.grad = torch.from_numpy(leaf.copy())
        torch.nn.utils.clip_grad_norm_(tensors, max_norm)
        clipped = clip_by_global_norm(
            tree.map(backend64.to_device, host), max_norm, 0, backend=backend64
        )
        for ours, theirs in zip(tree.leaves(clipped), tensors, strict=True):
            np.testing.assert_allclose(backend64.to_host(ours), theirs.grad.numpy(), rtol=1e-12)


def test_population_members_are_clipped_independently(backend64: Backend) -> None:
    grads = ({"weight": backend64.to_device(np.array([[[3.0, 4.0]], [[0.3, 0.4]]]))},)
    clipped = clip_by_global_norm(grads, 1.0, 1, backend=backend64)
    got = backend64.to_host(clipped[0]["weight"])
    np.testing.assert_allclose(got, [[[0.6, 0.8]], [[0.3, 0.4]]], rtol=1e-6)


def test_weight_average_follows_the_recurrence_with_a_warm_start(backend64: Backend) -> None:
    average = ({"weight": backend64.to_device(np.array([5.0]))},)
    expected = 5.0
    for step in range(200):
        params = ({"weight": backend64.to_device(np.array([float(step)]))},)
        time = backend64.to_device(np.asarray(step, dtype=np.int32))
        average = update_average(average, params, 0.9, time, backend=backend64)
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
    assert backend64.to_host(average[0]["weight"]).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(momentum=1.0), "sgd: momentum must be .*below 1, got 1.0"),
        (lambda: SGD(momentum=-0.1), "momentum"),
        (lambda: SGD(nesterov=True), "nesterov needs a momentum above 0"),
        (lambda: SGD(weight_decay=-1), "sgd: weight_decay must be a finite number of at least 0"),
        (lambda: Adam(beta_2=1.0), "beta_2"),
        (lambda: Adam(epsilon=float("nan")), "epsilon"),
        (lambda: RMSprop(rho=2), "rho"),
    ],
)
def test_invalid_options_raise(make, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make()


def test_subclasses_that_use_gradient_arrays_receive_arrays_instead_of_products(digits) -> None:
    """A subclass of SGD may compute with its gradients as arrays."""
    seen: list[bool] = []

    class Observed(SGD):
        def update(self, grads, state, params, rate, *, backend):
            seen.append(all(hasattr(leaf, "shape") for leaf in tree.leaves(grads)))
            return super().update(grads, state, params, rate, backend=backend)

    network = anynet.mlp([64, 4, 10], scale=digits.scale)
    data = digits.train[0][:100], digits.train[1][:100]
    anynet.fit(network, data, optimizer=Observed(), epochs=1, backend="numpy")
    assert seen
    assert all(seen)
