"""Loops that record their step once and replay the recording: NumPy's, and CUDA's graphs.

A step is pure, with static shapes and no host reads, so it performs the same operations on every
batch. A recording repeats them without Python's layers and closures, which take as long as the
arithmetic in a small network. It reads and writes fixed memory: the loop keeps the state in buffers
of its own, and returns those.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from anynet import tree
from anynet.backends.portable import Loop, State, Step
from anynet.typing import Array

MOST_RECORDINGS = 16

Replay = Callable[[Array], None]
"""Run the recorded steps on other rows of the same shape."""


class Recorder(ABC):
    """The interface by which a library copies arrays and records steps.

    Attributes
    ----------
    worth : int
        Number of steps at which a recording begins to save time.
    largest_copy : int
        Maximum size, in bytes, of a data array that is copied into a buffer at each run.
    """

    worth = 1
    largest_copy = 256 * 2**20

    @abstractmethod
    def copy(self, array: Any) -> Any:
        """Return a new contiguous array with the same content."""

    @abstractmethod
    def write(self, buffer: Any, array: Any) -> None:
        """Copy ``array`` into ``buffer``, on the device."""

    @abstractmethod
    def chunks(self, order: Array) -> Iterator[tuple[Any, Array]]:
        """Split an order into the parts that one recording runs, each with the recording's key."""

    @abstractmethod
    def record(self, step: Step[Any], state: Any, rows: Array, data: Any) -> Replay:
        """Record the steps of a chunk on the state's buffers, whose content is kept."""

    def store(self, buffers: list[Any], values: list[Any]) -> None:
        """Copy each value into its buffer; a value may lie in the buffer of another."""
        pairs = [pair for pair in zip(buffers, values, strict=True) if pair[0] is not pair[1]]
        held = {id(buffer) for buffer in buffers}
        moved = [
            self.copy(new) if held & {id(new), id(getattr(new, "base", None))} else new
            for _, new in pairs
        ]
        self.write_all([buffer for buffer, _ in pairs], moved)

    def write_all(self, buffers: Sequence[Any], arrays: Sequence[Any]) -> None:
        """Copy arrays into buffers; none of them share memory."""
        for buffer, array in zip(buffers, arrays, strict=True):
            self.write(buffer, array)


@dataclass
class LoopReport:
    """Counts of recordings and replayed steps.

    Attributes
    ----------
    captured : int
        Number of recordings.
    replayed : int
        Number of steps that recordings have run.
    failure : str or None
        Why a recording failed. Plain loops run all steps from then on.
    """

    captured: int = 0
    replayed: int = 0
    failure: str | None = None

    def fail(self, error: Exception) -> None:
        """Record that a recording failed."""
        self.failure = " ".join(f"{type(error).__name__}: {error}".split())


class DataArray:
    """An array of the data that recordings read: in place, or in a buffer.

    An array is first read in place; it is watched, but not kept alive. If a later run passes
    another array, a small one is copied into a buffer from then on.
    """

    def __init__(self, array: Any) -> None:
        self.watched = weakref.ref(array)
        self.buffer: Any = None

    def follow(self, array: Any, recorder: Recorder) -> bool:
        """Let recordings read ``array``; return False if new recordings are needed."""
        if self.buffer is None and self.watched() is array:
            return True
        if self.buffer is not None and alike(self.buffer, array):
            recorder.write(self.buffer, array)
            return True
        self.watched = weakref.ref(array)
        self.buffer = recorder.copy(array) if array.nbytes <= recorder.largest_copy else None
        return False


class RecordedLoop(Loop[State]):
    """A loop that records its step, replays the recording, and runs plainly if that fails.

    Parameters
    ----------
    step : callable
        See ``Loop``.
    recorder : Recorder
    report : LoopReport, optional
        Shared by loops which all stop recording when one fails.
    """

    def __init__(
        self, step: Step[State], recorder: Recorder, report: LoopReport | None = None
    ) -> None:
        super().__init__(step)
        self.recorder = recorder
        self.report = LoopReport() if report is None else report
        self.recordings: dict[Any, Replay] = {}
        self._state: Any = None
        self._buffers: dict[str, Any] = {}
        self._data: dict[str, DataArray] = {}
        self._steps: Counter[Any] = Counter()  # since the recordings were made, by shape of rows

    def run(self, state: State, order: Array, data: Any) -> State:
        """Apply the step once for each row of ``order``, see ``Loop``."""
        if self.report.failure is not None or order.shape[0] == 0:
            return super().run(state, order, data)
        chunks = []
        try:
            self._follow(data)
            self._steps[order.shape[1:]] += order.shape[0]
            if self._steps[order.shape[1:]] >= self.recorder.worth:
                state = self._load(state)
                chunks = list(self.recorder.chunks(order))
                self._record(chunks, data)
        except Exception as error:  # whatever it is: plainly it works, or raises a clearer error
            self.report.fail(error)
            self.recordings, self._buffers, chunks = {}, {}, []
        if not chunks:
            return super().run(state, order, data)
        for key, rows in chunks:
            self.recordings[key](rows)
        self.report.replayed += order.shape[0]
        return state

    def _follow(self, data: Any) -> None:
        """Make the recordings read this data, or discard them."""
        arrays = dict(tree.flatten(data))
        if arrays.keys() != self._data.keys():
            self._data = {path: DataArray(array) for path, array in arrays.items()}
            followed = [False]
        else:
            followed = [self._data[path].follow(arrays[path], self.recorder) for path in arrays]
        if not all(followed):
            self.recordings.clear()
            self._steps.clear()

    def _load(self, state: State) -> State:
        """Return the buffers of the state, with its content; what lies there is not copied."""
        arrays, buffers = dict(tree.flatten(state)), self._buffers
        same = arrays.keys() == buffers.keys()
        if same and all(alike(buffers[path], array) for path, array in arrays.items()):
            self.recorder.store(list(buffers.values()), list(arrays.values()))
        else:
            self._state = tree.map(self.recorder.copy, state)
            self._buffers = dict(tree.flatten(self._state))
            self.recordings.clear()
        return self._state  # type: ignore[no-any-return]

    def _record(self, chunks: list[tuple[Any, Array]], data: Any) -> None:
        if len(self.recordings) > MOST_RECORDINGS:
            self.recordings.clear()
        for key, rows in chunks:
            if key not in self.recordings:
                read = {path: one.buffer for path, one in self._data.items()}
                own = {path: array for path, array in tree.flatten(data) if read[path] is None}
                placed = tree.rebuild(data, read | own)
                self.recordings[key] = self.recorder.record(self.step, self._state, rows, placed)
                self.report.captured += 1


def alike(a: Any, b: Any) -> bool:
    """Whether two arrays have the same shape and dtype."""
    return a is b or (a.shape == b.shape and a.dtype == b.dtype)
