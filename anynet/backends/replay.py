"""A loop of steps, recorded once as a graph of kernels and then replayed: CuPy and torch on CUDA.

A step of a small network is dozens of kernels of a few microseconds each, and asking for one from
Python takes longer than it runs. A graph asks for all of them at once. It replays on the addresses
that it was recorded on, so the state lives in buffers that the graph reads and writes, and the
rows of the order are copied into a buffer before each launch: no number comes from the host.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Protocol

from anynet import tree
from anynet.backends.portable import Loop
from anynet.typing import Array

UNROLLED = 16  # steps a launch: what copies the state back then costs a sixteenth a step
MOST_RECORDINGS = 8
LARGEST_COPY = 256 * 2**20  # bytes of a data array that may be kept in a buffer


class Recorder(Protocol):
    """What a library brings: how its work on the device is recorded."""

    def copy(self, array: Any) -> Any:
        """Return a new contiguous array of the same content."""

    def write(self, buffer: Any, array: Any) -> None:
        """Copy ``array`` into ``buffer``, on the device; recordable."""

    def record(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Run ``warm_up``, record without running it what ``work`` asks for; return the replay.

        The replay keeps alive all memory that the recording allocated. If anything fails the
        recording is ended before the exception goes on.
        """


@dataclass(frozen=True)
class Graph:
    """The recording of some consecutive steps."""

    rows: Any  # the buffer that the steps take their rows from
    replay: Callable[[], None]


class Place:
    """Where the graphs read one array of the data: where it lies, or in a buffer of their own.

    An array is at first read where it lies, and only watched, not kept alive. One that the next
    call brings anew, such as the weights that are scored each epoch, gets a buffer if it is small.
    """

    def __init__(self, recorder: Recorder, leaf: Any) -> None:
        self.recorder = recorder
        self.watched = weakref.ref(leaf)
        self.buffer: Any = None

    def holds(self, leaf: Any) -> bool:
        """Whether graphs that were recorded here can read this array."""
        return self.buffer is not None or self.watched() is leaf

    def move(self, leaf: Any) -> None:
        """Make room for an array that lies elsewhere than the one before."""
        if leaf.nbytes <= LARGEST_COPY:
            self.buffer = self.recorder.copy(leaf)
        else:
            self.watched = weakref.ref(leaf)

    def load(self, leaf: Any) -> Any:
        """Return the content of ``leaf`` as the graphs read it."""
        if self.buffer is None:
            return leaf
        self.recorder.write(self.buffer, leaf)
        return self.buffer


class Recording:
    """The buffers of one loop, and its graphs, one for each shape of a chunk of the order."""

    def __init__(self, recorder: Recorder, state: Any, data: Any) -> None:
        self.recorder = recorder
        self.state = tree.map(recorder.copy, state)
        self.places = tree.map(lambda leaf: Place(recorder, leaf), data)
        self.graphs: dict[Any, Graph] = {}

    def load(self, state: Any, data: Any) -> Any:
        """Bring the buffers up to date; return ``data`` as the graphs read it."""
        for buffer, leaf in zip(tree.leaves(self.state), tree.leaves(state), strict=True):
            self.recorder.write(buffer, leaf)
        for place, leaf in zip(tree.leaves(self.places), tree.leaves(data), strict=True):
            if not place.holds(leaf):
                place.move(leaf)
                self.graphs.clear()
        return tree.map(lambda place, leaf: place.load(leaf), self.places, data)

    def graph(self, step: Any, rows: Array, data: Any) -> Graph:
        """Return the graph for a chunk of this shape, recorded now if it is the first."""
        if rows.shape not in self.graphs:
            buffer = self.recorder.copy(rows)
            spare = tree.map(self.recorder.copy, self.state)
            self.graphs[rows.shape] = Graph(
                buffer,
                self.recorder.record(
                    lambda: self._run(step, spare, buffer[:1, ...], data),
                    lambda: self._run(step, self.state, buffer, data),
                ),
            )
        return self.graphs[rows.shape]

    def _run(self, step: Any, buffers: Any, rows: Array, data: Any) -> None:
        """Take one step a row, from the buffers and back into them."""
        state = buffers
        for index in range(rows.shape[0]):
            state = step(state, rows[index, ...], data)
        held = tree.leaves(buffers)
        moved = [
            self.recorder.copy(new)  # else writing one buffer could change what another waits for
            if new is not old and any(new is other for other in held)
            else new
            for old, new in zip(held, tree.leaves(state), strict=True)
        ]
        for old, new in zip(held, moved, strict=True):
            if new is not old:
                self.recorder.write(old, new)

    def result(self) -> Any:
        """Return the state, in memory of its own."""
        return tree.map(self.recorder.copy, self.state)


