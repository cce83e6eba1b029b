"""CuPy's work on streams of its own: CUDA graphs, and copies from pinned memory.

Not yet measured on a GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import cupy
import numpy as np

from anynet.backends.cuda import GraphRecorder


@functools.cache
def _side_stream(device: int) -> Any:  # noqa: ARG001  (a stream belongs to the current device)
    """Return the stream for captures: one per device, kept, as cuBLAS remembers its stream."""
    return cupy.cuda.Stream(non_blocking=True)


class CuPyRecorder(GraphRecorder):
    """Capture graphs on the thread's current device."""

    def copy(self, array: Any) -> Any:
        """Return a new contiguous array with the same content."""
        return cupy.array(array, copy=True, order="C")

    def write(self, buffer: Any, array: Any) -> None:
        """Copy ``array`` into ``buffer``."""
        cupy.copyto(buffer, array)

    def capture(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Capture on a stream and from a memory pool that nothing else uses.

        The warm-up compiles and loads the kernels and fills the pool: neither may happen in a
        capture. Memory that ``work`` frees returns to that pool, so no other array is allocated
        where the graph writes.
        """
        cupy.cuda.get_current_stream().synchronize()  # the inputs of warm_up may not be ready yet
        pool = cupy.cuda.MemoryPool()
        stream = _side_stream(cupy.cuda.runtime.getDevice())
        with cupy.cuda.using_allocator(pool.malloc), stream:
            warm_up()
            stream.synchronize()
            stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(Exception):  # it reports again that the capture is invalid
                    stream.end_capture()
                raise
            graph = stream.end_capture()
        graph.upload()

        def launch(pool: Any = pool) -> None:  # noqa: ARG001  (keeps the graph's memory)
            graph.launch()

        return launch


class CuPyCopier:
    """See ``anynet.backends.cuda.Copier``; works on the thread's current device."""

    def __init__(self) -> None:
        self.stream = cupy.cuda.Stream(non_blocking=True)

    def empty(self, array: np.ndarray) -> Any:
        """Return uninitialized memory of the device for such an array."""
        return cupy.empty(array.shape, dtype=array.dtype)

    def mark(self) -> Any:
        """Return an event on the current stream."""
        event = cupy.cuda.Event(disable_timing=True)
        event.record(cupy.cuda.get_current_stream())
        return event

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        """Copy after an event, beside later work; return when the copy is done."""
        self.stream.wait_event(after)
        for target, array in zip(targets, arrays, strict=True):
            target.set(array, stream=self.stream)
        self.stream.synchronize()
