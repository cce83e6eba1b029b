"""Common code of CuPy and torch on CUDA: steps captured as graphs, and copies during steps.

A step of a small network is dozens of kernels of a few microseconds each, and launching one from
Python takes longer than it runs. A graph launches all of them at once. It replays on the addresses
on which it was captured; no number comes from the host.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import warnings
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from anynet import tree
from anynet.backends.loops import LoopReport, RecordedLoop, Recorder, Replay
from anynet.backends.portable import Backend, Block, Loop, State, Step
from anynet.typing import Array

SLOTS = 2

WARM_UP_STEPS = 3  # the second step allocates most of what later steps do: its state is new too

_capturing = threading.RLock()  # the streams of captures are shared by threads


class GraphRecorder(Recorder):
    """Record steps as CUDA graphs.

    Attributes
    ----------
    unrolled : int
        Maximum number of steps in one graph.
    """

    unrolled = 8  # on an H200 as fast as 16, and recorded in half the time

    @abstractmethod
    def capture(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Run ``warm_up``, capture the kernels of ``work`` without running them; return the replay.

        The replay keeps all memory that the capture allocated. A failed capture is ended before
        the exception is raised. One thread of the process captures at a time.
        """

    def chunks(self, order: Array) -> Iterator[tuple[Any, Array]]:
        """Yield ``unrolled`` rows at a time."""
        for start in range(0, order.shape[0], self.unrolled):
            rows = order[start : start + self.unrolled, ...]
            yield tuple(rows.shape), rows

    def record(self, step: Step[Any], state: Any, rows: Array, data: Any) -> Replay:
        """Capture the steps of a chunk, after some on a copy of the state."""
        buffer = self.copy(rows)
        spare = tree.map(self.copy, state)
        with _capturing, _no_collection():
            launch = self.capture(
                lambda: self.advance(step, spare, buffer[:WARM_UP_STEPS, ...], data),
                lambda: self.advance(step, state, buffer, data),
            )

        def replay(rows: Array) -> None:
            self.write(buffer, rows)
            launch()

        return replay

    def advance(self, step: Step[Any], buffers: Any, rows: Array, data: Any) -> None:
        """Apply the step once for each row, from the buffers and back into them."""
        state = buffers
        for index in range(rows.shape[0]):
            state = step(state, rows[index, ...], data)
        self.store(tree.leaves(buffers), tree.leaves(state))


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector from running: freed graphs would end a capture."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class GraphReport(LoopReport):
    """Counts of captured and replayed graphs of a backend."""

    def fail(self, error: Exception) -> None:
        """Warn, once, that steps run without graphs from here on."""
        super().fail(error)
        message = (
            f"training continues without CUDA graphs, more slowly and with the same numbers: "
            f"capture failed ({self.failure})"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)

    def describe(self) -> str:
        """Return whether graphs run, see ``Backend.describe``."""
        if self.failure is not None:
            return f"eager: capture failed: {self.failure}"
        if self.captured == 0:
            return "graph: nothing captured yet"
        return f"graph: {self.captured} captured, {self.replayed} steps replayed"


@dataclass(frozen=True)
class GraphBackend(Backend):
    """A backend whose loops are captured as CUDA graphs.

    Parameters
    ----------
    graphs : GraphReport or None
        Counts what the graphs have done; None runs loops step by step.
    """

    graphs: GraphReport | None = field(default_factory=GraphReport, compare=False, repr=False)

    @abstractmethod
    def recorder(self) -> GraphRecorder:
        """Return the recorder of graphs on the device."""

    def loop(self, step: Step[State]) -> Loop[State]:
        """Return a loop that captures its steps as CUDA graphs and replays them."""
        if self.graphs is None:
            return super().loop(step)
        return RecordedLoop(step, self.recorder(), self.graphs)

    def describe(self) -> dict[str, str]:
        """Return the properties of this backend as text."""
        loop = {} if self.graphs is None else {"loop": self.graphs.describe()}
        return super().describe() | loop


class Copier(Protocol):
    """The transfers of a library: memory, copies on a separate stream, events."""

    def empty(self, array: np.ndarray) -> Any:
        """Return uninitialized memory of the device for such an array."""

    def mark(self) -> Any:
        """Return an event that follows all work submitted to the device so far."""

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        """Copy after an event, beside later work; return when the copy is done."""


def double_buffered(blocks: Iterator[Block], copier: Copier) -> Generator[Block, None, None]:
    """Copy blocks to the device while steps run on the previous block.

    The steps on a block are submitted before the next block is copied, so the device works while
    the host waits for that copy. The memory of a block is written again only after its steps: the
    copy waits, on the device, for an event that follows them.

    Parameters
    ----------
    blocks : iterator of trees of ndarray
        All of the same shapes.
    copier : Copier

    Yields
    ------
    tree of Array
        The block on the device, in one of two buffers.
    """
    slots: list[Any] = []
    marks: list[Any] = []
    for turn, block in enumerate(blocks):
        if turn == 0:
            slots = [tree.map(copier.empty, block) for _ in range(SLOTS)]
            marks = [copier.mark()] * SLOTS  # other work may still use this memory
        slot = slots[turn % SLOTS]
        copier.copy(tree.leaves(slot), tree.leaves(block), marks[turn % SLOTS])
        yield slot
        marks[turn % SLOTS] = copier.mark()
