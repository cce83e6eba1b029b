"""Recorded graphs, on a recorder whose replay runs the captured work on the same buffers."""

from __future__ import annotations

import gc
import time
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends.cuda import GraphRecorder, GraphReport
from anynet.backends.loops import MOST_RECORDINGS, RecordedLoop
from anynet.backends.numpy import NumPyBackend
from anynet.backends.numpy import xp as numpy_xp
from anynet.backends.portable import Loop
from anynet.optim import SGD, Adam, Cosine
from anynet.training import history


class Rerun(GraphRecorder):
    """Replay by calling ``work`` again; the captures listed in ``failing`` raise instead."""

    def __init__(
        self,
        unrolled: int = 16,
        failing: tuple[int, ...] = (),
        error: type[BaseException] = OSError,
    ) -> None:
        self.unrolled = unrolled
        self.failing = failing
        self.error = error
        self.recorded = 0

    def copy(self, array: Any) -> Any:
        return array.clone() if hasattr(array, "clone") else np.array(array, order="C")

    def write(self, buffer: Any, array: Any) -> None:
        buffer[...] = array

    def place(self, array: Any) -> Any:
        torchs = hasattr(array, "data_ptr")
        address = array.data_ptr() if torchs else array.__array_interface__["data"][0]
        return address, array.shape, array.stride() if torchs else array.strides, array.dtype

    def capture(self, warm_up: Any, work: Any) -> Any:
        warm_up()
        self.recorded += 1
        if self.recorded in self.failing:
            message = "operation not permitted when stream is capturing"
            raise self.error(message)
        return work


@dataclass(frozen=True)
class ReplayingNumPy(NumPyBackend):
    """NumPy with the recorded loops of CuPy."""

    recorder: GraphRecorder = field(default_factory=Rerun, compare=False)
    graphs: GraphReport = field(default_factory=GraphReport, compare=False)

    def loop(self, step: Any) -> Any:
        return RecordedLoop(step, self.recorder, self.graphs)


def backends(library: str, recorder: GraphRecorder, monkeypatch: Any = None) -> tuple[Any, Any]:
    """Return a backend with graphs and the same backend without."""
    if library == "numpy":
        return ReplayingNumPy(numpy_xp, "cpu", recorder=recorder), anynet.get_backend("numpy")
    pytest.importorskip("torch")
    plain = anynet.get_backend("torch", "cpu")
    monkeypatch.setattr("anynet.backends.torch.TorchRecorder", lambda _: recorder)
    return replace(plain, graphs=GraphReport()), plain


NETWORK = anynet.mlp([12, 8, 3], activation="gelu", dropout=0.2, layer_norm=True, scale=1 / 255)
STATEFUL = anynet.mlp([12, 8, 6, 3], batch_norm=True, standardize=True, dropout=0.2)


