"""Arrays that record the calls made on them, so that the calls can be repeated.

NumPy passes them on by its protocols ``__array_ufunc__`` (NEP 13) and ``__array_function__``
(NEP 18). A repeated call writes into the array that it returned when it was recorded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Call = functools.partial[Any]


class UnrecordableError(TypeError):
    """Raised for an operation that a list of calls cannot repeat."""


class Recorded(NDArrayOperatorsMixin):
    """A NumPy array whose operations are executed and recorded in ``calls``.

    Parameters
    ----------
    array : ndarray
    calls : list of Call
        Extended by each operation.
    """

    __iter__ = None

    def __init__(self, array: np.ndarray, calls: list[Call]) -> None:
        self.array = array
        self.calls = calls

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    dtype = property(lambda self: self.array.dtype)
    flags = property(lambda self: self.array.flags)
    T = property(lambda self: Recorded(self.array.T, self.calls))
    mT = property(lambda self: Recorded(self.array.mT, self.calls))  # noqa: N815

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Recorded:
        if ufunc.nout != 1 or method not in ("__call__", "reduce"):
            message = f"{ufunc.__name__}.{method} does not return one array"
            raise UnrecordableError(message)
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        values = _typed([plain(value) for value in inputs])
        target = None if out is None else _owned(out[0])
        result = np.asarray(function(*values, out=target, **options))
        self.calls.append(functools.partial(function, *values, out=result, **options))
        return Recorded(result, self.calls)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Recorded:
        if "out" in kwargs:
            _owned(kwargs["out"])
        return self._note(function, _plain_all(args), _plain_all(kwargs))

    def __getitem__(self, key: Any) -> Recorded:
        return self._note(np.ndarray.__getitem__, (self.array, key), {})

    def astype(self, dtype: Any, copy: bool = True) -> Recorded:
        """Record ``ndarray.astype``."""
        return self._note(np.ndarray.astype, (self.array, dtype), {"copy": copy})

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Recorded:
        """Record ``ndarray.argmax``."""
        return self._note(np.ndarray.argmax, (self.array,), {"axis": axis, "keepdims": keepdims})

    def copy(self) -> Recorded:
        """Record ``ndarray.copy``."""
        return self._note(np.ndarray.copy, (self.array,), {})

    def dot(self, other: Any) -> Recorded:
        """Record ``numpy.dot``."""
        return self._note(np.dot, (self.array, plain(other)), {})

    def _note(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Recorded:
        """Call a function, and record how to repeat it unless its result is a view."""
        result = function(*args, **kwargs)
        if not isinstance(result, (np.ndarray, np.generic)):
            message = f"{function} does not return one array"
            raise UnrecordableError(message)
        result = np.asarray(result)
        if not any(isinstance(a, np.ndarray) and np.may_share_memory(a, result) for a in args):
            if function in (np.dot, np.ndarray.argmax):
                call = functools.partial(function, *args, out=result, **kwargs)
            elif function is np.take:  # without a mode, NumPy buffers the output
                take = np.ndarray.take  # not numpy.take, which asks every argument's type first
                call = functools.partial(take, *args, out=result, mode="wrap", **kwargs)
            elif function in (np.ndarray.astype, np.ndarray.copy):
                call = functools.partial(np.copyto, result, args[0], casting="unsafe")
            else:
                call = functools.partial(_refill, result, function, args, kwargs)
            self.calls.append(call)
        return Recorded(result, self.calls)

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        message = "a step may not read its arrays on the host"
        raise UnrecordableError(message)

    __bool__ = __float__ = __int__ = __index__ = __array__ = __len__ = _refuse


def call_or_note(function: Callable[..., None], *args: Any) -> None:
    """Call a function that writes into its first argument; record the call if that is recorded."""
    call = functools.partial(function, *map(plain, args))
    call()
    if isinstance(args[0], Recorded):
        args[0].calls.append(call)


def plain(value: Any) -> Any:
    """Return the NumPy array of a recorded one; return other values unchanged."""
    return value.array if isinstance(value, Recorded) else value


def _owned(target: Any) -> np.ndarray:
    """Return an output array, which must be a recorded result: others are not made again."""
    if not isinstance(target, Recorded):
        message = "a step may write only into results of recorded calls"
        raise UnrecordableError(message)
    return target.array


def _typed(values: list[Any]) -> list[Any]:
    """Turn Python's numbers into arrays of the dtype that NEP 50 gives them."""
    dtype = next(value.dtype for value in values if isinstance(value, (np.ndarray, np.generic)))
    kinds: dict[str, tuple[type, ...]] = {"f": (int, float), "i": (int,), "u": (int,)}
    numbers = kinds.get(dtype.kind, ())
    return [np.asarray(v, dtype=dtype) if isinstance(v, numbers) else v for v in values]


def _plain_all(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _plain_all(value) for name, value in values.items()}
    if isinstance(values, (tuple, list)):
        return type(values)(_plain_all(value) for value in values)
    return plain(values)


def _refill(result: np.ndarray, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    np.copyto(result, function(*args, **kwargs))
