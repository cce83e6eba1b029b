"""NumPy: the CPU, always available, with a namespace of faster functions.

In a step of a small network the calls cost as much as the arithmetic: ``numpy.sum`` and similar
functions take one to three microseconds before they touch an array, the methods and ufuncs that
they call a third of that. And some of NumPy's loops are slower than others with the same result: a
sum over an axis of a matrix is computed as a product with a vector of ones; a maximum over short
rows as one over long columns; a maximum or minimum with a number (no SIMD) as one with a row.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat.numpy as compat
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
from anynet.backends.numpy_calls import CallRecorder, Recorded, call_or_note
from anynet.backends.portable import Backend, Loop, Result, State, Step, extend
from anynet.errors import BackendError
from anynet.typing import Array

SHORT_ROW = 32  # elements


def _sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Any:
    if dtype is None:
        if x.dtype.kind != "f":  # the standard widens small integers
            return compat.sum(x, axis=axis, keepdims=keepdims)
        if axis == -2 and x.ndim == 2 and not keepdims:
            return np.dot(_filled(1.0, x.shape[0], x.dtype), x)
        if axis == -1 and x.ndim >= 2:
            total = _as_matrix(x).dot(_filled(1.0, x.shape[-1], x.dtype))
            return np.reshape(total, (*x.shape[:-1], 1) if keepdims else x.shape[:-1])
    return np.add.reduce(x, axis=axis, dtype=dtype, keepdims=keepdims)


def _as_matrix(x: Any) -> Any:
    return x if x.ndim == 2 else np.reshape(x, (-1, x.shape[-1]))


@functools.lru_cache(maxsize=64)
def _filled(value: float, size: int, dtype: np.dtype) -> np.ndarray:
    array = np.full(size, value, dtype=dtype)
    array.flags.writeable = False
    return array


def _max(x: Any, /, *, axis: Any = None, keepdims: Any = False) -> Any:
    if axis == -1 and x.ndim >= 2 and x.shape[-1] < SHORT_ROW:
        largest = np.maximum.reduce(_as_matrix(x).T.copy(), axis=0)
        return np.reshape(largest, (*x.shape[:-1], 1) if keepdims else x.shape[:-1])
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


def _with_row(function: Any) -> Any:
    """Return a function of two arrays that makes a row of its second argument if it is a number."""

    def bounded(a: Any, b: Any, /) -> Any:
        if isinstance(b, float) and a.ndim and a.dtype.kind == "f":
            b = _filled(b, a.shape[-1], a.dtype)
        return function(a, b)

    return bounded


_maximum, _minimum = _with_row(np.maximum), _with_row(np.minimum)


def _clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    bounded = x if min is None else _maximum(x, min)
    return bounded if max is None else _minimum(bounded, max)


def _take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    if isinstance(indices, Recorded):  # numpy.take asks its first argument only
        return indices.__array_function__(np.take, (), (x, indices), {"axis": axis})
    return x.take(indices, axis=axis)


xp = extend(
    compat,
    "anynet.backends.numpy.xp",
    argmax=lambda x, /, *, axis=None, keepdims=False: x.argmax(axis=axis, keepdims=keepdims),
    astype=lambda x, dtype, /, *, copy=True: x.astype(dtype, copy=copy),
    clip=_clip,
    matrix_transpose=lambda x, /: x.mT,
    max=_max,
    maximum=_maximum,
    minimum=_minimum,
    sum=_sum,
    take=_take,
    __version__=np.__version__,
)


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

    def _all_reduce(self, flat: Any) -> None:
        """Reduce now, or only note the call: processes need not record at the same time."""
        if isinstance(flat, Recorded):
            flat.calls.append(functools.partial(self.group.all_reduce, flat.array))
        else:
            self.group.all_reduce(flat)

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
