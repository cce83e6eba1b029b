"""The time limit of training, by a clock of the test: no test measures time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import StopReason, tree
from anynet.training.history import TimeLimit

OPTIONS: dict[str, Any] = {"backend": "numpy", "patience": None, "target_accuracy": None}


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Replace the clock by one that advances by a number of seconds each time it is read."""

    def set_clock(seconds: float) -> None:
        times = itertools.count(100.0, seconds)
        monkeypatch.setattr(TimeLimit, "clock", lambda: next(times))

    return set_clock


def epochs_of(model: anynet.Model) -> int:
    return len(model.history.records)


@pytest.mark.parametrize(("limit", "epochs"), [(0.5, 1), (1.0, 1), (2.5, 3), (3.0, 3), (99.0, 6)])
def test_training_ends_after_the_epoch_in_which_the_limit_is_exceeded(
    data, network, tick, limit: float, epochs: int
) -> None:
    tick(1.0)  # read once at the start, and after each epoch
    model = anynet.fit(network, data, epochs=6, time_limit=limit, validation=0.2, **OPTIONS)
    assert epochs_of(model) == epochs
    reason = StopReason.EPOCHS if limit == 99 else StopReason.TIME
    assert model.history.stop_reason is reason
    assert StopReason.of_text(model.history.stopped) is reason
    shorter = anynet.fit(network, data, epochs=epochs, validation=0.2, **OPTIONS)
    assert model.history.best_epoch == shorter.history.best_epoch
    for ours, theirs in zip(tree.leaves(model.params), tree.leaves(shorter.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_reasons_to_stop_are_reported_first(data, network, tick) -> None:
    tick(9.0)
    model = anynet.fit(network, data, epochs=1, time_limit=1, **OPTIONS)
    assert model.history.stop_reason is StopReason.EPOCHS
    model = anynet.fit(network, data, time_limit=1, callbacks=lambda _: True, **OPTIONS)
    assert model.history.stop_reason is StopReason.CALLBACK


def test_the_groups_of_a_population_share_the_limit(data, network, tick) -> None:
    tick(1.0)
    configs = [{"batch_size": size} for size in (32, 64)]  # two groups of one member
    models = anynet.fit_population(network, data, configs, epochs=9, time_limit=6, **OPTIONS)
    assert [epochs_of(model) for model in models] == [3, 3]
    tick(1.0)
    configs = [{"batch_size": 32, "epochs": 1}, {"batch_size": 64}]
    models = anynet.fit_population(network, data, configs, epochs=9, time_limit=6, **OPTIONS)
    assert [epochs_of(model) for model in models] == [1, 6]  # the second has what the first left
    assert models[1].history.stop_reason is StopReason.TIME


def test_members_of_one_group_stop_at_their_own_limits(data, network, tick) -> None:
    tick(1.0)
    configs = [{"time_limit": 1.0}, {"time_limit": 7.0}, {}]
    models = anynet.fit_population(network, data, configs, epochs=5, **OPTIONS)
    counts = [epochs_of(model) for model in models]
    assert counts[0] == 1
    assert 1 < counts[1] < counts[2] == 5
    assert models[1].history.stop_reason is StopReason.TIME


def test_a_run_that_its_time_limit_ended_is_resumed(data, network, tick, tmp_path) -> None:
    tick(1.0)
    options = {"epochs": 5, "learning_rate": anynet.optim.Cosine(0.1), **OPTIONS}
    anynet.fit(network, data, checkpoint=tmp_path / "run", time_limit=2, **options)
    first = anynet.resume(tmp_path / "run", data)
    assert (epochs_of(first), first.history.stop_reason) == (4, StopReason.TIME)
    second = anynet.resume(tmp_path / "run", data)
    assert (epochs_of(second), second.history.stop_reason) == (5, StopReason.EPOCHS)
    straight = anynet.fit(network, data, **options)
    for ours, theirs in zip(tree.leaves(second.params), tree.leaves(straight.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), "60"])
def test_invalid_limits_raise(data, network, limit: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="time_limit must be above 0 or None"):
        anynet.fit(network, data, time_limit=limit, **OPTIONS)
