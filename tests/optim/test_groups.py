"""Parameter groups: updates of torch, selection of parameters, populations, invalid groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.config import from_config, to_config
from anynet.nn import Dense, LayerNorm, Network
from anynet.optim import SGD, Adam, AdamW, Group, RMSprop, bound_to

RATE = 0.05
NETWORK = Network(3, (Dense(4), LayerNorm(), Dense(2)))
GROUPS = (
    Group(index=-1, name="weight", rate=0.1, decay=2.0),
    Group(layer="dense", name="bias", rate=3.0, decay=1.0),
    Group(layer="layer_norm", rate=0.0),
)
#: Factors of the rate and the decay of each parameter in these groups.
FACTORS = {
    (0, "weight"): (1.0, 1.0),
    (0, "bias"): (3.0, 1.0),
    (1, "gain"): (0.0, 0.0),
    (1, "bias"): (0.0, 0.0),
    (2, "weight"): (0.1, 2.0),
    (2, "bias"): (3.0, 1.0),
}


def slope(leaf: Any) -> Any:
    """Return the gradient of Σ x⁴/4, which is neither constant nor linear."""
    return leaf * leaf * leaf


def host_params(seed: int = 0) -> Any:
    drawn = np.random.default_rng(seed)
    return tree.map(lambda leaf: drawn.standard_normal(leaf.shape), NETWORK.init_host(seed))


@pytest.mark.parametrize(
    ("optimizer", "name", "options"),
    [
        (SGD(momentum=0.9, weight_decay=0.1), "SGD", {"momentum": 0.9, "weight_decay": 0.1}),
        (RMSprop(weight_decay=0.1), "RMSprop", {"weight_decay": 0.1}),
        (Adam(weight_decay=0.1), "Adam", {"weight_decay": 0.1}),
        (AdamW(weight_decay=0.3), "AdamW", {"weight_decay": 0.3}),
    ],
    ids=lambda value: str(value),
)
def test_a_hundred_updates_match_torchs_parameter_groups(
    backend64: Backend, optimizer: Any, name: str, options: dict[str, Any]
) -> None:
    torch = pytest.importorskip("torch")
    host = host_params()
    tensors = {key: torch.tensor(host[key[0]][key[1]], requires_grad=True) for key in FACTORS}
    groups = [
        {
            "params": [tensors[key]],
            "lr": RATE * rate,
            "weight_decay": options["weight_decay"] * decay,
        }
        for key, (rate, decay) in FACTORS.items()
    ]
    oracle = getattr(torch.optim, name)(groups, lr=RATE, **options)
    ours = bound_to(NETWORK, replace(optimizer, groups=GROUPS))
    params = tree.map(backend64.to_device, host)
    state = ours.init(params, backend=backend64)
    rate = backend64.to_device(np.asarray(RATE))
    for _ in range(100):
        grads = tree.map(slope, params)
        params, state = ours.update(grads, state, params, rate, backend=backend64)
        for tensor in tensors.values():
            tensor.grad = slope(tensor.detach())
        oracle.step()
    for (index, leaf), tensor in tensors.items():
        np.testing.assert_allclose(
            backend64.to_host(params[index][leaf]), tensor.detach().numpy(), rtol=1e-9, atol=1e-12
        )


#: RealMLP's factors: its scale layer 6, weights 1, biases 0.1 and no decay. The layer
#: normalisation stands for its other layers with factors of their own.
REALMLP = (
    Group(layer="layer_norm", name="gain", rate=6.0, decay=6.0),
    Group(name="bias", rate=0.1, decay=0.0),
)
REALMLP_FACTORS = {"gain": (6.0, 6.0), "weight": (1.0, 1.0), "bias": (0.1, 0.0)}


@pytest.mark.parametrize("members", [(), (3,)])
def test_a_step_with_the_factors_of_realmlp_equals_its_formula(
    backend64: Backend, members: tuple[int, ...]
) -> None:
    """AdamW with β = (0.9, 0.95); the decay is multiplied by the factor twice: η f · λ f."""
    drawn = np.random.default_rng(4)
    rate, weight_decay = 0.04, 0.02
    host, gradients = (
        tree.map(lambda leaf: drawn.standard_normal((*members, *leaf.shape)), NETWORK.init_host(0))
        for _ in range(2)
    )
    optimizer = bound_to(
        NETWORK, AdamW(beta_1=0.9, beta_2=0.95, weight_decay=weight_decay, groups=REALMLP)
    )
    params, grads = (tree.map(backend64.to_device, one) for one in (host, gradients))
    state = optimizer.init(params, backend=backend64)
    expected: Any = tree.map(np.copy, host)
    mean, square = (tree.map(np.zeros_like, host) for _ in range(2))
    for update in (1, 2):
        rates = backend64.to_device(np.full(members, rate))
        params, state = optimizer.update(grads, state, params, rates, backend=backend64)
        for index, layer in enumerate(expected):
            for name, theta in layer.items():
                f, of_decay = REALMLP_FACTORS[name]
                g, m, v = gradients[index][name], mean[index][name], square[index][name]
                m[...] = 0.9 * m + 0.1 * g
                v[...] = 0.95 * v + 0.05 * g * g
                theta *= 1 - rate * f * weight_decay * of_decay
                corrected = np.sqrt(v / (1 - 0.95**update)) + 1e-8
                theta -= rate * f * m / (1 - 0.9**update) / corrected
    for ours, theirs in zip(tree.leaves(params), tree.leaves(expected), strict=True):
        np.testing.assert_allclose(backend64.to_host(ours), theirs, rtol=1e-12, atol=1e-14)


def test_optimizers_without_groups_are_returned_unchanged() -> None:
    optimizer = Adam()
    assert bound_to(NETWORK, optimizer) is optimizer


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_population_members_with_different_factors_match_single_runs(
    digits, optimizer: Any
) -> None:
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    data = digits.train[0][:200], digits.train[1][:200]
    shared: dict[str, Any] = {"epochs": 2, "learning_rate": 0.02, "backend": "numpy"}
    optimizers = [
        optimizer(weight_decay=0.1, groups=(Group(layer="dense", name="bias", rate=r, decay=d),))
        for r, d in ((0.5, 1.0), (2.0, 0.3))
    ]
    models = anynet.fit_population(
        network, data, [{"optimizer": one} for one in optimizers], **shared
    )
    for model, one in zip(models, optimizers, strict=True):
        alone = anynet.fit(network, data, optimizer=one, **shared)
        for ours, theirs in zip(tree.leaves(model.params), tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_parameters_of_a_group_with_rate_0_are_unchanged_bit_for_bit(digits) -> None:
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    data = digits.train[0][:200], digits.train[1][:200]
    frozen = SGD(momentum=0.9, weight_decay=0.1, groups=(Group(index=1, rate=0.0),))
    model = anynet.fit(network, data, optimizer=frozen, epochs=2, backend="numpy")
    first = network.init(0, anynet.get_backend("numpy"))
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(model.params[1][name], first[1][name])
        assert not np.array_equal(model.params[3][name], first[3][name])


def test_groups_are_saved_in_configurations_and_checkpoints(digits, tmp_path) -> None:
    optimizer = AdamW(groups=GROUPS)
    assert from_config("optimizer", to_config(optimizer)) == optimizer
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    data = digits.train[0][:200], digits.train[1][:200]
    options: dict[str, Any] = {
        "optimizer": AdamW(groups=(Group(layer="dense", name="bias", rate=0.1),)),
        "learning_rate": 0.01,
        "backend": "numpy",
    }
    anynet.fit(network, data, epochs=1, checkpoint=tmp_path / "run", **options)
    resumed = anynet.resume(tmp_path / "run", data, epochs=2)
    straight = anynet.fit(network, data, epochs=2, **options)
    for ours, theirs in zip(tree.leaves(resumed.params), tree.leaves(straight.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Group(rate=-1.0), "group: rate must be .* got -1.0"),
        (lambda: Group(decay=float("inf")), "group: decay must be"),
        (lambda: Group(index=1.5), "group: index must be .* got 1.5"),
        (lambda: Adam(groups=[Group()]), "adam: groups must be a tuple of Group"),
        (lambda: Adam(groups=({"rate": 0.1},)), "adam: groups must be a tuple of Group"),
        (lambda: bound_to(NETWORK, Adam(groups=(Group(name="wieght"),))), "matches no parameter"),
        (lambda: bound_to(NETWORK, Adam(groups=(Group(index=3),))), "matches no parameter"),
    ],
)
def test_invalid_groups_raise(make: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_accept_a_solver_with_groups(digits) -> None:
    x, y = digits.train[0][:200] / 16, digits.train[1][:200]
    solver = AdamW(groups=(Group(index=0, rate=0.0),))
    estimator = anynet.MLPClassifier((8,), solver=solver, max_iter=2, tol=1.0, random_state=0)
    first = anynet.MLPClassifier((8,), solver=SGD(), learning_rate_init=1e-30, max_iter=2, tol=1.0)
    estimator.fit(x, y)
    first.set_params(random_state=0).fit(x, y)
    np.testing.assert_array_equal(estimator.coefs_[0], first.coefs_[0])
    assert not np.allclose(estimator.coefs_[1], first.coefs_[1])
