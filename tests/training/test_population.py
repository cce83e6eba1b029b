"""Populations: each member matches the result of ``fit`` with its configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.data.batches import epoch_order
from anynet.nn import CrossEntropy
from anynet.optim import (
    SGD,
    Cosine,
    Exponential,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    Step,
    Warmup,
)
from anynet.training import population, resolve, trainer

N_SAMPLES = 300


@pytest.fixture
def some(digits: anynet.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = digits.train
    return x[:N_SAMPLES], y[:N_SAMPLES]


def alone(network: Any, data: Any, config: dict[str, Any], **options: Any) -> anynet.Model:
    """Return the result of ``fit`` for one member."""
    options = options | config
    network = options.pop("network", network)
    if "dropout" in options:
        network = resolve.with_dropout(network, options.pop("dropout"))
    changes = {k: options.pop(k) for k in ("momentum", "weight_decay") if k in options}
    optimizer = options.pop("optimizer", "sgd")
    if isinstance(optimizer, str):
        optimizer = anynet.optim.OPTIMIZERS[optimizer](**changes)
    if "label_smoothing" in options:
        options["loss"] = CrossEntropy(options.pop("label_smoothing"))
    return anynet.fit(network, data, optimizer=optimizer, **options)


def check_equal(model: anynet.Model, single: anynet.Model, rtol: float = 1e-9) -> None:
    assert model.network == single.network
    assert model.history.stopped == single.history.stopped
    assert model.history.best_epoch == single.history.best_epoch
    assert model.history.warning == single.history.warning
    assert len(model.history.records) == len(single.history.records)
    for record, expected in zip(model.history.records, single.history.records, strict=True):
        assert record.learning_rate == pytest.approx(expected.learning_rate, rel=1e-6)
        for name in ("train_loss", "train_score", "validation_loss", "validation_score"):
            if getattr(expected, name) is None:
                assert getattr(record, name) is None
            else:
                assert getattr(record, name) == pytest.approx(getattr(expected, name), rel=rtol)
    for name, leaf in tree.flatten(model.params):
        expected = model.backend.to_host(dict(tree.flatten(single.params))[name])
        got = model.backend.to_host(leaf)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-3 * rtol)


def check_members(network: Any, data: Any, configs: list[dict[str, Any]], **options: Any) -> None:
    models = anynet.fit_population(network, data, configs, **options)
    for model, config in zip(models, configs, strict=True):
        check_equal(model, alone(network, data, config, **options))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the sizes of the trained groups."""
    sizes: list[int] = []

    def train(runs: Any, *rest: Any) -> None:
        sizes.append(len(runs))
        trainer.train(runs, *rest)

    monkeypatch.setattr(population, "train", train)
    return sizes


SGD_MEMBERS = [
    {"seed": 3, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "dropout": 0.2},
    {"seed": 4, "learning_rate": 0.02, "momentum": 0.0, "weight_decay": 0.0, "dropout": 0.0},
    {"seed": 3, "learning_rate": 0.3, "momentum": 0.5, "label_smoothing": 0.1, "clip_norm": 0.5},
]


def test_members_that_differ_in_numbers_share_one_computation(
    backend64: Backend, some: Any, digits: anynet.Dataset, counted: list[int]
) -> None:
    network = anynet.mlp([64, 16, 10], dropout=0.1, layer_norm=True, scale=digits.scale)
    check_members(
        network,
        some,
        SGD_MEMBERS,
        validation=0.2,
        epochs=3,
        batch_size=32,
        clip_norm=2.0,
        average=0.9,
        backend=backend64,
    )
    assert counted == [3]


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw"])
def test_members_match_single_runs_with_every_optimizer(
    backend64: Backend, some: Any, optimizer: str
) -> None:
    network = anynet.mlp([64, 12, 10], scale=1 / 16)
    configs = [
        {"seed": seed, "learning_rate": rate, "weight_decay": decay}
        for seed, rate, decay in ((0, 0.01, 0.0), (1, 0.003, 0.01))
    ]
    check_members(
        network, some, configs, optimizer=optimizer, validation=60, epochs=2, backend=backend64
    )


