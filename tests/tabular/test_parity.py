"""The published recipes against plain NumPy formulas in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.nn.layers import Dropout
from anynet.optim import FlatCos
from anynet.tabular import Problem, RealMLP, RealMLPS, TabM, TabMMini
from anynet.tabular.tabm import batch_size_for

N, STEPS, SEED = 40, 4, 3
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(N, 3))
ONE_HOT = np.eye(4)[RNG.integers(0, 4, N)]
CODES = RNG.integers(0, 11, (N, 1)).astype(float)
CLASSES = RNG.integers(0, 3, N)
VALUES = NUMBERS[:, 0] + np.sin(NUMBERS[:, 1])
TASKS = ["classes", "values"]

Leaves = list[np.ndarray]


def problem_of(task: str, *, codes: bool) -> Problem:
    n_outputs = 3 if task == "classes" else 1
    levels = (11,) if codes else ()
    return Problem(task, N, 7 + len(levels), 3, levels, n_outputs, SEED, (4,))


def initial(network: Any, x: np.ndarray) -> tuple[dict[str, np.ndarray], ...]:
    """Return the initial parameters of a run."""
    states = network.init_states()
    if states:
        states = (network.layers[0].fit_state(network.n_inputs, [x]), *states[1:])
    made: tuple[dict[str, np.ndarray], ...] = network.init_host(SEED, x, states)
    return made


def trained(plan: Any, x: np.ndarray, y: np.ndarray) -> tuple[dict[str, np.ndarray], ...]:
    """Return the parameters after some updates, each on all rows."""
    options = {**plan.options, "scoring": None, "patience": None, "epochs": STEPS, "batch_size": N}
    backend = anynet.get_backend("numpy", dtype="float64")
    loss = "cross_entropy" if y is CLASSES else "squared_error"
    model = anynet.fit(plan.network, (x, y), backend=backend, seed=SEED, loss=loss, **options)
    return tuple(model.params)


def gradient(loss: Callable[[Leaves], Any], leaves: Leaves) -> Leaves:
    """Return the gradient of an analytic function, by the imaginary part of complex steps."""
    gradients = [np.zeros_like(leaf) for leaf in leaves]
    for at, leaf in enumerate(leaves):
        for index in np.ndindex(leaf.shape):
            moved = leaf.astype(complex)
            moved[index] += 1e-30j
            gradients[at][index] = loss([*leaves[:at], moved, *leaves[at + 1 :]]).imag / 1e-30
    return gradients


def selu(z: np.ndarray) -> np.ndarray:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return np.where(z.real > 0, scale * z, scale * alpha * (np.exp(z) - 1))


def mish(z: np.ndarray) -> np.ndarray:
    return z * np.tanh(np.log(1 + np.exp(z)))


def relu(z: np.ndarray) -> np.ndarray:
    return np.where(z.real > 0, z, 0)


def mean_loss(task: str, outputs: np.ndarray, smoothing: float) -> Any:
    """Return the mean cross-entropy, or the mean squared error, of outputs (…, N, O)."""
    if task == "values":
        return np.mean((outputs[..., 0] - VALUES) ** 2)
    shifted = outputs - outputs.real.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    target = (1 - smoothing) * np.eye(3)[CLASSES] + smoothing / 3
    return np.mean(-(target * logs).sum(axis=-1))


def descend(
    loss: Callable[[Leaves], Any],
    leaves: Leaves,
    factors: list[tuple[float, float]],
    rate: Callable[[float], float],
    decay: Callable[[float], float],
    *,
    beta_2: float,
    clip: float = np.inf,
) -> Leaves:
    """Return the parameters after updates by Adam with decoupled decay; rate and decay are of t."""
    mean, square = ([np.zeros_like(leaf) for leaf in leaves] for _ in range(2))
    for step in range(STEPS):
        eta, weight_decay = rate(step / STEPS), decay(step / STEPS)
        gradients = gradient(loss, leaves)
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        for at, (of_rate, of_decay) in enumerate(factors):
            g = gradients[at] * min(1.0, clip / (norm + 1e-6))
            mean[at] = 0.9 * mean[at] + 0.1 * g
            square[at] = beta_2 * square[at] + (1 - beta_2) * g**2
            m = mean[at] / (1 - 0.9 ** (step + 1))
            v = square[at] / (1 - beta_2 ** (step + 1))
            p = leaves[at] * (1 - eta * of_rate * weight_decay * of_decay)
            leaves[at] = p - eta * of_rate * m / (np.sqrt(v) + 1e-8)
    return leaves


def coslog4(t: float) -> float:
    return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))


def flat_cos(t: float) -> float:
    return 1.0 if t < 0.5 else 0.5 * (1 + np.cos(np.pi * (2 * t - 1)))


def check(found: Any, expected: Leaves, names: list[tuple[int, str]]) -> None:
    for leaf, (layer, name) in zip(expected, names, strict=True):
        np.testing.assert_allclose(found[layer][name], leaf, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("task", TASKS)
def test_realmlp_s_is_the_published_network_and_update(task: str) -> None:
    x, y = np.hstack([NUMBERS, ONE_HOT]), CLASSES if task == "classes" else VALUES
    plan = RealMLPS(width=5).plan(problem_of(task, codes=False))
    names = [(0, "gain")]
    for layer in (1, 3, 5, 7):
        names += [(layer, "weight"), (layer, "bias")]

    def loss(leaves: Leaves) -> Any:
        h = x * leaves[0]
        for weight, bias in zip(leaves[1:7:2], leaves[2:7:2], strict=True):
            z = h @ weight / np.sqrt(h.shape[1]) + bias
            h = selu(z) if task == "classes" else mish(z)
        return mean_loss(task, h @ leaves[7] / np.sqrt(5) + leaves[8], 0.1)

    start = initial(plan.network, x)
    leaves = [start[layer][name] for layer, name in names]
    factors = [(6.0, 0.0), *[(1.0, 0.0), (0.1, 0.0)] * 4]
    base = 0.04 if task == "classes" else 0.07
    expected = descend(
        loss, leaves, factors, lambda t: base * coslog4(t), lambda _: 0.0, beta_2=0.95
    )
    check(trained(plan, x, y), expected, names)


@pytest.mark.parametrize("task", TASKS)
def test_realmlp_is_the_published_network_and_update(task: str) -> None:
    x, y = np.hstack([NUMBERS, ONE_HOT, CODES]), CLASSES if task == "classes" else VALUES
    plan = RealMLP(width=5, dropout=0).plan(problem_of(task, codes=True))
    names = [(0, name) for name in ("frequency", "phase", "weight", "bias")]
    names += [(1, "weight"), (2, "gain")]
    for layer in (3, 5, 7):
        names += [(layer, "weight"), (layer, "bias"), (layer + 1, "gain")]
    names += [(9, "weight"), (9, "bias")]

    def loss(leaves: Leaves) -> Any:
        frequency, phase, weight, bias, table, scale = leaves[:6]
        columns = [
            np.cos(2 * np.pi * NUMBERS[:, [c]] * frequency[c] + phase[c]) @ weight[c] + bias[c]
            for c in range(3)
        ]
        vectors = table[CODES[:, 0].astype(int)]
        h = np.hstack([*columns, NUMBERS, ONE_HOT, vectors]) * scale
        for layer in range(6, 15, 3):
            weight, bias, share = leaves[layer : layer + 3]
            z = h @ weight / np.sqrt(h.shape[1]) + bias
            h = z + share * ((selu(z) if task == "classes" else mish(z)) - z)
        return mean_loss(task, h @ leaves[15] / np.sqrt(5) + leaves[16], 0.1)

    start = initial(plan.network, x)
    leaves = [start[layer][name] for layer, name in names]
    block = [(1.0, 1.0), (0.1, 0.0), (0.1, 0.1)]
    factors = [*[(0.1, 0.1)] * 4, (1.0, 1.0), (6.0, 6.0), *block * 3, (1.0, 1.0), (0.1, 0.0)]
    base = 0.04 if task == "classes" else 0.2
    expected = descend(
        loss,
        leaves,
        factors,
        lambda t: base * coslog4(t),
        lambda t: 0.02 * flat_cos(t),
        beta_2=0.95,
    )
    check(trained(plan, x, y), expected, names)


def test_realmlp_drops_units_after_each_activation_and_less_in_the_second_half() -> None:
    plan = RealMLP().plan(problem_of("classes", codes=True))
    kinds = [layer.kind for layer in plan.network.layers]
    block = ["dense", "parametric_activation", "dropout"]
    assert kinds == ["pbld", "embedding", "feature_scale", *block * 3, "dense"]
    assert plan.options["dropout"] == FlatCos(0.15)
    assert plan.options["batch_size"] == N
    assert plan.options["drop_last"]
    assert (plan.options["scoring"], plan.options["ties"]) == ("accuracy", "last")
    assert (plan.options["epochs"], plan.options["patience"]) == (256, None)


def test_initial_weights_of_realmlp_s_are_standard_normal_and_the_last_ones_zero() -> None:
    problem = problem_of("classes", codes=False)
    start = initial(RealMLPS().plan(problem).network, np.hstack([NUMBERS, ONE_HOT]))
    assert np.all(start[0]["gain"] == 1)
    for layer in (1, 3, 5):
        for values in start[layer].values():
            assert np.std(values) == pytest.approx(1, abs=0.1)
            assert np.mean(values) == pytest.approx(0, abs=0.2)
    assert not np.any(start[7]["weight"])
    assert not np.any(start[7]["bias"])


def test_initial_weights_of_realmlp_fit_the_rows() -> None:
    x = np.hstack([NUMBERS, ONE_HOT, CODES])
    network = RealMLP().plan(problem_of("classes", codes=True)).network
    start = initial(network, x)
    assert np.std(start[0]["frequency"]) == pytest.approx(0.1, rel=0.3)
    assert 2.8 < np.max(np.abs(start[0]["phase"])) < np.pi
    for name in ("weight", "bias"):
        assert 0.1 < np.max(np.abs(start[0][name])) < 0.25
    assert np.std(start[1]["weight"]) == pytest.approx(1, abs=0.2)
    backend = anynet.get_backend("numpy", dtype="float64")
    h: Any = x
    for index, layer in enumerate(network.layers):
        if layer.kind == "dense":
            z = h @ start[index]["weight"] / np.sqrt(h.shape[1])
            np.testing.assert_allclose(np.std(z, axis=0), 1)
            kinks = -start[index]["bias"]
            assert np.all((z.min(axis=0) < kinks) & (kinks < z.max(axis=0)))
            if index + 1 < len(network.layers):
                # The sum of squares of 5 uniform shares of 1 is 1/3 on average.
                spread = np.std(kinks - z.mean(axis=0))
                assert spread == pytest.approx(3**-0.5, rel=0.15)
        h, _ = layer.apply(start[index], h, backend=backend, key=None)


def encoded(x: np.ndarray, bins: int) -> np.ndarray:
    """Return the piecewise-linear encoding (N, C, K) between the quantiles of x."""
    columns = []
    for column in x.T:
        edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)))
        z = (column[:, None] - edges[:-1]) / np.diff(edges)
        low = np.array([-np.inf, *[0.0] * (bins - 1)])
        columns.append(np.clip(z, low, [*[1.0] * (bins - 1), np.inf]))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", [TabM, TabMMini])
def test_tabm_is_the_published_network_and_update(kind: Any, task: str) -> None:
    x, y = np.hstack([NUMBERS, ONE_HOT]), CLASSES if task == "classes" else VALUES
    preset = kind(n_members=3, width=4, bins=5, embedding_width=2, dropout=0)
    plan = preset.plan(problem_of(task, codes=False))
    layers = plan.network.layers
    bins = encoded(NUMBERS, 5)
    names = [(0, name) for name in ("weight", "bias", "bin_weight")]
    hidden = [at for at, each in enumerate(layers) if each.kind.endswith("dense")]
    scale = [at for at, each in enumerate(layers) if each.kind == "ensemble_scale"]
    names += [(at, "gain") for at in scale]
    of_hidden = (
        ("input_gain", "weight", "output_gain", "bias") if kind is TabM else ("weight", "bias")
    )
    names += [(at, name) for at in hidden[:2] for name in of_hidden]
    names += [(hidden[2], "weight"), (hidden[2], "bias")]

    def loss(leaves: Leaves) -> Any:
        of = dict(zip(names, leaves, strict=True))
        linear = NUMBERS[:, :, None] * of[0, "weight"] + of[0, "bias"]
        embedded = linear + np.einsum("nck,ckd->ncd", bins, of[0, "bin_weight"])
        inputs = np.hstack([embedded.reshape(N, -1), ONE_HOT])
        outputs = []
        for k in range(3):
            h = inputs * of[scale[0], "gain"][k] if scale else inputs
            for at in hidden[:2]:
                if kind is TabM:
                    product = (h * of[at, "input_gain"][k]) @ of[at, "weight"]
                    h = relu(product * of[at, "output_gain"][k] + of[at, "bias"][k])
                else:
                    h = relu(h @ of[at, "weight"] + of[at, "bias"])
            outputs.append(h @ of[hidden[2], "weight"][k] + of[hidden[2], "bias"][k])
        return mean_loss(task, np.stack(outputs), 0.0)

    start = initial(plan.network, x)
    leaves = [start[layer][name] for layer, name in names]
    constant = {(0, "weight"), *[(layer, name) for layer, name in names if name == "bias"]}
    factors = [(1.0, float(place not in constant)) for place in names]
    expected = descend(
        loss, leaves, factors, lambda _: 2e-3, lambda _: 3e-4, beta_2=0.999, clip=1.0
    )
    check(trained(plan, x, y), expected, names)


def test_initial_weights_of_tabm_differ_between_members_by_one_factor_of_a_column() -> None:
    x = np.hstack([NUMBERS, ONE_HOT])
    problem = problem_of("classes", codes=False)
    network = TabM().plan(problem).network
    start = initial(network, x)
    dense = [at for at, each in enumerate(network.layers) if each.kind == "batch_ensemble_dense"]
    assert len(dense) == 2
    gains = start[dense[0]]["input_gain"]
    parts = np.split(gains, [16, 32, 48], axis=1)
    assert [part.shape for part in parts] == [(32, 16)] * 3 + [(32, 4)]
    assert all(np.all(part == part[:, :1]) for part in parts)
    assert np.std([part[:, 0] for part in parts]) == pytest.approx(1, abs=0.2)
    assert np.all(start[dense[1]]["input_gain"] == 1)
    for at in dense:
        assert np.all(start[at]["output_gain"] == 1)
        weight, bias = start[at]["weight"], start[at]["bias"]
        bound = len(weight) ** -0.5
        assert 0.99 * bound < np.max(np.abs(weight)) < bound
        assert np.std(weight) == pytest.approx(bound / 3**0.5, rel=0.02)
        assert np.all(bias == bias[0])
        assert 0.9 * bound < np.max(np.abs(bias)) < bound
    heads = start[-2]["weight"]
    assert heads.shape == (32, 512, 3)
    assert 0.99 * 512**-0.5 < np.max(np.abs(heads)) < 512**-0.5
    assert not np.allclose(heads[0], heads[1])
    embedding = start[0]
    assert not np.any(embedding["bin_weight"])
    assert 0.2 < np.max(np.abs(embedding["weight"])) < 0.25


@pytest.mark.parametrize("kind", [TabM, TabMMini])
def test_tabm_without_numbers_has_signs_and_three_blocks(kind: Any) -> None:
    problem = problem_of("classes", codes=False)._replace(n_inputs=4, n_numbers=0)
    network = kind().plan(problem).network
    start = initial(network, ONE_HOT)
    first = 2 if kind is TabMMini else 1
    gains = start[1]["gain" if kind is TabMMini else "input_gain"]
    assert set(np.unique(gains)) == {-1.0, 1.0}
    assert np.all(gains == gains[:, :1])
    kinds = [layer.kind for layer in network.layers[first:]]
    block = ["dense" if kind is TabMMini else "batch_ensemble_dense", "activation", "dropout"]
    assert kinds == [*block * 3, "ensemble_dense", "ensemble_mean"]
    assert all(each.rate == 0.1 for each in network.layers if isinstance(each, Dropout))


@pytest.mark.parametrize(
    ("n_rows", "size"),
    [(2_799, 32), (2_800, 64), (4_500, 128), (6_400, 256), (32_000, 512), (108_000, 1024)],
)
def test_batches_of_tabm_grow_with_the_rows(n_rows: int, size: int) -> None:
    assert batch_size_for(n_rows) == size
    plan = TabM().plan(problem_of("classes", codes=False)._replace(n_rows=n_rows))
    assert plan.options["batch_size"] == size
    assert (plan.options["clip_norm"], plan.options["patience"]) == (1.0, 16)
