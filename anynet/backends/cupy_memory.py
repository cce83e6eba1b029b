"""The memory of CuPy's graphs."""

from __future__ import annotations

import functools
import weakref
from typing import Any

import cupy

from anynet.backends import cublas


class GraphMemory:
    """What the graphs of one loop write between their inputs and outputs.

    They share it, because they run one after another. It is freed with the last of them: CuPy
    keeps the free blocks of a pool that is dropped. Until then it is held here, as a pool that
    finds no memory frees its free blocks, where graphs write.

    Parameters
    ----------
    device : int
    """

    def __init__(self, device: int) -> None:
        self.blocks: list[Any] = []
        self.pool = cupy.cuda.MemoryPool(functools.partial(_allocate, self.blocks))
        self.workspace = cupy.empty(cublas.WORKSPACE_BYTES, dtype=cupy.uint8)
        release = weakref.finalize(self, _free, self.blocks, self.pool, device)
        release.atexit = False  # the driver may be shut down before


def _allocate(blocks: list[Any], size: int) -> Any:
    """Return memory of the device, and keep it in ``blocks``."""
    try:
        memory = cupy.cuda.Memory(size)
    except cupy.cuda.runtime.CUDARuntimeError:  # CuPy's own pool may hold free memory
        cupy.get_default_memory_pool().free_all_blocks()
        memory = cupy.cuda.Memory(size)
    blocks.append(memory)
    return cupy.cuda.MemoryPointer(memory, 0)


def _free(blocks: list[Any], pool: Any, device: int) -> None:
    with cupy.cuda.Device(device):
        blocks.clear()
        pool.free_all_blocks()


class CapturedGraph:
    """A graph and the memory that it uses, in the order in which they are freed.

    Parameters
    ----------
    graph : cupy.cuda.Graph
    memory : GraphMemory
    """

    def __init__(self, graph: Any, memory: GraphMemory) -> None:
        self.graph = graph
        self.memory = memory

    def launch(self) -> None:
        """Run the graph on the thread's current stream."""
        self.graph.launch()