@pytest.mark.parametrize(
    "schedules",
    [
        (Exponential(0.1, 0.5), Exponential(0.2, 0.9)),
        (Step(0.1, factor=0.5, epochs=1), Step(0.2, factor=0.1, epochs=1)),
        (Cosine(0.1, epochs=2), Cosine(0.2, epochs=3.5, final=0.01)),
        (OneCycle(0.1, epochs=3), OneCycle(0.2, epochs=4, warmup=0.5)),
        (InverseScaling(0.1), InverseScaling(0.1, power=0.2)),
        (Warmup(Exponential(0.1), 1.5), Warmup(Exponential(0.2), 0.5)),
        (ReduceOnPlateau(0.3, patience=1), ReduceOnPlateau(1e-4, factor=0.5, patience=0), 0.1),
    ],
    ids=lambda pair: pair[0].kind,
)
def test_members_match_single_runs_with_every_schedule(
    some: Any, counted: list[int], schedules: Any
) -> None:
    network = anynet.mlp([64, 12, 10], scale=1 / 16)
    backend = anynet.get_backend("numpy", dtype="float64")
    configs = [{"seed": 1, "learning_rate": schedule} for schedule in schedules]
    check_members(network, some, configs, validation=60, epochs=6, patience=None, backend=backend)
    assert counted == [len(schedules)]


def test_members_stop_at_different_epochs(backend64: Backend, some: Any) -> None:
    """Patience, a target, the number of epochs and a callback stop members; the others continue."""
    network = anynet.mlp([64, 16, 10], scale=1 / 16)
    configs: list[dict[str, Any]] = [
        {"seed": 0, "learning_rate": 1e-7, "patience": 2, "min_delta": 0.5},
        {"seed": 1, "learning_rate": 0.3, "target_accuracy": 0.5},
        {"seed": 2, "epochs": 1},
        {"seed": 3, "callbacks": lambda record: record.epoch == 4},
        {"seed": 4, "epochs": 12, "patience": None},
        {"seed": 5, "epochs": 9, "learning_rate": 0.4},
    ]
    check_members(network, some, configs, validation=0.25, backend=backend64)
    epochs = [
        len(model.history.records)
        for model in anynet.fit_population(
            network, some, configs, validation=0.25, backend=backend64
        )
    ]
    assert len(set(epochs)) >= 5


@pytest.mark.parametrize("resident", [True, False])
def test_members_with_sample_weights_and_without_validation_match_single_runs(
    backend64: Backend, some: Any, rng: np.random.Generator, resident: bool
) -> None:
    x, y = some
    data = (x, y, rng.uniform(0, 2, len(y)))
    network = anynet.mlp([64, 8, 10], scale=1 / 16)
    options = {"epochs": 2, "backend": backend64, "resident": resident}
    check_members(network, data, [{"seed": 0}, {"seed": 1}], **options)
    held_out = (x[:70], y[:70], rng.uniform(0, 2, 70))
    check_members(network, data, [{"seed": 0}, {"seed": 1}], validation=held_out, **options)


def test_regression_members_match_single_runs(backend64: Backend, rng: np.random.Generator) -> None:
    x = rng.standard_normal((200, 5))
    y = np.stack([x @ rng.standard_normal(5), np.sin(x[:, 0])], axis=1)
    network = anynet.mlp([5, 16, 2], activation="tanh")
    configs = [{"seed": 2, "learning_rate": 0.05}, {"seed": 3, "shuffle": True}]
    for loss in ("squared_error", "huber"):
        check_members(
            network, (x, y), configs, validation=0.2, epochs=3, loss=loss, backend=backend64
        )


def test_float32_members_match_single_runs_within_rounding(backend: Backend, some: Any) -> None:
    network = anynet.mlp([64, 16, 10], scale=1 / 16)
    configs = [{"seed": seed, "learning_rate": 0.05 + 0.05 * seed} for seed in range(5)]
    models = anynet.fit_population(
        network, some, configs, validation=0.2, epochs=2, backend=backend
    )
    for model, config in zip(models, configs, strict=True):
        single = alone(network, some, config, validation=0.2, epochs=2, backend=backend)
        for got, expected in zip(
            tree.leaves(model.params), tree.leaves(single.params), strict=True
        ):
            np.testing.assert_allclose(
                backend.to_host(got), backend.to_host(expected), rtol=1e-4, atol=1e-5
            )


def test_members_that_cannot_share_a_computation_form_groups(some: Any, counted: list[int]) -> None:
    network, wide = anynet.mlp([64, 8, 10]), anynet.mlp([64, 9, 10])
    configs: list[dict[str, Any]] = [
        {"seed": 0},
        {"seed": 1, "network": wide},
        {"seed": 2, "batch_size": 32},
        {"seed": 3, "optimizer": "adam"},
        {"seed": 4, "learning_rate": Cosine(0.1)},
        {"seed": 5, "learning_rate": 0.01},
        {"seed": 6, "network": wide, "learning_rate": 0.3},
        {"seed": 7, "optimizer": SGD(momentum=0.9, nesterov=True)},
        {"seed": 8, "learning_rate": Cosine(0.2, epochs=2.0)},
    ]
    backend = anynet.get_backend("numpy", dtype="float64")
    check_members(network, some, configs, epochs=2, backend=backend)
    assert counted == [2, 2, 1, 1, 2, 1]