def trained(backend: Any, **options: Any) -> anynet.training.Model:
    """Train on 323 random samples: 10 full batches, 1 short batch, 30 validation samples."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (353, 12)).astype(np.uint8)
    y = (x[:, :3].astype(int) // 86).sum(axis=1) % 3
    arguments: dict[str, Any] = {
        "validation": (x[323:], y[323:]),
        "epochs": 4,
        "batch_size": 32,
        "patience": None,
        "target_accuracy": None,
        "optimizer": Adam(),
        "learning_rate": Cosine(0.01, epochs=4),
        "clip_norm": 1.0,
        "average": 0.9,
    }
    network = options.pop("network", NETWORK)
    return anynet.fit(network, (x[:323], y[:323]), backend=backend, **arguments | options)


def assert_same(one: anynet.training.Model, other: anynet.training.Model) -> None:
    """Check that weights are bitwise equal and histories equal except for durations."""
    leaves = [
        [m.backend.to_host(leaf) for leaf in tree.leaves((m.params, m.states))]
        for m in (one, other)
    ]
    for mine, yours in zip(*leaves, strict=True):
        np.testing.assert_array_equal(mine, yours)
    records = [[r._replace(seconds=0) for r in m.history.records] for m in (one, other)]
    assert records[0] == records[1]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("unrolled", [1, 4, 16])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": SGD(), "clip_norm": None, "average": None},
        {"resident": False},
        {"network": STATEFUL},
        {"network": STATEFUL.freeze([1, 2]), "optimizer": SGD(momentum=0.9)},
    ],
    ids=["adam", "sgd in place", "streamed from the host", "layers with state", "frozen layers"],
)
def test_training_is_bitwise_equal_to_the_plain_loop(
    library, unrolled, options, monkeypatch
) -> None:
    replaying, plain = backends(library, Rerun(unrolled), monkeypatch)
    assert_same(trained(replaying, **options), trained(plain, **options))
    assert replaying.graphs.failure is None
    # full batches, short batch, scoring batches
    assert replaying.graphs.replayed == 4 * (10 + 1 + 1)


def test_epochs_reuse_graphs() -> None:
    captured = []
    for epochs in (2, 6):
        replaying, _ = backends("numpy", Rerun(4))
        trained(replaying, epochs=epochs)
        captured.append(replaying.graphs.captured)
    # Chunks of 4 and 2 steps, the short batch, and scoring, which reads the state buffers.
    assert captured == [3 + 1, 3 + 1]


def test_progress_reads_the_running_loss_between_replays() -> None:
    seen: dict[str, list[history.Progress]] = {"replaying": [], "plain": []}
    replaying, plain = backends("numpy", Rerun(4))
    trained(replaying, progress=seen["replaying"].append)
    trained(plain, progress=seen["plain"].append)
    assert len(seen["plain"]) > 10
    assert seen["replaying"] == seen["plain"]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_failed_capture_keeps_the_results_and_warns_once(library, failing, monkeypatch) -> None:
    """The capture of the first or remaining batches, the short batch or the scoring fails."""
    replaying, plain = backends(library, Rerun(8, failing=(failing,)), monkeypatch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = trained(replaying)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert "OSError: operation not permitted when stream is capturing" in str(caught[0].message)
    assert "the same numbers" in str(caught[0].message)
    assert_same(model, trained(plain))
    assert replaying.graphs.describe().startswith("eager: capture failed: OSError")


def test_a_report_names_the_error_that_led_to_the_last_one() -> None:
    """As in torch: the end of an invalid capture raises while the true error is handled."""

    def failing(cause: bool, hidden: bool = False) -> None:
        try:
            try:
                float("no number")
            except ValueError as error:
                message = "copy in a\n capture"
                raise KeyError(message) from (error if cause else None)
        except KeyError:
            message = "the capture is invalid"
            if hidden:
                raise RuntimeError(message) from None
            raise RuntimeError(message)  # noqa: B904  (without a cause)

    for options, first in [((True,), "ValueError"), ((False,), "KeyError"), ((True, True), None)]:
        report = GraphReport()
        with pytest.raises(RuntimeError) as raised:
            failing(*options)
        with pytest.warns(RuntimeWarning) as warned:
            report.fail(raised.value)
        last = "RuntimeError: the capture is invalid"
        assert report.failure is not None
        assert report.failure.endswith(last)
        assert report.failure.startswith(last if first is None else f"{first}: ")
        assert report.failure in str(warned[0].message)


def test_an_error_of_the_step_is_raised_unchanged() -> None:
    class Wrong:
        def __call__(self, *arguments: Any) -> Any:
            raise ZeroDivisionError(len(arguments))

    replaying, _ = backends("numpy", Rerun())
    state, order = (np.zeros(2),), np.zeros((3, 1), dtype=np.int32)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"), pytest.raises(ZeroDivisionError):
        replaying.loop(Wrong()).run(state, order, ())


def test_an_interrupt_is_raised_and_leaves_the_loop_usable() -> None:
    recorder = Rerun(4, failing=(1,), error=KeyboardInterrupt)
    replaying, plain = backends("numpy", recorder)
    with pytest.raises(anynet.TrainingInterrupted):
        trained(replaying)
    assert_same(trained(replaying), trained(plain))
    assert replaying.graphs.failure is None


class Fibonacci:
    """(a, b) ← (b, a + b + the row's value): buffers of swapped leaves must not mix."""

    def __call__(self, state: Any, rows: Any, data: Any) -> Any:
        return (state[1], state[0] + state[1] + data[int(rows[0])])


def fibonacci_loop(unrolled: int = 4) -> RecordedLoop[Any]:
    return RecordedLoop(Fibonacci(), Rerun(unrolled), GraphReport())


def fibonacci(loop: RecordedLoop[Any], order: Any, data: Any, start: Any = (0.0, 1.0)) -> Any:
    state = tuple(np.array([value]) for value in start)
    expected = Loop(Fibonacci()).run(state, order, data)
    got = loop.run(state, order, data)
    np.testing.assert_array_equal(got, expected)
    return got


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 5, 8, 11])
def test_any_number_of_steps_with_leaves_that_are_swapped(steps: int) -> None:
    order = np.arange(steps, dtype=np.int32).reshape(-1, 1) % 3
    fibonacci(fibonacci_loop(), order, np.array([1.0, 10.0, 100.0]))


