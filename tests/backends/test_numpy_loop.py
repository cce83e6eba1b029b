"""NumPy's recorded loop: bitwise equal to the plain loop of the specification."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends.loops import RecordedLoop
from anynet.backends.numpy_calls import CallRecorder
from anynet.backends.portable import Loop
from anynet.data.batches import ResidentBatches, Rows
from anynet.nn import LOSSES, CrossEntropy, SquaredError
from anynet.nn.activations import ACTIVATIONS
from anynet.optim import (
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    CosLog4,
    Exponential,
    FlatCos,
    InverseScaling,
    OneCycle,
    RMSprop,
    Step,
    Warmup,
)
from anynet.training.evaluate import zero_sums
from anynet.training.state import Weights, initial_state
from anynet.training.step import EvaluationStep, TrainingStep

BATCH, STEPS = 16, 12


@pytest.fixture(autouse=True)
def _record_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CallRecorder, "worth", 1)


def make(rng: Any, loss: Any = None, network: Any = None, **options: Any) -> tuple[Any, ...]:
    """Return a step, a function that makes its initial state, an order, and samples."""
    loss = loss or CrossEntropy()
    network = network or anynet.mlp([20, 24, 8, 3])
    backend = anynet.get_backend("numpy")
    x = rng.standard_normal((200, 20)).astype(np.float32)
    y = {
        "classes": rng.integers(3, size=200).astype(np.int32),
        "labels": rng.integers(2, size=(200, 3)).astype(np.float32),
        "values": rng.random((200, 3)).astype(np.float32),
    }[loss.task]
    arguments = {"optimizer": SGD(), "schedule": Constant(0.05), "steps_per_epoch": 5} | options
    seed = arguments.pop("seed", 3)
    weight = arguments.pop("weight", None)
    step = TrainingStep(network, loss, backend=backend, **arguments)

    def start() -> Any:
        average = step.average is not None
        return initial_state(network, loss, step.optimizer, seed, backend, average=average)

    order = rng.integers(200, size=(STEPS, BATCH)).astype(np.int32)
    return step, start, order, ResidentBatches(Rows(x, y, weight), backend).rows


def assert_same_bits(actual: Any, expected: Any) -> None:
    for (path, a), (_, b) in zip(tree.flatten(actual), tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)
        assert np.asarray(a).dtype == np.asarray(b).dtype, path


def recorded_loop(step: Any) -> Any:
    """Return NumPy's recorded loop, whose ``report`` counts the replayed steps."""
    loop = anynet.get_backend("numpy").loop(step)
    assert isinstance(loop, RecordedLoop)
    return loop


def plain_loop(step: Any, state: Any, order: Any, data: Any) -> Any:
    return Loop(step).run(state, order, data)


