"""Adversarial training: the perturbation formula, the increased loss, the step's gradient."""

from __future__ import annotations

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.nn import CrossEntropy
from anynet.optim import SGD, Constant
from anynet.training.state import initial_state
from anynet.training.step import TrainingStep, move_uphill

DISTANCE = 0.7


def test_samples_are_perturbed_by_the_given_distance_along_the_gradient(
    backend64: Backend, rng
) -> None:
    x, dx = rng.standard_normal((2, 5, 4))
    dx[1], dx[2] = 0, dx[2] * 1e-40
    moved = move_uphill(*map(backend64.to_device, (x, dx)), DISTANCE, backend=backend64)
    step = backend64.to_host(moved) - x
    np.testing.assert_array_equal(step[1], 0)
    rest = [0, 3, 4]
    expected = DISTANCE * dx[rest] / np.linalg.norm(dx[rest], axis=1, keepdims=True)
    np.testing.assert_allclose(step[rest], expected, rtol=1e-12, atol=1e-15)


def test_perturbation_keeps_the_direction_of_tiny_float32_gradients(backend: Backend) -> None:
    dx = np.array([[3e-25, -4e-25]], dtype=np.float32)  # their squares underflow to zero in float32
    x = np.zeros((1, 2), dtype=np.float32)
    moved = move_uphill(*map(backend.to_device, (x, dx)), 10.0, backend=backend)
    np.testing.assert_allclose(backend.to_host(moved), [[6, -8]], rtol=1e-6)


def test_the_step_descends_the_mean_of_both_losses(backend64: Backend, digits) -> None:
    """Compare with finite differences of the two losses at fixed perturbed samples."""
    network, loss = anynet.mlp([64, 6, 10], activation="tanh", scale=digits.scale), CrossEntropy()
    x, y = digits.train[0][:20], digits.train[1][:20].astype(np.int32)
    step = TrainingStep(
        network, loss, SGD(), Constant(1.0), 1, backend64, adversarial=DISTANCE / digits.scale
    )
    state = initial_state(network, loss, SGD(), 4, backend64)
    before = tree.map(lambda leaf: backend64.to_host(leaf).copy(), state.params)
    order = np.arange(20, dtype=np.int32)[None]
    rows = tree.map(backend64.to_device, Rows(x, y))
    after = backend64.loop(step).run(state, backend64.to_device(order), rows)

    reference = anynet.get_backend("numpy", dtype="float64")

    def value(params, samples) -> tuple[float, np.ndarray]:
        logits, pullback, _ = network.apply(params, samples, backend=reference, key=None)
        found, dlogits = loss(logits, y, None, backend=reference)
        return float(found), pullback(dlogits, need_dx=True)[1]

    own, dx = value(before, x.astype(float))
    norms = np.linalg.norm(dx, axis=1, keepdims=True)
    neighbours = x + DISTANCE / digits.scale * dx / norms
    assert value(before, neighbours)[0] > own
    gradient = before[1]["weight"] - backend64.to_host(after.params[1]["weight"])
    for place in [(10, 0), (33, 5), (60, 2)]:
        losses = []
        for shift in (1e-5, -1e-5):
            moved = tree.map(np.copy, before)
            moved[1]["weight"][place] += shift
            losses.append(
                0.5 * value(moved, x.astype(float))[0] + 0.5 * value(moved, neighbours)[0]
            )
        assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5, abs=1e-9)
    assert float(backend64.to_host(after.sums.loss)) / 20 == pytest.approx(own, rel=1e-12)


def test_population_members_match_single_runs(digits) -> None:
    network = anynet.mlp([64, 8, 10], dropout=0.2, scale=digits.scale)
    data = (digits.train[0][:200], digits.train[1][:200])
    configs = [{"seed": seed, "adversarial": distance} for seed, distance in ((1, 4.0), (2, 9.0))]
    options = {"epochs": 2, "batch_size": 40, "backend": "numpy"}
    for config, member in zip(
        configs, anynet.fit_population(network, data, configs, **options), strict=True
    ):
        alone = anynet.fit(network, data, **config, **options)
        for ours, expected in zip(
            tree.leaves(member.params), tree.leaves(alone.params), strict=True
        ):
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
