"""Losses: gradients against finite differences, values against torch and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import numeric_gradient

from anynet import InvalidArgumentError
from anynet.backends import Backend
from anynet.backends.numpy import create
from anynet.nn import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    Poisson,
    SquaredError,
)

REFERENCE = create(None, "float64", "")
CASES = [
    CrossEntropy(),
    CrossEntropy(label_smoothing=0.2),
    BinaryCrossEntropy(),
    SquaredError(),
    AbsoluteError(),
    Huber(0.7),
    Poisson(),
]


def make_target(loss: Loss, rng: np.random.Generator, n: int, outputs: int) -> np.ndarray:
    if loss.task == "classes":
        return rng.integers(outputs, size=n).astype(np.int32)
    if loss.task == "labels":
        return rng.integers(2, size=(n, outputs)).astype(np.float64)
    if loss.kind == "poisson":
        return rng.poisson(2.0, (n, outputs)).astype(np.float64)
    return rng.standard_normal((n, outputs))


def test_every_registered_loss_has_a_case() -> None:
    assert {type(loss) for loss in CASES} == set(LOSSES.values())


@pytest.mark.parametrize("loss", CASES, ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_matches_finite_differences(
    backend64: Backend, rng: np.random.Generator, loss: Loss, weighted: bool
) -> None:
    logits = rng.standard_normal((6, 3))
    target = make_target(loss, rng, 6, 3)
    weight = rng.uniform(0, 2, 6) if weighted else None
    value, gradient = loss(
        backend64.to_device(logits),
        backend64.to_device(target),
        None if weight is None else backend64.to_device(weight),
        backend=backend64,
    )

    def scalar(point: np.ndarray) -> float:
        return float(loss(point, target, weight, backend=REFERENCE)[0])

    assert float(backend64.to_host(value)) == pytest.approx(scalar(logits), rel=1e-12)
    expected = numeric_gradient(scalar, logits)
    np.testing.assert_allclose(backend64.to_host(gradient), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("loss", CASES, ids=repr)
def test_population_losses_match_single_members(
    backend64: Backend, rng: np.random.Generator, loss: Loss
) -> None:
    logits = rng.standard_normal((2, 6, 3))
    target = make_target(loss, rng, 6, 3)
    together = loss(
        backend64.to_device(logits), backend64.to_device(target), None, backend=backend64
    )
    for member in range(2):
        alone = loss(
            backend64.to_device(logits[member]),
            backend64.to_device(target),
            None,
            backend=backend64,
        )
        for all_members, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(
                backend64.to_host(all_members)[member], backend64.to_host(one), rtol=1e-13
            )


@pytest.mark.parametrize("loss", CASES, ids=repr)
def test_integer_weights_equal_repeated_samples(rng: np.random.Generator, loss: Loss) -> None:
    logits, target = rng.standard_normal((4, 3)), make_target(loss, rng, 4, 3)
    counts = np.array([3, 0, 1, 2])
    weighted, _ = loss(logits, target, counts.astype(float), backend=REFERENCE)
    repeated, _ = loss(
        np.repeat(logits, counts, axis=0),
        np.repeat(target, counts, axis=0),
        None,
        backend=REFERENCE,
    )
    assert float(weighted) == pytest.approx(float(repeated), rel=1e-13)


@pytest.mark.parametrize("loss", CASES, ids=repr)
def test_a_batch_of_zero_weights_has_zero_loss_and_gradient(
    backend: Backend, rng, loss: Loss
) -> None:
    logits = backend.to_device(rng.standard_normal((4, 3)).astype(np.float32))
    target = make_target(loss, rng, 4, 3)
    target = backend.to_device(target.astype(np.int32 if target.ndim == 1 else np.float32))
    zeros = backend.to_device(np.zeros(4, dtype=np.float32))
    value, gradient = loss(logits, target, zeros, backend=backend)
    assert float(backend.to_host(value)) == 0
    np.testing.assert_array_equal(backend.to_host(gradient), 0)


@pytest.mark.parametrize("loss", CASES, ids=repr)
def test_values_match_torch(rng: np.random.Generator, loss: Loss) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    logits, target = 3 * rng.standard_normal((8, 4)), make_target(loss, rng, 8, 4)
    z, y = torch.from_numpy(logits), torch.from_numpy(target)
    if loss.kind == "cross_entropy":
        expected = functional.cross_entropy(z, y.long(), label_smoothing=loss.label_smoothing)
    elif loss.kind == "binary_cross_entropy":
        # anynet sums over the outputs.
        expected = functional.binary_cross_entropy_with_logits(z, y) * 4
    elif loss.kind == "squared_error":
        expected = functional.mse_loss(z, y) / 2
    elif loss.kind == "absolute_error":
        expected = functional.l1_loss(z, y)
    elif loss.kind == "huber":
        expected = functional.huber_loss(z, y, delta=loss.delta)
    else:
        sklearn_metrics = pytest.importorskip("sklearn.metrics")
        mean = np.exp(logits)
        expected = sklearn_metrics.mean_poisson_deviance(target.ravel(), mean.ravel()) / 2
    value, _ = loss(logits, target, None, backend=REFERENCE)
    assert float(value) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("scale", [1e4, -1e4])
@pytest.mark.parametrize("loss", [CrossEntropy(), BinaryCrossEntropy()], ids=repr)
def test_huge_logits_give_finite_losses_and_gradients(backend: Backend, scale, loss) -> None:
    logits = backend.to_device(np.array([[scale, 0, -scale], [0, scale, 1]], dtype=np.float32))
    target = np.array([2, 0], dtype=np.int32)
    if loss.task == "labels":
        target = np.eye(3, dtype=np.float32)[target]
    value, gradient = loss(logits, backend.to_device(target), None, backend=backend)
    assert np.isfinite(float(backend.to_host(value)))
    assert np.all(np.isfinite(backend.to_host(gradient)))


def test_probabilities_sum_to_one(backend: Backend, rng: np.random.Generator) -> None:
    logits = backend.to_device(50 * rng.standard_normal((5, 4)).astype(np.float32))
    probabilities = backend.to_host(CrossEntropy().link(logits, backend.xp))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert np.all(probabilities >= 0)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_invalid_label_smoothing_raises(smoothing: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"label_smoothing must be .*below 1"):
        CrossEntropy(smoothing)


def test_invalid_huber_delta_raises() -> None:
    with pytest.raises(InvalidArgumentError, match="above 0, got 0"):
        Huber(0)