CASES = {
    **{
        f"optimizer {name}": {"optimizer": optimizer}
        for name, optimizer in {
            "momentum": SGD(momentum=0.9),
            "nesterov with decay": SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
            "decoupled": SGD(weight_decay=0.1, decoupled=True),
            "rmsprop": RMSprop(),
            "adam": Adam(),
            "adamw": AdamW(),
        }.items()
    },
    **{
        f"schedule {schedule.kind}": {"schedule": schedule}
        for schedule in (
            Exponential(0.1),
            Step(0.1, epochs=1),
            Cosine(0.1, epochs=2),
            OneCycle(0.1, epochs=2),
            CosLog4(0.1, epochs=2),
            FlatCos(0.1, epochs=2),
            InverseScaling(0.1),
            Warmup(Cosine(0.1, epochs=2), epochs=1),
        )
    },
    **{
        f"activation {name}": {"network": anynet.mlp([20, 24, 8, 3], activation=name)}
        for name in ACTIVATIONS
    },
    **{f"loss {name}": {"loss": loss()} for name, loss in LOSSES.items()},
    "label smoothing": {"loss": CrossEntropy(0.1)},
    "clipping": {"clip_norm": 0.1},
    "max norm": {"max_norm": 1.0},
    "adversarial": {"adversarial": 2.0},
    "average": {"average": 0.9},
    "population": {"seed": (1, 2, 3), "optimizer": SGD(momentum=0.9)},
    "dropout": {"network": anynet.mlp([20, 24, 8, 3], dropout=0.3)},
    "layer norm": {"network": anynet.mlp([20, 24, 8, 3], layer_norm=True)},
    "batch norm": {"network": anynet.mlp([20, 24, 8, 3], batch_norm=True)},
    "batch norm, adversarial": {
        "network": anynet.mlp([20, 24, 3], batch_norm=True, dropout=0.2),
        "adversarial": 2.0,
        "average": 0.9,
    },
    "standardize": {"network": anynet.mlp([20, 24, 8, 3], standardize=True)},
    "frozen": {
        "network": anynet.mlp([20, 24, 8, 3], layer_norm=True).freeze([0, 1]),
        "optimizer": Adam(),
        "clip_norm": 0.1,
        "average": 0.9,
    },
    "scale": {"network": anynet.mlp([20, 24, 8, 3], scale=0.5)},
    "weights": {"weight": np.linspace(0, 2, 200, dtype=np.float32)},
    "large enough for accumulation by BLAS": {"network": anynet.mlp([20, 900, 40, 3])},
    "averaged, large enough for BLAS": {"network": anynet.mlp([20, 900, 3]), "average": 0.9},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_the_recorded_loop_is_bitwise_equal_to_the_plain_loop(rng, options: dict[str, Any]) -> None:
    step, start, order, rows = make(rng, **options)
    with step.backend.context():
        loop = recorded_loop(step)
        recorded = loop.run(start(), order, rows)
        assert loop.report.replayed == len(order)
        assert_same_bits(recorded, plain_loop(step, start(), order, rows))


def test_partial_orders_and_other_batch_sizes_continue_from_the_same_state(rng) -> None:
    step, start, order, rows = make(rng, optimizer=Adam())
    short = order[:1, :5]
    recorded, expected, loop = start(), start(), recorded_loop(step)
    for part in (short, order[:7], order[7:], short, order):
        recorded = loop.run(recorded, part, rows)
        expected = plain_loop(step, expected, part, rows)
    assert_same_bits(recorded, expected)
    assert loop.report.captured == 2


def test_a_loop_reuses_its_recording(rng) -> None:
    step, start, order, rows = make(rng)
    calls = []

    class Counting(TrainingStep):
        def __call__(self, state, batch, data):
            calls.append(batch.shape)
            return super().__call__(state, batch, data)

    counting = Counting(**{field.name: getattr(step, field.name) for field in fields(step)})
    state, loop = start(), recorded_loop(counting)
    for _ in range(3):
        state = loop.run(state, order, rows)
        state = state._replace(sums=zero_sums(step.loss, step.network, (), step.backend))
    assert calls == [(BATCH,)]
    other = Rows(rows.x + 1, rows.y)
    expected = plain_loop(step, tree.map(np.array, state), order, other)
    assert_same_bits(loop.run(state, order, other), expected)
    assert len(calls) == 2


def test_loops_of_the_same_step_share_no_memory(rng) -> None:
    step, start, order, rows = make(rng)
    first = recorded_loop(step).run(start(), order, rows)
    kept = tree.map(np.array, first)
    recorded_loop(step).run(start(), order[:3], rows)
    assert_same_bits(first, kept)


def test_the_given_state_is_not_modified(rng) -> None:
    step, start, order, rows = make(rng)
    state = start()
    for leaf in tree.leaves(state):
        leaf.flags.writeable = False
    before = tree.map(np.array, state)
    recorded_loop(step).run(state, order, rows)
    assert_same_bits(state, before)


def test_evaluation_is_also_recorded(rng) -> None:
    step, start, order, rows = make(rng, loss=SquaredError())
    backend = step.backend
    evaluation = EvaluationStep(step.network, step.loss, backend)
    data = (Weights(start().params), rows)
    zero = zero_sums(step.loss, step.network, (), backend)
    loop = recorded_loop(evaluation)
    recorded = loop.run(zero, order, data)
    assert loop.report.replayed == len(order)
    assert_same_bits(recorded, plain_loop(evaluation, zero, order, data))


@pytest.mark.parametrize(
    "read",
    [bool, float, int, len, np.asarray, list],
    ids=["bool", "float", "int", "len", "asarray", "list"],
)
def test_a_step_that_reads_on_the_host_runs_in_the_plain_loop(read) -> None:
    calls = []

    def step(state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG001
        calls.append(1)
        total = state[0] + rows
        read(total if read in (len, list, np.asarray) else total[0])
        return total, state[1]

    order = np.array([[1], [2]])
    state, loop = (np.zeros(1), np.zeros(())), recorded_loop(step)
    for _ in range(2):
        state = loop.run(state, order, ())
        assert loop.report.replayed == 0
    np.testing.assert_array_equal(state[0], [6])
    assert calls == [1, 1, 1, 1, 1]  # one attempt to record, then each row once


def test_a_step_that_swaps_its_leaves_is_replayed_correctly() -> None:
    def step(state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG001
        a, b = state
        return b, a + rows

    order = np.array([1.0, 2.0, 4.0])
    loop = recorded_loop(step)
    recorded = loop.run((np.zeros(()), np.ones(())), order, ())
    assert [float(leaf) for leaf in recorded] == [1 + 2, 0 + 1 + 4]
    assert loop.report.replayed == 3
    swapped = loop.run(recorded[::-1], order, ())
    assert [float(leaf) for leaf in swapped] == [3 + 2, 5 + 1 + 4]


def test_a_step_that_accumulates_into_its_own_array_is_replayed_correctly() -> None:
    def step(state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG001
        total = np.zeros(2)
        total += rows
        return (state[0] + total,)

    order = np.array([1.0, 2.0, 4.0])
    result = anynet.get_backend("numpy").loop(step).run((np.zeros(2),), order, ())
    np.testing.assert_array_equal(result[0], [7, 7])


def test_a_result_modified_in_place_does_not_share_the_buffer_of_another_operand() -> None:
    def step(state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG001
        total, penalty = state[0] * 2.0, state[0] * rows
        total += penalty
        return (total * 0.5,)

    order = np.array([2.0, 4.0, 6.0])
    result = recorded_loop(step).run((np.ones(2),), order, ())
    np.testing.assert_array_equal(result[0], [2 * 3 * 4, 2 * 3 * 4])


def test_an_unhashable_step_is_also_recorded() -> None:
    class Adding:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG002
            return (state[0] + rows,)

    loop = recorded_loop(Adding())
    state = loop.run((np.zeros(()),), np.arange(4.0), ())
    assert loop.report.replayed == 4
    assert float(state[0]) == 6


def test_calls_with_several_results_are_not_recorded() -> None:
    def step(state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG001
        fraction, whole = np.modf(state[0] + rows)[:2]
        return (fraction + 2 * whole, state[1])

    order = np.array([1.5, 2.25])
    loop = recorded_loop(step)
    state = loop.run((np.zeros(2), np.zeros(())), order, ())
    assert loop.report.replayed == 0
    np.testing.assert_array_equal(state[0], [9.75 - 1, 9.75 - 1])


def test_an_error_during_the_loop_is_raised_and_no_step_is_repeated() -> None:
    taken = []

    def step(state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG001
        if isinstance(rows, np.ndarray):  # not while recording, which does not permit this
            taken.append(float(rows))
        if float(rows) == 3:
            message = "at three"
            raise ValueError(message)
        return (state[0] + rows, state[1])

    with pytest.raises(ValueError, match="at three"):
        anynet.get_backend("numpy").loop(step).run(
            (np.zeros(2), np.zeros(())), np.array([1.0, 2.0, 3.0, 4.0]), ()
        )
    assert taken == [1, 2, 3]


def test_an_error_of_the_step_is_raised_unchanged() -> None:
    def step(*_: Any) -> Any:
        message = "of the step's own"
        raise KeyError(message)

    with pytest.raises(KeyError, match="of the step's own"):
        anynet.get_backend("numpy").loop(step).run((np.zeros(2),), np.zeros(3), ())