def test_shared_order_uses_the_order_of_the_first_seed(
    backend64: Backend, some: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = anynet.mlp([64, 8, 10], dropout=0.2, scale=1 / 16)
    configs = [{"seed": 7}, {"seed": 8}, {"seed": 9}]
    options = {"validation": (some[0][:50], some[1][:50]), "epochs": 2, "backend": backend64}
    models = anynet.fit_population(network, some, configs, shared_order=True, **options)

    def of_the_first(n_samples: int, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
        del seed
        return epoch_order(n_samples, 7, epoch, shuffle)

    monkeypatch.setattr("anynet.training.run.epoch_order", of_the_first)
    for model, config in zip(models, configs, strict=True):
        check_equal(model, alone(network, some, config, **options))


def test_dropout_rates_are_rounded_as_in_single_runs(some: Any) -> None:
    """A rate so close to the midpoint of two thresholds that float32 rounds it to the midpoint."""
    network = anynet.mlp([64, 64, 10], scale=1 / 16)
    configs = [{"dropout": (29491.5 - 1e-4) / 2**16}, {"dropout": (29491.5 + 1e-4) / 2**16}]
    options = {"epochs": 2, "backend": anynet.get_backend("numpy", dtype="float32")}
    models = anynet.fit_population(network, some, configs, **options)
    for model, config in zip(models, configs, strict=True):
        check_equal(model, alone(network, some, config, **options), rtol=1e-4)


def test_a_member_with_an_unhashable_part_is_trained_alone(some: Any, counted: list[int]) -> None:
    class Unhashable(CrossEntropy):
        __hash__ = None  # type: ignore[assignment]

    configs: list[dict[str, Any]] = [{"loss": CrossEntropy()}, {"seed": 1}]
    network = anynet.mlp([64, 8, 10], scale=1 / 16)
    configs.append({"loss": Unhashable(), "seed": 2})
    with pytest.warns(UserWarning, match="not saved: the loss is a .*Unhashable"):
        models = anynet.fit_population(network, some, configs, epochs=1, backend="numpy")
    assert counted == [2, 1]
    assert len(models) == 3


def test_shared_order_is_equal_in_every_group_and_uses_only_the_members_samples(
    some: Any, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    """Members with different samples form separate groups, in the order of the first seed."""
    network = anynet.mlp([64, 8, 10], scale=1 / 16)
    halves = [np.arange(0, 300, 2), np.arange(1, 300, 2)]
    configs: list[dict[str, Any]] = [
        {"seed": 7, "samples": halves[0]},
        {"seed": 8, "samples": halves[1]},
        {"seed": 9, "samples": halves[0]},
    ]
    options = {"epochs": 2, "backend": anynet.get_backend("numpy", dtype="float64")}
    models = anynet.fit_population(network, some, configs, shared_order=True, **options)
    assert counted == [2, 1]

    def of_the_first(n_samples: int, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
        del seed
        return epoch_order(n_samples, 7, epoch, shuffle)

    monkeypatch.setattr("anynet.training.run.epoch_order", of_the_first)
    for model, config in zip(models, configs, strict=True):
        kept = config["samples"]
        data = (some[0][kept], some[1][kept])
        check_equal(model, alone(network, data, {"seed": config["seed"]}, **options))


def test_shared_order_shares_the_validation_samples(some: Any) -> None:
    network = anynet.mlp([64, 8, 10], scale=1 / 16)
    models = anynet.fit_population(
        network,
        some,
        [{"seed": 1}, {"seed": 2, "learning_rate": 0.0}],
        shared_order=True,
        validation=0.2,
        epochs=1,
        backend="numpy",
    )
    _, held_out = anynet.data.subset.train_validation_split(N_SAMPLES, 0.2, 1)
    score = models[1].score(some[0][held_out], some[1][held_out])
    assert models[1].history.best.validation_score == pytest.approx(score)


def test_a_diverging_member_does_not_affect_the_others(some: Any) -> None:
    network = anynet.mlp([64, 16, 10])
    configs = [{"seed": 0, "learning_rate": 1e200}, {"seed": 1, "learning_rate": 0.001}]
    backend = anynet.get_backend("numpy", dtype="float64")
    bad, good = anynet.fit_population(network, some, configs, epochs=3, backend=backend)
    check_equal(good, alone(network, some, configs[1], epochs=3, backend=backend))
    assert bad.history.stopped == "diverged in epoch 1"
    assert "smaller learning rate" in bad.history.warning
    assert bad.history.records == []
    for got, expected in zip(
        tree.leaves(bad.params), tree.leaves(network.init(0, backend)), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_a_population_is_split_to_fit_the_memory_limit(some: Any, counted: list[int]) -> None:
    network = anynet.mlp([64, 32, 10], scale=1 / 16)
    configs = [{"seed": seed} for seed in range(7)]
    seen: list[anynet.PopulationProgress] = []
    options = {"epochs": 2, "backend": anynet.get_backend("numpy", dtype="float64")}
    whole = anynet.fit_population(network, some, configs, **options)
    with pytest.raises(anynet.InvalidArgumentError) as caught:
        anynet.fit_population(network, some, configs, memory_limit=1, **options)
    limit = int(3.5 * int(str(caught.value).split()[-1]))
    split = anynet.fit_population(
        network, some, configs, memory_limit=limit, progress=seen.append, **options
    )
    assert counted == [7, 2, 2, 3]
    assert [(one.group, one.groups, one.members, one.epoch) for one in seen] == [
        (1, 3, 2, 1),
        (1, 3, 2, 2),
        (2, 3, 2, 1),
        (2, 3, 2, 2),
        (3, 3, 3, 1),
        (3, 3, 3, 2),
    ]
    for one, other in zip(whole, split, strict=True):
        check_equal(one, other)


def test_member_batches_on_threads_are_bitwise_equal(
    some: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy trains one batch of members per core; the batch does not affect a member's result."""
    network = anynet.mlp([64, 16, 10], dropout=0.2, scale=1 / 16)
    configs = [{"seed": seed, "learning_rate": 0.05 + 0.1 * seed} for seed in range(6)]
    backend = anynet.get_backend("numpy", dtype="float64")
    options = {"validation": 0.2, "epochs": 3, "backend": backend}
    whole = anynet.fit_population(network, some, configs, **options)
    monkeypatch.setattr("anynet.backends.numpy.max_threads", lambda: 3)
    assert backend.batch_sizes(6, 1000) == [2, 2, 2]
    for one, other in zip(
        whole, anynet.fit_population(network, some, configs, **options), strict=True
    ):
        check_equal(one, other)


def test_ctrl_c_raises_with_the_models_so_far(some: Any) -> None:
    def interrupt(record: anynet.EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    network = anynet.mlp([64, 8, 10])
    configs: list[dict[str, Any]] = [
        {"seed": 0},
        {"seed": 1, "callbacks": interrupt},
        {"seed": 2, "batch_size": 32},
    ]
    with pytest.raises(anynet.TrainingInterrupted) as caught:
        anynet.fit_population(network, some, configs, epochs=3, backend="numpy")
    first, second, third = caught.value.model  # type: ignore[misc]
    assert len(first.history.records) == 2
    assert second.history.stopped == "interrupted"
    assert third is None


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([], "configs is empty"),
        ({"seed": 1}, "must be a sequence of mappings"),
        ([{"seed": 1}, 3], "must be a sequence of mappings"),
        ([{"learning_rat": 1}], r"configs\[0\].*'learning_rat'.*mean 'learning_rate'"),
        ([{}, {"momentun": 1}], r"configs\[1\].*mean 'momentum'"),
        ([{}, {"learning_rate": -1.0}], r"configs\[1\].*learning_rate must be"),
        ([{"momentum": 1.5}], r"configs\[0\].*momentum must be in \[0, 1\)"),
        ([{"momentum": "0.9"}], r"configs\[0\].*momentum must be .*'0.9'"),
        ([{"momentum": 0.5, "optimizer": "adam"}], "adam has no momentum"),
        ([{"label_smoothing": 1.0}], "label_smoothing must be in"),
        ([{"dropout": 1.0}], r"configs\[0\].*dropout must be in \[0, 1\)"),
        ([{"patience": 0}], "patience must be"),
        ([{"network": anynet.mlp([3, 10])}], "network takes 3 inputs"),
        ([{}, {"seed": -1}], r"configs\[1\]: seed must be a whole number of at least 0"),
        ([{"network": "mlp"}], r"configs\[0\]: network must be a Network such as"),
    ],
)
def test_invalid_configurations_raise(some: Any, configs: Any, message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        anynet.fit_population(anynet.mlp([64, 10]), some, configs, backend="numpy")


@pytest.mark.parametrize(("limit", "message"), [(0, "above 0"), (1000, "one member alone takes")])
def test_invalid_memory_limits_raise(some: Any, limit: int, message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        anynet.fit_population(anynet.mlp([64, 10]), some, [{}], backend="numpy", memory_limit=limit)