def test_a_state_that_the_loop_returned_is_not_copied(monkeypatch) -> None:
    loop = fibonacci_loop()
    order, data = np.zeros((4, 1), dtype=np.int32), np.array([1.0])
    first = fibonacci(loop, order, data)
    written = []
    write = loop.recorder.write
    monkeypatch.setattr(
        loop.recorder, "write", lambda buffer, array: (written.append(buffer), write(buffer, array))
    )
    second = loop.run(first, order, data)
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert not any(buffer is leaf for buffer in written[:1] for leaf in first)


def test_leaves_of_the_returned_state_may_be_swapped() -> None:
    loop = fibonacci_loop()
    order, data = np.zeros((4, 1), dtype=np.int32), np.array([1.0])
    first = fibonacci(loop, order, data)
    swapped = first[::-1]
    expected = Loop(Fibonacci()).run([leaf.copy() for leaf in swapped], order, data)
    np.testing.assert_array_equal(loop.run(swapped, order, data), expected)


def test_loops_share_no_memory() -> None:
    order, data = np.zeros((5, 1), dtype=np.int32), np.array([1.0])
    first = fibonacci(fibonacci_loop(), order, data)
    kept = [leaf.copy() for leaf in first]
    fibonacci(fibonacci_loop(), order, data, start=(5.0, 7.0))
    np.testing.assert_array_equal(first, kept)


def test_a_state_of_another_shape_is_recorded_again() -> None:
    loop = fibonacci_loop()
    order, data = np.zeros((4, 1), dtype=np.int32), np.array([1.0])
    fibonacci(loop, order, data)
    wide = loop.run((np.zeros(3), np.ones(3)), order, data)
    assert [leaf.shape for leaf in wide] == [(3,), (3,)]
    assert loop.report.captured == 2


def test_a_recorded_loop_reads_new_data_of_the_same_shapes() -> None:
    loop = fibonacci_loop()
    order = np.zeros((4, 1), dtype=np.int32)
    kept = [np.array([float(value)]) for value in range(5)]
    for data in [*kept, *kept]:
        fibonacci(loop, order, data)
    assert loop.report.captured == 2  # in place, then from a refilled buffer
    fibonacci(loop, order, [kept[0]])  # another tree structure
    assert loop.report.captured == 3


def test_large_data_are_not_copied(monkeypatch) -> None:
    monkeypatch.setattr(Rerun, "largest_copy", 4)
    loop = fibonacci_loop()
    order = np.zeros((4, 1), dtype=np.int32)
    copied = []
    kept = [np.array([value]) for value in (1.0, 2.0, 3.0)]
    copy = loop.recorder.copy
    monkeypatch.setattr(loop.recorder, "copy", lambda one: copied.append(id(one)) or copy(one))
    for data in kept:
        fibonacci(loop, order, data)
        fibonacci(loop, order, data)
    assert loop.report.captured == 3
    assert not {id(data) for data in kept} & set(copied)


def test_the_two_buffers_of_a_stream_of_large_blocks_are_recorded_once_each(monkeypatch) -> None:
    monkeypatch.setattr(Rerun, "largest_copy", 4)
    loop = fibonacci_loop()
    order = np.zeros((6, 1), dtype=np.int32)  # chunks of 4 and 2 steps
    slots = [np.zeros(1), np.zeros(1)]
    for turn in range(10):
        slots[turn % 2][...] = turn
        fibonacci(loop, order, slots[turn % 2][:])  # another array object at the same address
    assert loop.report.captured == 2 * 2
    for turn in range(3):  # of a later epoch, in other memory
        fibonacci(loop, order, np.array([float(turn), 0.0])[:1])
    assert loop.report.failure is None


