"""Scheduled options: weight decay, momentum, dropout and label smoothing inside the step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.optim import (
    SGD,
    Adam,
    Constant,
    Cosine,
    CosLog4,
    Exponential,
    FlatCos,
    ReduceOnPlateau,
    Step,
    Warmup,
)

SCHEDULES: dict[str, Any] = {
    "weight_decay": Warmup(Cosine(0.1, epochs=2), epochs=0.5),
    "momentum": Exponential(0.9, decay=0.5),
    "dropout": Cosine(0.4, epochs=3, final=0.1),
    "label_smoothing": Step(0.2, factor=0.5, epochs=1),
}
OPTIONS: dict[str, Any] = {"epochs": 3, "learning_rate": 0.05, "seed": 3, "batch_size": 50}


def same(first: anynet.Model, second: anynet.Model) -> None:
    for ours, theirs in zip(tree.leaves(first.params), tree.leaves(second.params), strict=True):
        np.testing.assert_array_equal(first.backend.to_host(ours), second.backend.to_host(theirs))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_constant_schedule_equals_the_number(data, network, name: str) -> None:
    options = OPTIONS | {"optimizer": SGD(momentum=0.5), "backend": "numpy"}
    number = anynet.fit(network, data, **options, **{name: 0.25})
    driven = anynet.fit(network, data, **options, **{name: Constant(0.25)})
    same(number, driven)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_step_schedule_has_its_value_in_each_epoch(data, network, name: str) -> None:
    """Two epochs with two values equal two fits of one epoch, the second from the first's state."""
    seen: list[Any] = []

    def recorded(step: Any, steps_per_epoch: int, *, backend: Backend) -> Any:
        value = SCHEDULES[name](step, steps_per_epoch, backend=backend)
        seen.append(float(value))
        return value

    options = OPTIONS | {"optimizer": SGD(momentum=0.5), "backend": "numpy"}
    same(
        anynet.fit(network, data, **options, **{name: recorded}),
        anynet.fit(network, data, **options, **{name: SCHEDULES[name]}),
    )
    assert len(set(seen)) > 1


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "dropout", "label_smoothing"])
@pytest.mark.parametrize("kind", [Cosine, CosLog4, FlatCos])
def test_schedules_last_for_the_epochs_of_each_member(data, network, name: str, kind: Any) -> None:
    options = {"backend": "numpy", "optimizer": "adam", "learning_rate": 0.01, "batch_size": 50}
    models = []
    for own in (None, 3):
        common = options | {name: kind(0.02, epochs=own)}
        models.append(anynet.fit(network, data, epochs=3, **common))
    same(*models)
    members = anynet.fit_population(
        network, data, [{"epochs": 2}, {"epochs": 3}], **options | {name: kind(0.02)}
    )
    for ours, theirs in zip(
        tree.leaves(members[1].params), tree.leaves(models[0].params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_resumed_run_with_more_epochs_follows_the_schedule_of_the_longer_run(
    data, network, tmp_path
) -> None:
    options = OPTIONS | {"backend": "numpy"}
    for schedule, last in ((Cosine(0.1), 4), (Cosine(0.1, epochs=2), 2)):
        folder = tmp_path / str(last)
        rate = options | {"learning_rate": schedule, "epochs": 2}
        anynet.fit(network, data, checkpoint=folder, **rate)
        longer = anynet.resume(folder, data, epochs=4).history.to_dict()["learning_rate"]
        steps = 4 * -(-len(data[1]) // OPTIONS["batch_size"])
        share = min((steps - 1) / (steps / 4 * last), 1)
        assert longer[-1] == pytest.approx(0.05 * (1 + np.cos(np.pi * share)), abs=1e-7)


def test_all_scheduled_options_together_match_on_every_backend(
    data, network, backend: Backend
) -> None:
    options = OPTIONS | SCHEDULES | {"optimizer": SGD()}
    expected = anynet.fit(network, data, backend="numpy", **options)
    model = anynet.fit(network, data, backend=backend, **options)
    for ours, theirs in zip(tree.leaves(model.params), tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(backend.to_host(ours), theirs, rtol=2e-3, atol=2e-4)


def test_resumed_runs_equal_the_uninterrupted_run(data, network, tmp_path) -> None:
    options = OPTIONS | SCHEDULES | {"optimizer": SGD(), "backend": "numpy"}
    straight = anynet.fit(network, data, **options)
    shorter = options | {"epochs": 1}
    anynet.fit(network, data, checkpoint=tmp_path / "run", **shorter)
    same(straight, anynet.resume(tmp_path / "run", data, epochs=3))


def test_population_members_can_have_schedules_with_different_values(data, network) -> None:
    configs: list[dict[str, Any]] = [
        {"weight_decay": Cosine(0.2, epochs=3), "dropout": Cosine(0.4, epochs=3)},
        {"weight_decay": Cosine(0.1, epochs=2), "dropout": Cosine(0.2, epochs=3, final=0.1)},
    ]
    options = OPTIONS | {"optimizer": Adam(), "backend": "numpy", "learning_rate": 0.01}
    models = anynet.fit_population(
        network, data, configs, **{k: v for k, v in options.items() if k != "seed"}
    )
    for model, config in zip(models, configs, strict=True):
        alone = anynet.fit(network, data, **config, **options | {"seed": 0})
        for ours, theirs in zip(tree.leaves(model.params), tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_scheduled_dropout_applies_to_all_dropout_layers(data) -> None:
    network = anynet.mlp([64, 12, 12, 10], dropout=0.2, scale=1 / 16)
    options = OPTIONS | {"backend": "numpy"}
    without = anynet.fit(network, data, **options, dropout=0.0)
    same(without, anynet.fit(network, data, **options, dropout=Constant(0.0)))


def test_plateau_is_accepted_for_the_learning_rate_only(data, network) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="weight_decay must be"):
        anynet.fit(network, data, weight_decay=ReduceOnPlateau(0.1), backend="numpy")


def test_the_recorded_learning_rate_is_the_one_of_the_update() -> None:
    x = np.random.default_rng(0).standard_normal((64, 3))
    rates = anynet.optim.Exponential(0.1, 0.9)
    options = {"epochs": 8, "batch_size": 16, "learning_rate": rates, "backend": "numpy"}
    network, data = anynet.mlp([3, 2]), (x, np.arange(64) % 2)
    single = anynet.fit(network, data, **options)
    (member,) = anynet.fit_population(network, data, [{}], **options)
    xp = anynet.get_backend("numpy").xp
    used = 0.1 * 0.9 ** xp.arange(8, dtype=xp.float32)  # an array, as in the loop
    for model in (single, member):
        assert model.history.to_dict()["learning_rate"] == [float(str(rate)) for rate in used]


@pytest.mark.parametrize("name", ["momentum", "dropout", "label_smoothing"])
@pytest.mark.parametrize("schedule", [Constant(1.0), Cosine(0.1, final=2.0), Warmup(Cosine(1.5))])
def test_a_schedule_that_leaves_the_range_is_refused(data, network, name: str, schedule) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=name) as caught:
        anynet.fit(network, data, backend="numpy", **{name: schedule})
    assert repr(schedule) in str(caught.value)


def test_numbers_of_numpy_are_learning_rates(data, network) -> None:
    options = {"epochs": 1, "backend": "numpy"}
    model = anynet.fit(network, data, learning_rate=np.float32(0.25), **options)
    same(model, anynet.fit(network, data, learning_rate=0.25, **options))
