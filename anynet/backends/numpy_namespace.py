"""NumPy's array API namespace with leaner functions.

In a small network's step the calls cost as much as the arithmetic: ``numpy.sum`` and its like take
one to three microseconds before they touch an array, the methods and ufuncs below them a third of
that. And some loops of NumPy's are slow where others do the same: a sum over an axis of a matrix is
BLAS's product with a vector of ones; a maximum over short rows is one over long columns; a maximum
or minimum with a number (no SIMD there) is one with a row of it.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import array_api_compat.numpy as compat
import numpy as np

from anynet.backends.recording import Recorded

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


def _maximum(a: Any, b: Any, /) -> Any:
    if isinstance(b, float) and a.ndim and a.dtype.kind == "f":
        b = _filled(b, a.shape[-1], a.dtype)
    return np.maximum(a, b)


def _minimum(a: Any, b: Any, /) -> Any:
    if isinstance(b, float) and a.ndim and a.dtype.kind == "f":
        b = _filled(b, a.shape[-1], a.dtype)
    return np.minimum(a, b)


def _clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    bounded = x if min is None else _maximum(x, min)
    return bounded if max is None else _minimum(bounded, max)


def _argmax(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    return x.argmax(axis=axis, keepdims=keepdims)


def _astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    return x.astype(dtype, copy=copy)


def _matrix_transpose(x: Any, /) -> Any:
    return x.mT


def _take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    if isinstance(indices, Recorded):  # numpy.take asks its first argument only
        return indices.__array_function__(np.take, (), (x, indices), {"axis": axis})
    return x.take(indices, axis=axis)


xp = ModuleType("anynet.backends.numpy_namespace.xp", "NumPy's array API namespace.")
vars(xp).update({name: value for name, value in vars(compat).items() if name[:1] != "_"})
vars(xp).update(
    argmax=_argmax,
    astype=_astype,
    clip=_clip,
    isdtype=compat.isdtype,
    matrix_transpose=_matrix_transpose,
    max=_max,
    maximum=_maximum,
    minimum=_minimum,
    sum=_sum,
    take=_take,
    __version__=np.__version__,
)