def test_arrays_at_one_address_with_other_strides_or_types_are_recorded_anew() -> None:
    loop = fibonacci_loop()
    order = np.array([[0], [1], [2], [1]], dtype=np.int32)
    memory = np.arange(6.0)
    for data in (memory[:3], memory[::2], memory[:3].view(np.int64), memory[:3]):
        fibonacci(loop, order, data)


def test_data_are_not_kept_alive(monkeypatch) -> None:
    class Data(np.ndarray):
        """An array that supports weak references."""

    # as in a graph: the replay holds no closure of the step
    monkeypatch.setattr(Rerun, "capture", lambda self, warm_up, work: lambda: None)  # noqa: ARG005
    ended = []
    loop = fibonacci_loop()
    data = np.array([1.0]).view(Data)
    loop.run((np.zeros(1), np.ones(1)), np.zeros((4, 1), np.int32), data)
    weakref.finalize(data, ended.append, True)
    del data
    gc.collect()
    assert ended == [True]
    assert loop.report.captured == 1


@dataclass(frozen=True)
class Holding:
    """A step that holds its backend, as a training step does."""

    backend: Any

    def __call__(self, state: Any, *_: Any) -> Any:
        return state


def test_graphs_are_freed_with_their_loop_without_garbage_collection(monkeypatch) -> None:
    monkeypatch.setattr(Rerun, "capture", lambda self, warm_up, work: lambda: None)  # noqa: ARG005
    gc.collect()
    gc.disable()
    try:
        replaying, _ = backends("numpy", Rerun())
        loop = replaying.loop(Holding(replaying))
        for _ in range(2):
            loop.run((np.zeros(1),), np.zeros((4, 1), np.int32), ())
        assert replaying.graphs.captured == 1
        (replay,) = map(weakref.ref, loop.recordings.values())
        del loop
        assert replay() is None
    finally:
        gc.enable()


def test_one_thread_of_the_process_captures_at_a_time() -> None:
    """Streams of captures are shared by the backends and loops of a process."""
    active, most = [], []

    class Watched(Rerun):
        def capture(self, warm_up: Any, work: Any) -> Any:
            active.append(self)
            most.append(len(active))
            time.sleep(0.01)
            replay = super().capture(warm_up, work)
            active.remove(self)
            return replay

    order, data = np.zeros((10, 1), np.int32), np.ones(1)

    def run(_: int) -> Any:
        return fibonacci(RecordedLoop(Fibonacci(), Watched(4), GraphReport()), order, data)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(4)))
    assert most == [1] * 8  # two chunks in each thread
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_a_step_may_run_a_loop_of_its_own() -> None:
    inner = fibonacci_loop()

    class Outer:
        def __call__(self, state: Any, rows: Any, data: Any) -> Any:
            return inner.run(state, rows[None], data)

    order, data = np.zeros((5, 1), np.int32), np.ones(1)
    loop = RecordedLoop(Outer(), Rerun(), GraphReport())
    got = loop.run((np.zeros(1), np.ones(1)), order, data)
    expected = Loop(Fibonacci()).run((np.zeros(1), np.ones(1)), order, data)
    np.testing.assert_array_equal(got, expected)


def test_the_number_of_recordings_is_bounded() -> None:
    loop = fibonacci_loop()
    order = np.zeros((4, 2 * MOST_RECORDINGS), dtype=np.int32)
    for size in range(1, 2 * MOST_RECORDINGS):
        fibonacci(loop, order[:, :size], np.ones(1))
    assert len(loop.recordings) <= MOST_RECORDINGS + 1
    report = loop.report
    assert (
        report.describe() == f"graph: {report.captured} captured, {report.replayed} steps replayed"
    )


def test_nothing_is_captured_before_the_first_run() -> None:
    assert GraphReport().describe() == "graph: nothing captured yet"


def test_no_garbage_is_collected_while_a_graph_is_captured() -> None:
    """A collection may free the graphs of earlier loops, which CUDA refuses during a capture."""
    seen = []

    class Watching(Rerun):
        def capture(self, warm_up: Any, work: Any) -> Any:
            seen.append(gc.isenabled())
            return super().capture(warm_up, work)

    backend = ReplayingNumPy(numpy_xp, "cpu", recorder=Watching())
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    anynet.fit(anynet.mlp([4, 8, 2]), (x, (x[:, 0] > 0).astype(int)), epochs=1, backend=backend)
    assert seen
    assert not any(seen)
    assert gc.isenabled()
