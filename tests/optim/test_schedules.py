"""Schedules: closed formulas and torch's schedulers, on every backend."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anynet import InvalidArgumentError, get_backend
from anynet.backends import Backend
from anynet.config import from_config, to_config
from anynet.optim import (
    Constant,
    Cosine,
    CosLog4,
    Exponential,
    FlatCos,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    Step,
    Warmup,
    as_schedule,
    for_run,
)
from anynet.training.history import Plateau

STEPS_PER_EPOCH = 7
STEPS = range(40)


def rates(schedule, backend: Backend) -> np.ndarray:
    """Return the rates as a step uses them: the schedule's value multiplied by an array."""
    one = backend.to_device(np.ones((), dtype=backend.dtype))

    def rate(step: int) -> float:
        number = backend.to_device(np.asarray(step, dtype=np.int32))
        return float(backend.to_host(schedule(number, STEPS_PER_EPOCH, backend=backend) * one))

    return np.array([rate(step) for step in STEPS])


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (Constant(0.3), lambda step: 0.3),  # noqa: ARG005
        (Exponential(0.1, decay=0.95), lambda step: 0.1 * 0.95 ** (step // 7)),
        (Step(0.1, factor=0.5, epochs=2), lambda step: 0.1 * 0.5 ** (step // 14)),
        (
            Cosine(0.2, epochs=4, final=0.01),
            lambda step: 0.01 + 0.19 * (1 + math.cos(math.pi * min(step / 28, 1))) / 2,
        ),
        (
            CosLog4(0.3, epochs=5),
            lambda step: 0.15 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * min(step / 35, 1)))),
        ),
        (
            FlatCos(0.3, epochs=5),
            lambda step: (
                0.3
                if step / 35 <= 0.5
                else 0.15 * (1 + math.cos(math.pi * (2 * min(step / 35, 1) - 1)))
            ),
        ),
        (InverseScaling(0.5, power=0.5), lambda step: 0.5 / math.sqrt(step + 1)),
        (Warmup(Constant(0.4), epochs=2), lambda step: 0.4 * min((step + 1) / 14, 1)),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_rates_follow_the_formula(backend64: Backend, schedule, formula) -> None:
    expected = [formula(step) for step in STEPS]
    np.testing.assert_allclose(rates(schedule, backend64), expected, rtol=1e-12, atol=1e-15)


def test_exponential_decay_takes_effect_exactly_at_the_end_of_an_epoch(backend: Backend) -> None:
    got = rates(Exponential(1.0, decay=0.5), backend)
    np.testing.assert_array_equal(got, [0.5 ** (step // 7) for step in STEPS])


def test_one_cycle_has_the_end_points_and_peak_of_torch(backend64: Backend) -> None:
    got = rates(OneCycle(0.8, epochs=4, warmup=0.25), backend64)
    assert got[0] == pytest.approx(0.8 / 25, rel=1e-12)
    assert got[7] == pytest.approx(0.8, rel=1e-12)
    assert got[28] == pytest.approx(0.8 / 25e4, rel=1e-9)
    assert np.all(np.diff(got[:8]) > 0)
    assert np.all(np.diff(got[7:29]) < 0)


@pytest.mark.parametrize("kind", [Cosine, OneCycle, CosLog4, FlatCos])
def test_schedules_last_as_long_as_the_run_unless_they_have_their_own_epochs(kind) -> None:
    assert for_run(kind(0.1), 9) == kind(0.1, epochs=9)
    assert for_run(kind(0.1, epochs=4), 9) == kind(0.1, epochs=4)
    assert for_run(Warmup(kind(0.1), 2), 9) == Warmup(kind(0.1, epochs=9), 2)
    assert from_config("schedule", to_config(kind(0.1))) == kind(0.1)
    assert from_config("schedule", {"kind": kind.kind, "value": 0.1, "epochs": 15}).epochs == 15
    with pytest.raises(InvalidArgumentError, match="pass it to fit, or give it epochs"):
        kind(0.1)(0, 1, backend=get_backend("numpy"))


def test_schedules_without_a_duration_are_the_same_for_every_run() -> None:
    for schedule in (Constant(0.1), Step(0.1), Warmup(Constant(0.1), 2), ReduceOnPlateau(0.1), abs):
        assert for_run(schedule, 9) is schedule


def test_plateau_matches_torch() -> None:
    torch = pytest.importorskip("torch")
    scores = [0.1, 0.2, 0.2, 0.19, 0.2, 0.2, 0.2, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=2, threshold=0.0, threshold_mode="abs"
    )
    plateau = Plateau(ReduceOnPlateau(1.0, factor=0.5, patience=2))
    for score in scores:
        oracle.step(score)
        assert plateau.observe(score) == optimizer.param_groups[0]["lr"]


def test_numbers_become_constant_schedules() -> None:
    assert as_schedule(0.1) == Constant(0.1)
    assert as_schedule(Cosine(0.1)) == Cosine(0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-0.1), "value must be a finite number of at least 0, got -0.1"),
        (lambda: Constant(float("nan")), "got nan"),
        (lambda: Exponential(0.1, decay=-1), "decay"),
        (lambda: Step(0.1, epochs=0), "epochs must be .*above 0"),
        (lambda: Cosine(0.1, epochs=0), "epochs must be .*above 0"),
        (lambda: OneCycle(0.1, warmup=1.0), "warmup must be .*above 0 and below 1"),
        (lambda: Warmup(Constant(0.1), epochs=0), "warmup: epochs must be .*above 0"),
        (
            lambda: as_schedule(-0.1),
            "learning_rate must be a finite number of at least 0, got -0.1",
        ),
        (lambda: as_schedule("fast"), "a number or a schedule, got 'fast'"),
    ],
)
def test_invalid_options_raise(make, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make()
