"""Loops that record their step once and replay the recording: NumPy's, and CUDA's graphs.

A step is pure, with static shapes and no host reads, so it performs the same operations on every
batch. A recording repeats them without Python's layers and closures, which take as long as the
arithmetic in a small network. It reads and writes fixed memory: the loop keeps the state in buffers
of its own, and returns those.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from anynet import tree
from anynet.backends.portable import Loop, State, Step
from anynet.typing import Array

MOST_RECORDINGS = 16
PLACES = 2  # sets of arrays that recordings read: the two buffers of a stream

Replay = Callable[[Array], None]
"""Run the recorded steps on other rows of the same shape."""


class Recorder(ABC):
    """The interface by which a library copies arrays and records steps.

    Attributes
    ----------
    worth : int
        Number of steps at which a recording begins to save time.
    largest_copy : int
        Maximum size, in bytes, of a data array that is copied into a buffer at each run. Larger
        arrays are read in place, by recordings of their own.
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
    def place(self, array: Any) -> Hashable:
        """Return the address, shape, strides and type: what a recording reads if they are equal."""

    def free(self) -> None:  # noqa: B027  (recorders without memory of their own)
        """Free the memory of recordings, which are not used any more."""

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
        """Record that a recording failed, and the first of the errors that led to this one."""
        cause: BaseException = error
        while before := cause.__cause__ or (not cause.__suppress_context__ and cause.__context__):
            cause = before
        errors = [error] if cause is error else [cause, error]
        texts = [" ".join(f"{type(one).__name__}: {one}".split()) for one in errors]
        self.failure = ", then ".join(texts)


class DataArray:
    """An array of the data that recordings read: in place, or in a buffer.

    An array is first read in place; it is not kept alive. If a later run passes an array in other
    memory, a small one is copied into a buffer from then on.
    """

    def __init__(self) -> None:
        self.first: Hashable = None
        self.buffer: Any = None

    def follow(self, array: Any, recorder: Recorder) -> Hashable:
        """Return the memory in which recordings find the content of ``array``."""
        if self.buffer is not None and alike(self.buffer, array):
            recorder.write(self.buffer, array)
            return recorder.place(self.buffer)
        place = recorder.place(array)
        if self.first in (None, place) or array.nbytes > recorder.largest_copy:
            self.first, self.buffer = place, None
            return place
        self.buffer = recorder.copy(array)
        return recorder.place(self.buffer)


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
        self.recordings: dict[Hashable, Replay] = {}
        self._state: Any = None
        self._buffers: dict[str, Any] = {}
        self._data: dict[str, DataArray] = {}
        self._places: list[Hashable] = []  # where the recordings read data
        self._steps: Counter[Any] = Counter()  # since the last new place, by shape of rows

    def run(self, state: State, order: Array, data: Any) -> State:
        """Apply the step once for each row of ``order``, see ``Loop``."""
        chunks: list[tuple[Any, Array]] = []
        if self.report.failure is None and order.shape[0] > 0:
            try:
                place = self._follow(data)
                self._steps[order.shape[1:]] += order.shape[0]
                if self._steps[order.shape[1:]] >= self.recorder.worth:
                    state = self._load(state)
                    chunks = [((place, key), rows) for key, rows in self.recorder.chunks(order)]
                    self._record(chunks, data)
            except Exception as error:  # whatever it is: plainly it works, or the error is clearer
                self.report.fail(error)
        if self.report.failure is not None:  # after the handler, as the error holds arrays
            chunks = []
            self._discard()
        if not chunks:
            return super().run(state, order, data)
        for key, rows in chunks:
            self.recordings[key](rows)
        self.report.replayed += order.shape[0]
        return state

    def _follow(self, data: Any) -> Hashable:
        """Return the memory in which recordings find this data."""
        arrays = dict(tree.flatten(data))
        if arrays.keys() != self._data.keys():
            self._data = {path: DataArray() for path in arrays}
            self._places.clear()
        place = tuple(self._data[path].follow(arrays[path], self.recorder) for path in arrays)
        if place not in self._places:
            if len(self._places) % PLACES == 0:
                self.recordings.clear()
                self._places.clear()
            self._places.append(place)
            self._steps.clear()
        return place

    def _discard(self) -> None:
        """Free the memory of all recordings."""
        self.recordings, self._buffers, self._data, self._places = {}, {}, {}, []
        self._state = None
        self.recorder.free()

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
