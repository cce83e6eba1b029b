"""``anynet.tune``: random search, an ensemble of the best, continued after an interruption."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.errors import InvalidArgumentError, TrainingInterrupted
from anynet.space import Range, random_points
from anynet.tabular import Problem, RealMLP, TabMMini, Tuned
from anynet.training.history import TimeLimit
from anynet.training.trainer import group_members

PROBLEM = Problem("classes", 100, 3, 3, (), 2, 0)


class Small(RealMLP):
    """RealMLP with a space of small networks."""

    space = RealMLP.space | {"depth": [1, 2], "width": [8]}


SMALL = Small(epochs=6, width=8, depth=1)
OPTIONS: dict[str, Any] = {"preset": SMALL, "n_configs": 5, "backend": "numpy"}


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    return x, (x[:, 0] + x[:, 1] ** 2 > 0.7).astype(int)


def test_the_first_configuration_is_the_preset_and_the_others_are_of_its_space() -> None:
    plan = Tuned(preset=RealMLP(), n_configs=40).plan(PROBLEM)
    own = RealMLP().plan(PROBLEM)
    assert plan.members[0]["network"] == own.network
    assert plan.members[0]["learning_rate"] == own.options["learning_rate"]
    assert plan.options["scoring"] == "loss"
    widths = {member["network"].layers[2].units for member in plan.members}
    assert widths == {256, 384, 512}
    rates = [member["learning_rate"].value for member in plan.members[1:]]
    assert 0.02 <= min(rates) < 0.05 < 0.1 < max(rates) <= 0.3
    assert len({member["seed"] for member in plan.members}) == 40


def test_a_list_of_a_space_may_have_ranges() -> None:
    points = random_points({"dropout": [0.0, Range(0.1, 0.2)]}, 20)
    drawn = [point["dropout"] for point in points]
    assert drawn.count(0.0) == 1
    assert all(0.1 <= each <= 0.2 for each in drawn if each)


def test_networks_that_differ_in_numbers_are_trained_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def spy(runs: Any) -> Any:
        groups = group_members(runs)
        sizes.extend(len(group) for group in groups)
        return groups

    monkeypatch.setattr("anynet.training.population.group_members", spy)
    anynet.tune(*rows(), **OPTIONS)
    assert sum(sizes) == 5
    assert len(sizes) == 3  # the preset's activation is another one; depth is 1 or 2


def test_tuned_options_fit_values_and_classes_and_are_saved(tmp_path: Any) -> None:
    x, y = rows()
    tabm = TabMMini(epochs=2, n_members=2)
    found = anynet.tune(x, y, preset=tabm, n_configs=2, backend="numpy")
    assert isinstance(found, anynet.TabularClassifier)
    found.save(tmp_path / "found.safetensors")
    loaded = anynet.TabularClassifier.load(tmp_path / "found.safetensors", backend="numpy")
    np.testing.assert_array_equal(loaded.predict_proba(x), found.predict_proba(x))
    assert loaded.preset == found.preset
    values = anynet.tune(x, x[:, 0] + x[:, 1], **OPTIONS)
    assert isinstance(values, anynet.TabularRegressor)
    assert values.score(x, x[:, 0] + x[:, 1]) > 0.3


def test_a_continued_search_equals_an_uninterrupted_one(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rows()
    whole = anynet.tune(x, y, **OPTIONS)
    calls = itertools.count(1)
    observe = TimeLimit.observe

    def interrupted(self: Any) -> Any:
        if next(calls) == 17:
            raise KeyboardInterrupt
        return observe(self)

    with monkeypatch.context() as patch:
        patch.setattr(TimeLimit, "observe", interrupted)
        with pytest.raises(TrainingInterrupted):
            anynet.tune(x, y, **OPTIONS, folder=tmp_path / "search")
    continued = anynet.tune(x, y, **OPTIONS, folder=tmp_path / "search")
    np.testing.assert_array_equal(continued.predict_proba(x), whole.predict_proba(x))
    again = anynet.tune(x, y, **OPTIONS, folder=tmp_path / "search")
    np.testing.assert_array_equal(again.predict_proba(x), whole.predict_proba(x))


def test_a_time_limit_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(0.0, 1.0)
    monkeypatch.setattr(TimeLimit, "clock", lambda: next(seconds))
    found = anynet.tune(*rows(), **OPTIONS, time_limit=8.0)
    epochs = [len(model.history.records) for model in found.ensemble_.models]
    assert 1 <= min(epochs) <= max(epochs) < 6


def test_presets_without_a_space_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="realmlp"):
        anynet.tune(*rows(), preset="fast")
