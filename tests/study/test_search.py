"""Optuna searches: several points per request, reported scores, continuation."""

import sys
from pathlib import Path

import pytest

from anynet.errors import InvalidArgumentError
from anynet.study import Range
from anynet.study.search import SAMPLERS, optuna_search

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

SPACE = {
    "learning_rate": Range(0.001, 1.0, log=True),
    "batch_size": Range(16, 64),
    "layers": [(8,), (16, 8)],
}


class Judge:
    """Score points, and record the batches in which they arrive."""

    def __init__(self) -> None:
        self.batches: list[list[dict]] = []

    def __call__(self, points):
        self.batches.append(list(points))
        return [1 - abs(point["learning_rate"] - 0.1) for point in points]


def search(folder: Path, judge, n_trials: int = 10, **options):
    options = {"sampler": "tpe", "population": 4, **options}
    return optuna_search(SPACE, judge, n_trials=n_trials, folder=folder, **options)


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_points_are_requested_in_populations(tmp_path: Path, sampler: str) -> None:
    judge = Judge()
    points = search(tmp_path, judge, sampler=sampler)
    assert [len(batch) for batch in judge.batches] == [4, 4, 2]
    assert points == [point for batch in judge.batches for point in batch]
    for point in points:
        assert 0.001 <= point["learning_rate"] <= 1
        assert type(point["batch_size"]) is int
        assert 16 <= point["batch_size"] <= 64
        assert point["layers"] in SPACE["layers"]


def test_the_sampler_uses_the_reported_scores(tmp_path: Path) -> None:
    wanted = SPACE["layers"][1]
    points = search(
        tmp_path, lambda some: [p["layers"] == wanted for p in some], n_trials=60, population=5
    )
    assert sum(point["layers"] == wanted for point in points[30:]) > 24


def test_a_search_continues(tmp_path: Path) -> None:
    judge = Judge()
    first = search(tmp_path, judge, n_trials=4)
    more = search(tmp_path, judge, n_trials=6)
    assert more[:4] == first
    assert [len(batch) for batch in judge.batches] == [4, 2]
    assert search(tmp_path, judge, n_trials=6) == more
    assert len(judge.batches) == 2
    assert len({point["learning_rate"] for point in more}) == 6


def test_an_interrupted_population_is_requested_again(tmp_path: Path) -> None:
    asked = []

    def pressed(points):
        asked.extend(points)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, pressed, n_trials=4)
    judge = Judge()
    assert search(tmp_path, judge, n_trials=4) == asked
    assert judge.batches == [asked]


def test_points_without_a_score_are_recorded_as_failures(tmp_path: Path) -> None:
    points = search(tmp_path, lambda points: [None] * len(points), n_trials=4)
    assert len(points) == 4
    assert search(tmp_path, Judge(), n_trials=4) == points


def test_a_given_storage_is_used(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    points = search(tmp_path / "study", Judge(), n_trials=4, storage=url)
    stored = optuna.load_study(study_name="study", storage=url)
    assert [trial.params["learning_rate"] for trial in stored.trials] == [
        point["learning_rate"] for point in points
    ]
    assert [trial.value for trial in stored.trials] == Judge()(points)


def test_the_storage_of_another_search_raises(tmp_path: Path) -> None:
    search(tmp_path, Judge(), n_trials=2)
    other = {"learning_rate": Range(0.5, 1.0)}
    with pytest.raises(InvalidArgumentError, match="other options or ranges"):
        optuna_search(other, Judge(), n_trials=4, sampler="tpe", population=2, folder=tmp_path)


def test_an_invalid_storage_raises(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot use the storage"):
        search(tmp_path, Judge(), storage="nonsense://x")


def test_a_missing_package_of_a_sampler_raises_before_training(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(InvalidArgumentError, match="needs cmaes: pip install cmaes"):
        search(tmp_path, Judge(), sampler="cmaes")
    assert list(tmp_path.iterdir()) == []


def test_every_sampler_is_available() -> None:
    for name in SAMPLERS.values():
        assert hasattr(optuna.samplers, name)
