"""Paired comparisons against SciPy, and their decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, binomtest

import anynet
from anynet.inspect import compare_predictions, holm, mcnemar


def masks(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, first, second, neither]
    one = np.repeat([True, True, False, False], counts)
    other = np.repeat([True, False, True, False], counts)
    return one, other


@pytest.mark.parametrize(
    ("b", "c"), [(1, 0), (0, 5), (6, 2), (25, 25), (40, 61), (300, 200), (3000, 3300)]
)
def test_mcnemar_equals_the_binomial_test(b: int, c: int) -> None:
    found = mcnemar(*masks(10, b, c, 4))
    assert (found.only_first, found.only_second) == (b, c)
    assert found.p_exact == pytest.approx(binomtest(b, b + c, 0.5).pvalue, rel=1e-9)
    least = min(b, c)
    mid = 2 * binom.cdf(least, b + c, 0.5) - binom.pmf(least, b + c, 0.5)
    assert found.p_mid == pytest.approx(mid, rel=1e-8)


def test_mcnemar_of_equal_predictions_is_one() -> None:
    assert mcnemar(*masks(5, 0, 0, 5)) == (0, 0, 1.0, 1.0)


def test_holm_equals_the_definition(rng: Any) -> None:
    p = rng.random(7) ** 3
    order = np.argsort(p)
    expected, largest = np.empty(7), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (7 - rank) * p[at]))
        expected[at] = largest
    np.testing.assert_allclose(holm(p.tolist()), expected)
    assert holm([]) == []


def test_interval_of_accuracy_covers_as_often_as_it_should(rng: Any) -> None:
    covered = 0
    for trial in range(100):
        one, other = rng.random((2, 300)) < [[0.8], [0.9]]
        y = np.zeros(300, dtype=int)
        (found,) = compare_predictions(y, [~one, ~other], seed=trial, draws=300)
        covered += found.low <= 0.1 <= found.high
    assert 88 <= covered <= 100


def test_r2_is_decided_for_a_clearly_better_model_only(rng: Any) -> None:
    y = rng.normal(1e6, 5, 400)
    noise = rng.normal(0, 1, (3, 400))
    predictions = [y + 3 * noise[0], y + noise[1], y + noise[2]]
    found = compare_predictions(y, predictions, task="values")
    assert [each.decided for each in found] == [True, True, False]
    expected = [1 - np.sum((y - each) ** 2) / np.sum((y - y.mean()) ** 2) for each in predictions]
    assert found[0].difference == pytest.approx(expected[1] - expected[0])
    assert found[0].low < found[0].difference < found[0].high
    assert all(each.p_holm >= each.p for each in found)


def test_two_equal_classifiers_are_not_decided(rng: Any) -> None:
    y = rng.integers(3, size=200)
    predictions = [np.where(rng.random(200) < 0.8, y, (y + 1) % 3) for _ in range(2)]
    (found,) = compare_predictions(y, predictions)
    assert not found.decided
    assert found.low < 0 < found.high
    assert found.mcnemar is not None
    assert found.p == found.p_holm == found.mcnemar.p_mid


@pytest.mark.parametrize(
    ("y", "predictions"),
    [([0, 1], [[0, 1]]), ([0, 1], [[0, 1], [0]]), ([], [[], []]), ([[0]], [[[0]], [[1]]])],
)
def test_invalid_predictions_are_refused(y: Any, predictions: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="predictions must be two or more"):
        compare_predictions(np.array(y), [np.array(each) for each in predictions])


def test_interval_of_accuracy_is_that_of_resampled_rows(rng: Any) -> None:
    one, other = rng.random((2, 80)) < [[0.7], [0.8]]
    (found,) = compare_predictions(np.zeros(80, dtype=int), [~one, ~other], draws=20_000)
    rows = rng.integers(80, size=(20_000, 80))
    sampled = other[rows].mean(axis=1) - one[rows].mean(axis=1)
    expected = np.quantile(sampled, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, atol=1 / 80 + 1e-9)


def test_r2_of_constant_values_is_refused() -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="different values"):
        compare_predictions(np.ones(3), [np.ones(3), np.zeros(3)], task="values")


def test_masks_are_needed() -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="must be masks"):
        mcnemar([0, 1], [True, False])