class CapturedLoop:
    """``Backend.loop`` by recorded graphs, with the plain loop to fall back on.

    Parameters
    ----------
    recorder : Recorder

    Attributes
    ----------
    captured : int
        Graphs recorded so far.
    replayed : int
        Steps that graphs have run.
    failure : str or None
        Why the loop fell back; None while it has not.
    """

    def __init__(self, recorder: Recorder, unrolled: int = UNROLLED) -> None:
        self.recorder = recorder
        self.unrolled = unrolled
        self.captured = 0
        self.replayed = 0
        self.failure: str | None = None
        self._recordings: OrderedDict[Any, Recording] = OrderedDict()
        self._lock = threading.Lock()  # buffers serve one scan at a time

    def scan(self, plain: Loop[Any], state: Any, order: Array, data: Any) -> Any:
        """Fold ``step`` over the rows of ``order``; ``plain`` does it where recording fails."""
        step = plain.step
        if self.failure is not None or order.shape[0] == 0:
            return plain.run(state, order, data)
        done = 0
        with self._lock:
            try:
                recording = self._recording(step, state, data)
                placed = recording.load(state, data)
                for start in range(0, order.shape[0], self.unrolled):
                    rows = order[start : start + self.unrolled, ...]
                    before = len(recording.graphs)
                    graph = recording.graph(step, rows, placed)
                    self.captured += len(recording.graphs) - before
                    self.recorder.write(graph.rows, rows)
                    graph.replay()
                    done += rows.shape[0]
                self.replayed += done
                return recording.result()
            except Exception as error:  # whatever it is, training goes on without graphs
                self._fall_back(error)
                self.replayed += done
                if done:
                    state = recording.result()
        return plain.run(state, order[done:, ...], data)

    def _recording(self, step: Any, state: Any, data: Any) -> Recording:
        """Return the buffers of this step and these shapes, the latest used last."""
        shapes = (_outline(state), _outline(data))
        found = self._recordings.get((step, *shapes))
        if found is None:
            found = Recording(self.recorder, state, data)
            self._recordings[(_without_loop(step), *shapes)] = found
        self._recordings.move_to_end((step, *shapes))
        if len(self._recordings) > MOST_RECORDINGS:
            self._recordings.popitem(last=False)
        return found

    def _fall_back(self, error: Exception) -> None:
        self.failure = " ".join(f"{type(error).__name__}: {error}".split())
        self._recordings.clear()
        message = (
            f"training goes on without CUDA graphs, more slowly and with the same numbers: "
            f"capture failed ({self.failure})"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=4)

    def describe(self) -> str:
        """Say whether graphs run, see ``Backend.describe``."""
        if self.failure is not None:
            return f"eager: capture failed: {self.failure}"
        if self.captured == 0:
            return "graph: nothing captured yet"
        return f"graph: {self.captured} captured, {self.replayed} steps replayed"


class GraphLoop(Loop[Any]):
    """The loop of a step on a backend that has graphs."""

    def __init__(self, step: Any, backend: Any) -> None:
        super().__init__(step)
        self.backend = backend

    def run(self, state: Any, order: Array, data: Any) -> Any:
        with self.backend.context():
            return self.backend.graphs.scan(Loop(self.step), state, order, data)


def _without_loop(step: Any) -> Any:
    """Return an equal step whose backend has no loop: as a key here it would keep that alive."""
    if is_dataclass(getattr(step, "step", None)):  # the step of a population holds another
        return replace(step, step=_without_loop(step.step))
    backend = getattr(step, "backend", None)
    if getattr(backend, "graphs", None) is None or not is_dataclass(step):
        return step
    return replace(step, backend=replace(backend, graphs=None))  # type: ignore[type-var]


def _outline(arrays: Any) -> tuple[Any, ...]:
    """Paths, shapes and dtypes: what a graph depends on besides the step and the addresses."""
    return tuple((path, tuple(leaf.shape), str(leaf.dtype)) for path, leaf in tree.flatten(arrays))
