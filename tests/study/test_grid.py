"""Grids have every combination once; random points are distinct, in range, repeatable."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anynet.errors import InvalidArgumentError
from anynet.study import EXPERIMENTS, Range, product, random_points

LISTS = st.lists(st.integers(0, 9), min_size=1, max_size=5)


@given(st.dictionaries(st.sampled_from("abc"), LISTS, min_size=1))
def test_a_grid_has_every_combination_once(grid: dict[str, list[int]]) -> None:
    points = product(grid)
    assert len(points) == math.prod(len(set(values)) for values in grid.values())
    assert len({tuple(point.values()) for point in points}) == len(points)
    for point in points:
        assert list(point) == list(grid)
        assert all(point[name] in values for name, values in grid.items())


@given(low=st.integers(1, 50), width=st.integers(1, 50), log=st.booleans(), n=st.integers(1, 30))
def test_random_points_stay_in_range(low: int, width: int, log: bool, n: int) -> None:
    space = {
        "whole": Range(low, low + width, log),
        "real": Range(low / 10, low / 10 + width, log),
        "choice": ["a", "b"],
    }
    points = random_points(space, n)
    assert len(points) == n
    for point in points:
        assert type(point["whole"]) is int
        assert low <= point["whole"] <= low + width
        assert low / 10 <= point["real"] <= low / 10 + width
        assert point["choice"] in "ab"
    assert random_points(space, n + 5)[:n] == points
    assert random_points(space, n, seed=1) != points


def test_random_points_end_when_the_space_is_exhausted() -> None:
    space = {"layers": [(8,), (16,), (8,)], "batch_size": Range(1, 2)}
    points = random_points(space, 99)
    assert len(points) == 4
    assert len({tuple(point.values()) for point in points}) == 4


def test_a_logarithmic_range_covers_its_decades_uniformly() -> None:
    drawn = [point["x"] for point in random_points({"x": Range(1e-4, 1.0, log=True)}, 400)]
    shares = [sum(10.0**-k <= x < 10.0 ** (1 - k) for x in drawn) / 400 for k in (1, 2, 3, 4)]
    assert all(0.15 < share < 0.35 for share in shares), shares
    whole = [point["x"] for point in random_points({"x": Range(1, 4, log=True)}, 4)]
    assert sorted(whole) == [1, 2, 3, 4]


def test_a_grid_with_too_many_points_raises() -> None:
    values = list(range(900))
    with pytest.raises(InvalidArgumentError, match="729,000,000 points"):
        product({"a": values, "b": values, "c": values})


@pytest.mark.parametrize("grid", [{}, {"decay": []}, {"decay": [1.0], "batch_size": []}])
@pytest.mark.parametrize("make", [product, lambda grid: random_points(grid, 3)])
def test_an_empty_grid_raises(grid: dict[str, list[float]], make) -> None:
    with pytest.raises(InvalidArgumentError, match="grid is empty"):
        make(grid)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ((1, 1), "low below high"),
        ((2.0, 1.0), "low below high"),
        ((0, 1, True), "low above 0"),
        ((float("nan"), 1), "finite"),
        ((0, float("inf")), "finite"),
        (("a", 1), "finite number, got 'a'"),
    ],
)
def test_an_invalid_range_raises(ends: tuple, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Range(*ends)


def test_the_experiments_match_the_report() -> None:
    values = {
        name: [next(iter(point.values())) for point in experiment.points]
        for name, experiment in EXPERIMENTS.items()
    }
    assert values["depth"] == [(64,), (128, 64), (256, 128, 64)]
    assert values["width"] == [(128, 64), (256, 64), (256, 128), (512, 64), (512, 128), (512, 256)]
    assert values["batch-size"] == [32, 64, 128, 256]
    assert values["decay"] == [0.9, 0.93, 0.95, 0.98, 1.0]
    assert {0.01, 0.05, 0.1, 0.3, 0.6} < set(values["learning-rate"])
