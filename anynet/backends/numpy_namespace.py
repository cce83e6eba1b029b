"""NumPy's array API namespace with faster functions.

In a step of a small network the calls cost as much as the arithmetic: ``numpy.sum`` and similar
functions take one to three microseconds before they touch an array, the methods and ufuncs that
they call a third of that. And some of NumPy's loops are slower than others with the same result: a
sum over an axis of a matrix is computed as a product with a vector of ones; a maximum over short
rows as one over long columns; a maximum or minimum with a number (no SIMD) as one with a row.
"""

from __future__ import annotations

import functools
from typing import Any

import array_api_compat.numpy as compat
import numpy as np

from anynet.backends.numpy_calls import Recorded
from anynet.backends.portable import extend

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
    "anynet.backends.numpy_namespace.xp",
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
