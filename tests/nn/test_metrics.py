"""Metrics: scores against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from anynet.nn.metrics import ACCURACY, R2, SUBSET_ACCURACY

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_match_scikit_learn(rng: np.random.Generator, weighted: bool) -> None:
    weight = rng.uniform(0.1, 2, 50) if weighted else None
    total = 50.0 if weight is None else weight.sum()
    logits, classes = rng.standard_normal((50, 3)), rng.integers(3, size=50)
    labels = (rng.uniform(size=(50, 3)) > 0.4).astype(float)

    got = ACCURACY.finish(ACCURACY.batch_sum(logits, classes, weight, np), total, np.zeros(1))
    expected = metrics.accuracy_score(classes, logits.argmax(1), sample_weight=weight)
    assert got == pytest.approx(expected, rel=1e-12)

    sums = SUBSET_ACCURACY.batch_sum(logits, labels, weight, np)
    got = SUBSET_ACCURACY.finish(sums, total, np.zeros(1))
    expected = metrics.accuracy_score(labels, logits > 0, sample_weight=weight)
    assert got == pytest.approx(expected, rel=1e-12)

    values = logits + rng.standard_normal((50, 3))
    mean = np.average(values, axis=0, weights=weight)
    spread = np.average((values - mean) ** 2, axis=0, weights=weight) * total
    got = R2.finish(R2.batch_sum(logits, values, weight, np), total, spread)
    expected = metrics.r2_score(values, logits, sample_weight=weight)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("right", [True, False])
def test_r2_of_a_constant_target_matches_scikit_learn(right: bool) -> None:
    target, value = np.ones((4, 1)), np.full((4, 1), 1.0 if right else 2.0)
    got = R2.finish(R2.batch_sum(value, target, None, np), 4.0, np.zeros(1))
    assert got == metrics.r2_score(target, value)
