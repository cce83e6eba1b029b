"""Recording CuPy's work as a CUDA graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cupy


@functools.cache
def _side_stream(device: int) -> Any:  # noqa: ARG001  (a stream belongs to the current device)
    """The stream to record on: one a device, kept, for cuBLAS remembers the stream it was told."""
    return cupy.cuda.Stream(non_blocking=True)


class CuPyRecorder:
    """See ``anynet.backends.replay.Recorder``; works on the thread's current device."""

    def copy(self, array: Any) -> Any:
        return cupy.array(array, copy=True, order="C")

    def write(self, buffer: Any, array: Any) -> None:
        cupy.copyto(buffer, array)

    def record(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Record on a stream and from a memory pool that nothing else uses.

        The warm-up compiles and loads the kernels and fills the pool: neither is welcome while
        recording. Memory that ``work`` frees returns to that pool, so no other array can take a
        place that the graph writes to.
        """
        cupy.cuda.get_current_stream().synchronize()  # what warm_up reads may still be on its way
        pool = cupy.cuda.MemoryPool()
        stream = _side_stream(cupy.cuda.runtime.getDevice())
        with cupy.cuda.using_allocator(pool.malloc), stream:
            warm_up()
            stream.synchronize()
            stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(Exception):  # it says again that the capture is void
                    stream.end_capture()
                raise
            graph = stream.end_capture()
        graph.upload()
        return Replay(graph, pool)


class Replay:
    """A graph, with the memory that it works in."""

    def __init__(self, graph: Any, pool: Any) -> None:
        self.graph = graph
        self.pool = pool

    def __call__(self) -> None:
        """Launch the graph on the current stream."""
        self.graph.launch()
