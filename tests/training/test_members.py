"""Networks with members that share weights: their formulas, batches, training and prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend, get_backend
from anynet.data.batches import epoch_order
from anynet.nn import (
    Activation,
    BatchEnsembleDense,
    Dense,
    Dropout,
    EnsembleDense,
    EnsembleInput,
    EnsembleMean,
    EnsembleScale,
    Network,
    PiecewiseLinear,
)
from anynet.optim import AdamW, Group
from anynet.training.run import Run

K = 4
HOST = get_backend("numpy", dtype="float64")
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 32, "backend": "numpy", "seed": 2}


def tabm(n_inputs: int = 6, n_outputs: int = 3, link: str = "softmax") -> Network:
    layers = (
        EnsembleInput(K),
        BatchEnsembleDense(16, K, gain_initializer="signs"),
        Activation("relu"),
        Dropout(0.1),
        BatchEnsembleDense(16, K),
        Activation("relu"),
        EnsembleDense(n_outputs, K),
        EnsembleMean(K, link),
    )
    return Network(n_inputs, layers)


def tabm_mini(n_inputs: int = 6, n_outputs: int = 3, link: str = "softmax") -> Network:
    layers = (
        PiecewiseLinear(bins=5),
        EnsembleInput(K),
        EnsembleScale(K, "normal", (5,) * n_inputs),
        Dense(16, "torch_uniform", "torch_uniform"),
        Activation("relu"),
        EnsembleDense(n_outputs, K),
        EnsembleMean(K, link),
    )
    return Network(n_inputs, layers)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((301, 6)).astype(np.float32)
    return x, (np.argmax(x[:, :3] + x[:, 3:], axis=1)).astype(np.int32)


def softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def logits_of(params: Any, x: np.ndarray, member: int) -> np.ndarray:
    """Compute one member of ``tabm`` by the published formula, without dropout."""
    h = x
    for index in (1, 4):
        p = params[index]
        r, s = p["input_gain"][member], p["output_gain"][member]
        h = np.maximum(s * ((r * h) @ p["weight"]) + p["bias"][member], 0)
    return h @ params[6]["weight"][member] + params[6]["bias"][member]


def drawn(network: Network, rng: np.random.Generator) -> Any:
    return tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape), network.init_host(0))


def test_prediction_is_the_mean_probability_of_the_published_formula(
    backend64: Backend, rng
) -> None:
    network, x = tabm(), rng.standard_normal((9, 6))
    params = drawn(network, rng)
    placed = tree.map(backend64.to_device, params)
    logits = network.predict(placed, backend64.to_device(x), backend=backend64)
    expected = np.mean([softmax(logits_of(params, x, member)) for member in range(K)], axis=0)
    np.testing.assert_allclose(softmax(backend64.to_host(logits)), expected, rtol=1e-11)


MEANS = {
    "logistic": (lambda z: 1 / (1 + np.exp(-z)), lambda p: np.log(p / (1 - p))),
    "exp": (np.exp, np.log),
    "identity": (lambda z: z, lambda p: p),
}


@pytest.mark.parametrize("link", MEANS)
def test_the_logits_of_the_mean_match_each_link(backend64: Backend, rng, link: str) -> None:
    z = 3 * rng.standard_normal((K * 5, 2))
    y, pullback = EnsembleMean(K, link).apply(
        {}, backend64.to_device(z), backend=backend64, key=None
    )
    mean, inverse = MEANS[link]
    expected = inverse(mean(z.reshape(K, 5, 2)).mean(axis=0))
    np.testing.assert_allclose(backend64.to_host(y), expected, rtol=1e-10, atol=1e-12)
    dy = rng.standard_normal((5, 2))
    dz = backend64.to_host(pullback(backend64.to_device(dy))[1])
    direction, step = rng.standard_normal(z.shape), 1e-6
    ends = [
        inverse(mean((z + sign * step * direction).reshape(K, 5, 2)).mean(axis=0))
        for sign in (1, -1)
    ]
    slope = np.sum((ends[0] - ends[1]) / (2 * step) * dy)
    assert np.sum(dz * direction) == pytest.approx(slope, rel=1e-6)


def test_softmax_mean_has_the_gradient_of_its_formula(rng) -> None:
    z, dy = rng.standard_normal((K * 5, 3)), rng.standard_normal((5, 3))
    direction, step = rng.standard_normal(z.shape), 1e-6
    layer = EnsembleMean(K)
    _, pullback = layer.apply({}, z, backend=HOST, key=None)
    ends = [
        layer.apply({}, z + sign * step * direction, backend=HOST, key=None)[0] for sign in (1, -1)
    ]
    slope = np.sum((ends[0] - ends[1]) / (2 * step) * dy)
    assert np.sum(pullback(dy)[1] * direction) == pytest.approx(slope, rel=1e-6)


def test_large_logits_neither_overflow_nor_lose_the_mean() -> None:
    z = np.array([[200.0, -200.0], [-200.0, 200.0], [200.0, -200.0], [200.0, -200.0]])
    y, _ = EnsembleMean(4).apply({}, z, backend=HOST, key=None)
    np.testing.assert_allclose(softmax(y), [[0.75, 0.25]], rtol=1e-12)
    y, _ = EnsembleMean(4, "logistic").apply({}, z, backend=HOST, key=None)
    np.testing.assert_allclose(y, [[np.log(3), -np.log(3)]], rtol=1e-12)


def test_initial_members_differ_by_the_first_gains_and_the_heads_alone(rng) -> None:
    params = tabm(500).init_host(1)
    first, second, heads = params[1], params[4], params[6]
    assert set(np.unique(first["input_gain"])) == {-1.0, 1.0}
    assert abs(first["input_gain"].mean()) < 0.1
    assert np.abs(first["weight"]).max() <= 500**-0.5
    assert first["weight"].std() == pytest.approx((3 * 500) ** -0.5, rel=0.03)
    for p in (first, second):
        assert (p["output_gain"] == 1).all()
        assert (p["bias"] == p["bias"][0]).all()
        assert np.ptp(p["bias"][0]) > 0
    assert (second["input_gain"] == 1).all()
    assert len(np.unique(heads["weight"])) == heads["weight"].size
    gains = EnsembleScale(K, "normal", (5, 3)).init(rng, 8)[0]["gain"]
    assert (gains[:, :5] == gains[:, :1]).all()
    assert (gains[:, 5:] == gains[:, 5:6]).all()
    assert len(np.unique(gains)) == 2 * K


def orders(network: Network, data: Any, monkeypatch, **options: Any) -> list[np.ndarray]:
    """Return the rows of each epoch, as the trainer receives them."""
    seen: list[np.ndarray] = []
    original = Run.order

    def order(self: Run) -> np.ndarray:
        seen.append(original(self))
        return seen[-1]

    monkeypatch.setattr(Run, "order", order)
    anynet.fit(network, data, **OPTIONS | options)
    return seen


def test_each_member_sees_every_sample_once_an_epoch_in_its_own_order(data, monkeypatch) -> None:
    for epoch, order in enumerate(orders(tabm(), data, monkeypatch), start=1):
        full = order[: K * 288].reshape(-1, K, 32)
        members = [
            np.concatenate([full[:, member].ravel(), order[K * 288 :].reshape(K, -1)[member]])
            for member in range(K)
        ]
        for rows in members:
            np.testing.assert_array_equal(np.sort(rows), np.arange(301))
        assert len({rows.tobytes() for rows in members}) == K
        np.testing.assert_array_equal(members[0], epoch_order(301, 2, epoch))


def test_a_step_follows_the_mean_of_the_separate_losses(data) -> None:
    x, y = data[0][:32], data[1][:32]
    layers = tuple(layer for layer in tabm().layers if not isinstance(layer, Dropout))
    network = Network(6, layers)
    options = OPTIONS | {"epochs": 1, "shuffle": False, "dtype": "float64", "optimizer": "sgd"}
    model = anynet.fit(network, (x, y), learning_rate=0.1, momentum=0.0, **options)
    start = network.init_host(2)

    def loss(head: np.ndarray) -> float:
        named = dict(enumerate(start[:3])) | {4: start[3], 6: start[5] | {"weight": head}}
        each = [
            -np.mean(np.log(softmax(logits_of(named, x.astype(float), member))[np.arange(32), y]))
            for member in range(K)
        ]
        return float(np.mean(each))

    weight = start[5]["weight"]
    for at in [(0, 3, 1), (K - 1, 7, 2)]:
        moved = [weight.copy(), weight.copy()]
        moved[0][at] += 1e-6
        moved[1][at] -= 1e-6
        gradient = (loss(moved[0]) - loss(moved[1])) / 2e-6
        step = model.params[5]["weight"][at] - weight[at]
        assert step == pytest.approx(-0.1 * gradient, rel=1e-4, abs=1e-9)
    assert model.history.records[0].train_loss == pytest.approx(loss(weight), rel=1e-6)


@pytest.mark.parametrize("make", [tabm, tabm_mini])
def test_training_selects_by_the_averaged_prediction_and_files_keep_it(
    data, tmp_path, make: Any
) -> None:
    held = (data[0][:60], data[1][:60])
    options = OPTIONS | {"epochs": 30, "learning_rate": 0.01, "batch_size": 16}
    optimizer = AdamW(weight_decay=3e-4, groups=(Group(name="bias", decay=0),))
    model = anynet.fit(
        make(), (data[0][60:], data[1][60:]), validation=held, optimizer=optimizer, **options
    )
    assert model.score(*held) > 0.8
    best = model.history.best
    assert best.validation_score == pytest.approx(model.score(*held))
    own = model.predict_proba(held[0])
    assert own.shape == (60, 3)
    assert best.validation_loss == pytest.approx(
        -np.mean(np.log(own[np.arange(60), held[1]])), rel=1e-4
    )
    model.save(tmp_path / "model.safetensors")
    again = anynet.load(tmp_path / "model.safetensors", "numpy")
    np.testing.assert_array_equal(again.predict_proba(held[0]), own)


def test_regression_reports_r2_of_members_and_of_their_mean(data) -> None:
    x = data[0]
    y = (x @ np.arange(6.0)).astype(np.float32)
    options = OPTIONS | {"epochs": 40, "learning_rate": 0.01, "optimizer": "adam"}
    model = anynet.fit(tabm(6, 1, "identity"), (x, y / y.std()), validation=0.2, **options)
    record = model.history.best
    assert 0.5 < record.train_score < 1
    assert 0.5 < record.validation_score < 1


def test_populations_match_single_runs_and_resumed_runs_are_bitwise_equal(data, tmp_path) -> None:
    network = tabm()
    configs = [{"seed": 1, "learning_rate": 0.05}, {"seed": 2, "learning_rate": 0.1}]
    options = {key: value for key, value in OPTIONS.items() if key != "seed"}
    members = anynet.fit_population(network, data, configs, **options)
    for config, member in zip(configs, members, strict=True):
        alone = anynet.fit(network, data, **options, **config)
        for ours, theirs in zip(tree.leaves(member.params), tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-5)

    def stop(record: Any) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    straight = anynet.fit(network, data, **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        anynet.fit(network, data, checkpoint=tmp_path / "run", callbacks=stop, **OPTIONS)
    resumed = anynet.resume(tmp_path / "run", data)
    for ours, theirs in zip(tree.leaves(straight.params), tree.leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_frozen_layers_keep_the_rows_of_each_member(data) -> None:
    model = anynet.fit(tabm(), data, **OPTIONS)
    head = model.network.freeze(range(6))
    tuned = anynet.fit(head, data, start=model, **OPTIONS)
    np.testing.assert_array_equal(tuned.params[4]["weight"], model.params[4]["weight"])
    assert not np.array_equal(tuned.params[6]["weight"], model.params[6]["weight"])


def test_samples_on_disk_are_shared_by_the_members(data, tmp_path) -> None:
    np.save(tmp_path / "x.npy", data[0])
    source = anynet.open_source(tmp_path / "x.npy")
    model = anynet.fit(tabm(), (source, data[1]), **OPTIONS)
    assert np.isfinite(model.predict_proba(data[0])).all()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((EnsembleInput(2), EnsembleDense(3, 3), EnsembleMean(2)), r"same number .*\[2, 3\]"),
        ((EnsembleDense(3, 2), EnsembleMean(2)), "begin with EnsembleInput"),
        ((EnsembleInput(2), EnsembleDense(3, 2)), "end with EnsembleMean"),
        ((EnsembleMean(2), EnsembleInput(2)), "got ensemble_mean, ensemble_input"),
    ],
)
def test_members_outside_of_input_and_mean_raise(layers, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Network(4, layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EnsembleInput(0), "members must be a whole number of at least 1, got 0"),
        (lambda: EnsembleMean(2, "probit"), "link must be one of 'softmax'.* got 'probit'"),
        (lambda: EnsembleScale(2, "zeros"), "gain_initializer must be one of 'ones'"),
        (lambda: EnsembleScale(2, "ones", (0,)), "at least 1, got 0"),
        (lambda: EnsembleScale(2, chunks=3), "chunks must be a tuple.* got 3"),  # type: ignore[arg-type]
        (lambda: EnsembleScale(2, chunks=(2, 3)).init(None, 4), "4 inputs, got a sum of 5"),  # type: ignore[arg-type]
        (lambda: BatchEnsembleDense(0, 2), "units must be a whole number of at least 1, got 0"),
        (lambda: EnsembleDense(2, 2, "magic"), "initializer must be one of he_normal"),
        (
            lambda: EnsembleScale(2).split(np.ones((5, 3)), np),  # type: ignore[arg-type]
            "each of 2 members, got 5 rows",
        ),
    ],
)
def test_invalid_options_raise(make, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make()


def test_a_mean_with_another_link_than_the_loss_raises(data) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'identity'.*cross_entropy.*'softmax'"):
        anynet.fit(tabm(6, 3, "identity"), data, **OPTIONS)
