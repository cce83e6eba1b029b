"""The number of kernels of a captured step on CuPy: none is added unseen."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import make_backend

import anynet
from anynet import tree
from anynet.backends.cuda import GraphRecorder
from anynet.backends.fusion import Fuser
from anynet.data.batches import Rows
from anynet.nn import CrossEntropy, SquaredError
from anynet.optim import SGD, Adam, Constant, Cosine
from anynet.training.state import Weights, initial_state, zero_sums
from anynet.training.step import EvaluationStep, PopulationStep, TrainingStep

pytestmark = pytest.mark.cuda

STEPS, BATCH = GraphRecorder.unrolled, 64  # of one graph
LAYERS = [784, 128, 64, 10]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a backend, and a list of what it would launch in a graph: nothing is compiled."""
    backend = make_backend("cupy")
    module = importlib.import_module("anynet.backends.cupy")
    log: list[str] = []

    def only_note(name: str, owner: Any, method: str) -> None:
        monkeypatch.setattr(owner, method, lambda *_, **__: log.append(name))

    only_note("kernel", module.Kernels, "launch")
    only_note("kernel", module, "_launch")
    only_note("product", module.Cublas, "multiply")
    plain = Fuser.plain

    def not_fused(*arguments: Any, **options: Any) -> Any:
        log.append("not fused")
        return plain(*arguments, **options)

    def capture(recorder: Any, warm_up: Any, work: Any) -> Any:  # noqa: ARG001
        log.clear()
        work()
        return lambda: None

    monkeypatch.setattr(Fuser, "plain", not_fused)
    monkeypatch.setattr(module.CuPyRecorder, "capture", capture)
    with backend.context():
        yield backend, log


def run(step: Any, state: Any, order: np.ndarray, data: Any, backend: Any) -> None:
    order, data = tree.map(backend.to_device, (order, data))
    backend.loop(step).run(state, order, data)
    assert backend.graphs.failure is None


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
    run(step, begin(step), ORDER, rows, backend)
    check(log, kernels, gemms)


def test_kernels_of_a_step_of_a_population_with_different_rates(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    numbers = {"schedule.value": np.linspace(0.01, 0.1, 8, dtype=np.float32)}
    order = np.stack([ORDER] * 8, axis=1)
    state = begin(step, tuple(range(8)))
    run(PopulationStep(step), state, order, (samples(), numbers), backend)
    check(log, 17, 8)


def test_kernels_of_an_evaluation(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    weights = Weights(begin(step).params)
    scoring = EvaluationStep(step.network, step.loss, backend)
    sums = zero_sums(step.loss, step.network, (), backend)
    run(scoring, sums, ORDER, (weights, samples()), backend)
    check(log, 7, 3)


def test_weights_of_samples_need_no_more_kernels(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    rows = samples()
    rows = rows._replace(weight=np.ones(len(rows.x), dtype=np.float32))
    run(step, begin(step), ORDER, rows, backend)
    check(log, 15, 8)


def test_large_batches_need_few_more_kernels(counted: Any) -> None:
    backend, log = counted
    step = training_step(backend, {}, {})
    step = replace(step, network=anynet.mlp([784, 2000, 1000, 500]))
    rows = samples()
    run(step, begin(step), ORDER.reshape(1, -1).repeat(STEPS, 0), rows, backend)
    check(log, 17, 8)
