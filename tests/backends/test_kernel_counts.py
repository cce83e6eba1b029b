"""The number of kernels of a captured step on CuPy, counted on the stand-in: none more, unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.backends.fusion import Fuser
from anynet.data.batches import Rows
from anynet.nn import CrossEntropy, SquaredError
from anynet.optim import SGD, Adam, Constant, Cosine
from anynet.training.state import Weights, initial_state, zero_sums
from anynet.training.step import EvaluationStep, PopulationStep, TrainingStep

from .stand_in import RawKernel, backend_of, paper
from .test_cublas import Library, products

__all__ = ["paper"]  # the fixture

STEPS, BATCH = 16, 64
LAYERS = [784, 128, 64, 10]


@pytest.fixture
def counted(paper: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a backend, and a list of what it launches while it captures a graph."""
    log: list[str] = []
    library = Library()
    backend = backend_of(paper, library)

    def note(name: str, function: Any) -> Any:
        def noted(*arguments: Any, **options: Any) -> Any:
            log.append(name)
            return function(*arguments, **options)

        return noted

    monkeypatch.setattr(RawKernel, "__call__", note("kernel", RawKernel.__call__))
    monkeypatch.setattr(Fuser, "plain", note("not fused", Fuser.plain))

    def capture(recorder: Any, warm_up: Any, work: Any) -> Any:  # noqa: ARG001
        work()
        log.extend(["product"] * len(products(library)))
        return lambda: None

    monkeypatch.setattr(paper.CuPyRecorder, "capture", capture)
    monkeypatch.setattr(paper.CuPyRecorder, "place", lambda _, array: id(array))
    with np.errstate(all="ignore"):  # fused kernels write nothing here
        yield backend, log


def samples() -> Rows:
    x = np.zeros((STEPS * BATCH, LAYERS[0]), dtype=np.uint8)
    return Rows(x, np.zeros(len(x), dtype=np.int32))


ORDER = np.arange(STEPS * BATCH, dtype=np.int32).reshape(STEPS, BATCH)
STEPS_OF: dict[str, tuple[int, int, dict[str, Any], dict[str, Any]]] = {
    # name: kernels, products, options of the network, options of the step
    "SGD": (15, 8, {}, {}),
    "momentum": (15, 8, {}, {"optimizer": SGD(momentum=0.9)}),
    "Adam": (15, 8, {}, {"optimizer": Adam()}),
    "schedule and average": (15, 8, {}, {"schedule": Cosine(0.1, epochs=9), "average": 0.9}),
    "weight decay": (15, 8, {}, {"optimizer": SGD(weight_decay=1e-4)}),
    "clipping": (17, 8, {}, {"clip_norm": 1.0}),
    "label smoothing": (15, 8, {}, {"loss": CrossEntropy(0.1)}),
    "squared error": (15, 8, {}, {"loss": SquaredError()}),
    "dropout": (17, 8, {"dropout": 0.2}, {}),
    "layer norm": (15, 8, {"layer_norm": True}, {}),
    "batch norm": (15, 8, {"batch_norm": True}, {}),
    "GELU": (15, 8, {"activation": "gelu"}, {}),
}


def training_step(backend: Any, network: dict[str, Any], options: dict[str, Any]) -> TrainingStep:
    defaults = {"loss": CrossEntropy(), "optimizer": SGD(), "schedule": Constant(0.1)}
    return TrainingStep(
        network=anynet.mlp(LAYERS, scale=1 / 255, **network),
        steps_per_epoch=STEPS,
        backend=backend,
        **{**defaults, **options},
    )


def begin(step: TrainingStep, seed: Any = 0) -> Any:
    average = step.average is not None
    return initial_state(
        step.network, step.loss, step.optimizer, seed, step.backend, average=average
    )


def check(log: list[str], kernels: int, gemms: int) -> None:
    """Compare the numbers of a step; a graph has one more kernel, which copies the state."""
    assert "not fused" not in log
    assert log.count("product") == STEPS * gemms
    assert len(log) - 1 == STEPS * kernels


@pytest.mark.parametrize("name", STEPS_OF)
def test_kernels_of_a_training_step(counted: Any, name: str) -> None:
    (backend, log), (kernels, gemms, network, options) = counted, STEPS_OF[name]
    step = training_step(backend, network, options)
    rows = samples()
    if isinstance(step.loss, SquaredError):
        rows = rows._replace(y=np.zeros((len(rows.x), LAYERS[-1]), dtype=np.float32))
    backend.loop(step).run(begin(step), ORDER, rows)
    check(log, kernels, gemms)


def test_kernels_of_a_step_of_a_population_with_different_rates(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    numbers = {"schedule.value": np.linspace(0.01, 0.1, 8, dtype=np.float32)}
    order = np.stack([ORDER] * 8, axis=1)
    state = begin(step, tuple(range(8)))
    backend.loop(PopulationStep(step)).run(state, order, (samples(), numbers))
    check(log, 17, 8)


def test_kernels_of_an_evaluation(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    weights = Weights(begin(step).params)
    scoring = EvaluationStep(step.network, step.loss, backend)
    sums = zero_sums(step.loss, step.network, (), backend)
    backend.loop(scoring).run(sums, ORDER, (weights, samples()))
    check(log, 7, 3)


def test_weights_of_samples_need_no_more_kernels(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    rows = samples()
    rows = rows._replace(weight=np.ones(len(rows.x), dtype=np.float32))
    backend.loop(step).run(begin(step), ORDER, rows)
    check(log, 15, 8)


def test_large_batches_need_few_more_kernels(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    step = replace(step, network=anynet.mlp([784, 2000, 1000, 500]))
    rows = samples()
    backend.loop(step).run(begin(step), ORDER.reshape(2, -1).repeat(8, 0), rows)
    check(log, 17, 8)
