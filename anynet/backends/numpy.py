"""NumPy: the CPU, always there."""

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
from anynet.backends.lean_numpy import xp
from anynet.backends.numpy_loop import replay
from anynet.backends.portable import Backend, Loop, Result, State, Step
from anynet.backends.recording import call_or_note
from anynet.errors import BackendError
from anynet.typing import Array

CACHED_BYTES = 2**21  # of a core's own cache, for the parameters of a batch of members
SMALL_PRODUCT = 2**23  # multiplications of a product that one thread makes as quickly as two
FUSED_SIZE = 2**14  # below this many elements, the call through ctypes costs more than it saves


@dataclass(frozen=True)
class NumPyBackend(Backend):
    """NumPy arrays on the CPU."""

    name: ClassVar[str] = "numpy"

    def to_device(self, array: Any) -> Array:
        """Copy what is not in row order: ``take`` would do that in each step."""
        result: Array = np.asarray(array, order="C")
        return result

    def gemm(
        self,
        a: Any,
        b: Any,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
        accumulate: Any = None,
        alpha: Any = 1,
        beta: float = 0,
    ) -> Array:
        """Let BLAS add to ``accumulate`` where it can: one pass over it instead of three."""
        if accumulate is not None and accumulate.size >= FUSED_SIZE:
            gemm = find_gemm(self.dtype)
            if gemm is not None and _fit_for_blas(a, b, accumulate, alpha):
                flags = (transpose_a, transpose_b)
                call_or_note(add_product, accumulate, alpha, a, b, gemm, beta, *flags)
                result: Array = accumulate
                return result
        a, b = a.mT if transpose_a else a, b.mT if transpose_b else b
        product: Array = a.dot(b) if a.ndim == b.ndim == 2 else a @ b
        if not isinstance(alpha, int) or alpha != 1:
            product = product * alpha
        if accumulate is not None and beta != 0:
            product = product + (accumulate if beta == 1 else accumulate * beta)
        return product

    def loop(self, step: Step[State]) -> Loop[State]:
        return NumPyLoop(step)

    def batch_sizes(self, members: int, nbytes: int) -> list[int]:
        """Let a batch's parameters stay in a core's cache, and give every core as many."""
        cores = max_threads()
        most = max(1, CACHED_BYTES // max(1, nbytes))
        batches = min(members, cores * -(-members // (cores * most)))
        return [members // batches + (index < members % batches) for index in range(batches)]

    def together(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run them on threads, one a core, whose products take no threads of their own."""
        threads = min(len(tasks), max_threads())
        if threads < 2:
            return super().together(tasks)
        with one_thread_a_product(), ThreadPoolExecutor(threads) as pool:
            runs = [pool.submit(copy_context().run, task) for task in tasks]
            try:
                return [run.result() for run in runs]
            except BaseException:  # Ctrl-C included: what has not begun need not be waited for
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def describe(self) -> dict[str, str]:
        threads = {"threads": str(max_threads())}
        description = super().describe() | {"loop": "recorded"} | threads
        advice = unused_vectors()
        return description | {"advice": advice} if advice else description

    def context(self) -> AbstractContextManager[Any]:
        """Silence floating-point warnings: training checks its loss and says more than they do."""
        return np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")


class NumPyLoop(Loop[State]):
    """Record the calls of one step and repeat them; a plain loop where that fails."""

    def run(self, state: State, order: Array, data: Any) -> State:
        if order.shape[0] == 0:
            return state
        threads: AbstractContextManager[None]
        threads = one_thread_a_product() if _is_small(state, order) else warn_if_threads_wait()
        with threads:
            result: State = replay(self.step, state, order, data)
        return result


def _is_small(state: Any, order: Any) -> bool:
    """Whether all products of a step are too small to gain from threads.

    Threads that wait for each other cost more than they save there, and many times as much where
    other processes use the cores. It follows from the shapes alone, as the number of threads
    decides the rounding of a product, and the same run must give the same bits.
    """
    if max_threads() < 2:
        return False
    largest = max((math.prod(leaf.shape[-2:]) for leaf in tree.leaves(state)), default=0)
    return bool(order.shape[-1] * largest <= SMALL_PRODUCT)


def _fit_for_blas(a: Any, b: Any, c: Any, alpha: Any) -> bool:
    """Whether BLAS may write op(a) · op(b) into ``c``: matrices of one layout, dtype, and shape."""
    fit: bool = (
        a.ndim == b.ndim == 2
        and getattr(alpha, "ndim", 0) == 0
        and a.dtype == b.dtype == c.dtype
        and c.flags.writeable
        and a.flags.c_contiguous
        and b.flags.c_contiguous
        and c.flags.c_contiguous
        and a.size > 0
    )
    return fit


def create(
    device: str | None, dtype: str, reason: str, precision: str | None = None
) -> NumPyBackend:
    """Make the backend; ``device`` may be None or ``cpu``.

    Raises
    ------
    BackendError
        If another device or a reduced precision is asked for.
    """
    if device not in (None, "cpu"):
        message = (
            f"the numpy backend computes on device 'cpu' only, got {device!r}: "
            f"for a GPU choose --backend cupy, torch or jax"
        )
        raise BackendError(message)
    if precision is not None:
        message = (
            f"the numpy backend multiplies in full precision only, got precision {precision!r}: "
            f"choose --backend cupy, torch or jax"
        )
        raise BackendError(message)
    return NumPyBackend(xp, "cpu", dtype, reason)


def devices() -> tuple[str, ...]:
    """Return the devices that this library can use here."""
    return ("cpu",)


def set_threads(count: int) -> None:
    """Let products take so many threads."""
    set_max_threads(count)
