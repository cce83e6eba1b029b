"""NumPy: the CPU, always available."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet import tree
from anynet.backends.blas import (
    add_product,
    find_gemm,
    max_threads,
    one_thread_a_product,
    set_max_threads,
    unused_vectors,
    warn_if_threads_wait,
)
from anynet.backends.loops import RecordedLoop
from anynet.backends.numpy_calls import CallRecorder, call_or_note
from anynet.backends.numpy_namespace import xp
from anynet.backends.portable import Backend, Loop, Result, State, Step
from anynet.errors import BackendError
from anynet.typing import Array

CACHED_BYTES = 2**21  # of a core's own cache, for the parameters of a batch of members
SMALL_PRODUCT = 2**23  # multiplications of a product that one thread computes as fast as two
FUSED_SIZE = 2**14  # below this many elements, the call through ctypes costs more than it saves


@dataclass(frozen=True)
class NumPyBackend(Backend):
    """NumPy arrays on the CPU."""

    name: ClassVar[str] = "numpy"

    def to_device(self, array: Any) -> Any:
        """Return the array, or a copy in row order, which ``take`` would make in each step."""
        return np.asarray(array, order="C")

    def _gemm(self, a: Any, b: Any, *options: Any) -> Any:
        """Add to ``accumulate`` in BLAS if possible, in one pass over it instead of three."""
        transpose_a, transpose_b, accumulate, alpha, beta = options
        if accumulate is not None and accumulate.size >= FUSED_SIZE:
            gemm = find_gemm(self.dtype)
            if gemm is not None and _fit_for_blas(a, b, accumulate, alpha):
                flags = (transpose_a, transpose_b)
                call_or_note(add_product, accumulate, alpha, a, b, gemm, beta, *flags)
                return accumulate
        if accumulate is not None or not isinstance(alpha, int) or alpha != 1:
            return super()._gemm(a, b, *options)
        return self._multiply(a.mT if transpose_a else a, b.mT if transpose_b else b)

    def _multiply(self, a: Any, b: Any) -> Any:
        return a.dot(b) if a.ndim == b.ndim == 2 else a @ b

    def loop(self, step: Step[State]) -> Loop[State]:
        """Return a loop that records the calls of its step."""
        return NumPyLoop(step, CallRecorder())

    def batch_sizes(self, members: int, nbytes: int) -> list[int]:
        """Return batches whose parameters fit a core's cache, equally many for every core."""
        cores = max_threads()
        most = max(1, CACHED_BYTES // max(1, nbytes))
        batches = min(members, cores * -(-members // (cores * most)))
        return [members // batches + (index < members % batches) for index in range(batches)]

    def together(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run the computations on one thread per core; their products use no other threads."""
        threads = min(len(tasks), max_threads())
        if threads < 2:
            return super().together(tasks)
        with one_thread_a_product(), ThreadPoolExecutor(threads) as pool:
            runs = [pool.submit(copy_context().run, task) for task in tasks]
            try:
                return [run.result() for run in runs]
            except BaseException:  # Ctrl-C included: do not wait for tasks that have not begun
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def describe(self) -> dict[str, str]:
        """Return the properties of this backend as text."""
        advice = unused_vectors()
        description = super().describe() | {"loop": "recorded"}
        return description | ({"advice": advice} if advice else {})

    def _threads(self) -> int:
        return max_threads()

    def context(self) -> AbstractContextManager[Any]:
        """Silence floating-point warnings: training checks its loss and reports divergence."""
        return np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")


class NumPyLoop(RecordedLoop[State]):
    """A recorded loop with one thread for small products."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._small: dict[int, bool] = {}  # by the size of a batch

    def run(self, state: State, order: Array, data: Any) -> State:
        """Apply the step once for each row of ``order``, see ``Loop``."""
        size = order.shape[-1]
        if size not in self._small:
            self._small[size] = _is_small(state, size)
        one_thread = self._small[size] and max_threads() > 1
        with one_thread_a_product() if one_thread else warn_if_threads_wait():
            return super().run(state, order, data)


def _is_small(state: Any, batch_size: int) -> bool:
    """Whether all products of a step are too small to gain from threads.

    Threads that wait for each other cost more than they save there, and many times as much if other
    processes use the cores. The shapes alone decide: the number of threads changes the rounding of
    a product, and the same run must give the same bits.
    """
    largest = max((math.prod(leaf.shape[-2:]) for leaf in tree.leaves(state)), default=0)
    return batch_size * largest <= SMALL_PRODUCT


def _fit_for_blas(a: Any, b: Any, c: Any, alpha: Any) -> bool:
    """Whether BLAS may write op(a) · op(b) into ``c``: matrices of one layout, dtype, and shape."""
    return bool(
        getattr(alpha, "ndim", 0) == 0
        and a.size > 0
        and c.flags.writeable
        and all(x.ndim == 2 and x.dtype == c.dtype and x.flags.c_contiguous for x in (a, b, c))
    )


def create(
    device: str | None, dtype: str, reason: str, precision: str | None = None
) -> NumPyBackend:
    """Make the backend.

    Parameters
    ----------
    device : {"cpu"} or None
    dtype, reason, precision : str
        See ``Backend``.

    Raises
    ------
    BackendError
        For another device or a reduced precision.
    """
    if device not in (None, "cpu"):
        message = (
            f"the numpy backend computes on device 'cpu' only, got {device!r}: "
            f"for a GPU choose backend 'cupy', 'torch' or 'jax'"
        )
        raise BackendError(message)
    if precision is not None:
        message = (
            f"the numpy backend multiplies in full precision only, got precision {precision!r}: "
            f"choose backend 'cupy', 'torch' or 'jax'"
        )
        raise BackendError(message)
    return NumPyBackend(xp, "cpu", dtype, reason)


def devices() -> tuple[str, ...]:
    """Return the names of the devices that NumPy can use."""
    return ("cpu",)


set_threads = set_max_threads
