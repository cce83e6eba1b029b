"""Record a step on NumPy as a list of calls that write into the same arrays for every batch.

The step runs once on ``Recorded`` arrays, which record its calls. Two rewrites of the list then
move fewer bytes and keep the results. A call is a ``functools.partial`` that writes into its
keyword ``out`` or its first argument: a repeated call writes into the array that it returned when
it was recorded. NumPy passes recorded arrays on by its protocols ``__array_ufunc__`` (NEP 13) and
``__array_function__`` (NEP 18).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from anynet import tree
from anynet.backends.blas import add_product, bind_product
from anynet.backends.loops import Recorder, alike
from anynet.backends.portable import Step

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
        return self._note(function, *tree.map(plain, (args, kwargs)))

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
            if function in (np.dot, np.ndarray.argmax, np.concatenate):
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
    """Convert Python numbers to arrays, with the dtype of NEP 50."""
    dtype = next(value.dtype for value in values if isinstance(value, (np.ndarray, np.generic)))
    kinds: dict[str, tuple[type, ...]] = {"f": (int, float), "i": (int,), "u": (int,)}
    numbers = kinds.get(dtype.kind, ())
    return [np.asarray(v, dtype=dtype) if isinstance(v, numbers) else v for v in values]


def _refill(result: np.ndarray, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    np.copyto(result, function(*args, **kwargs))


class CallList:
    """Recorded calls, repeated for each row of an order.

    Parameters
    ----------
    rows : ndarray
        The array from which the calls read the rows.
    calls : list of callable
    """

    def __init__(self, rows: np.ndarray, calls: list[Any]) -> None:
        self.rows = rows
        self.calls = calls

    def __call__(self, order: Any) -> None:
        """Run all calls for each row."""
        buffer, calls = self.rows, self.calls
        for rows in order:
            buffer[...] = rows
            for call in calls:
                call()


class CallRecorder(Recorder):
    """Record the calls of one step on NumPy arrays."""

    worth = 64
    largest_copy = 0  # copying data would cost more than another recording

    def copy(self, array: Any) -> np.ndarray:
        """Return a new array with the same content."""
        return np.array(array)

    def write(self, buffer: Any, array: Any) -> None:
        """Copy ``array`` into ``buffer``."""
        np.copyto(buffer, array)

    def place(self, array: Any) -> Hashable:
        """Return the address, shape, strides and type: what a recording reads if they are equal."""
        address = array.__array_interface__["data"][0]
        return address, array.shape, array.strides, array.dtype

    def chunks(self, order: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the order as a whole: a recording runs any number of rows of one shape."""
        yield order.shape[1:], order

    def record(self, step: Step[Any], state: Any, rows: Any, data: Any) -> CallList:
        """Run the step on recorded arrays, then restore the state."""
        buffer, before = np.array(rows[0]), tree.map(np.array, state)
        calls: list[Call] = []
        try:
            inputs = tree.map(lambda leaf: Recorded(leaf, calls), state)
            results = tree.leaves(step(inputs, Recorded(buffer, calls), data))
        finally:
            tree.map(np.copyto, state, before)
        buffers = tree.leaves(state)
        _write_back(calls, [plain(result) for result in results], buffers)
        _overwrite_unused(calls, [*buffers, *tree.leaves(data), buffer])
        bound = [bind_product(*call.args) if call.func is add_product else call for call in calls]
        return CallList(buffer, bound)


def _write_back(calls: list[Call], results: list[np.ndarray], buffers: list[np.ndarray]) -> None:
    """Add the calls that write the new state into the state's buffers."""
    pairs = []
    for buffer, result in zip(buffers, results, strict=True):
        value = result
        if value is not buffer and any(np.may_share_memory(value, other) for other in buffers):
            value = np.array(result)
            calls.append(functools.partial(np.copyto, value, result))
        pairs.append((buffer, value))
    for buffer, value in pairs:
        if value is not buffer and not _redirect(calls, value, buffer):
            calls.append(functools.partial(np.copyto, buffer, value))


def _redirect(calls: list[Call], result: np.ndarray, buffer: np.ndarray) -> bool:
    """Let the elementwise call that makes ``result`` write it into ``buffer``.

    Returns
    -------
    bool
        False, with nothing changed, where another call makes it or a later one uses either.
    """
    both = {_owner(result), _owner(buffer)}
    for index in range(len(calls) - 1, -1, -1):
        call = calls[index]
        if _target(call) is result and isinstance(call.func, np.ufunc):
            calls[index] = functools.partial(
                call.func, *call.args, **call.keywords | {"out": buffer}
            )
            return True
        if not both.isdisjoint(_owner(array) for array in _arrays(call)):
            return False
    return False


def _overwrite_unused(calls: list[Call], kept: list[np.ndarray]) -> None:
    """Let elementwise calls overwrite an operand that no later call reads: it is in the cache.

    Parameters
    ----------
    calls : list of Call
        Changed in place.
    kept : list of ndarray
        Arrays that must not be overwritten, nor replaced by others: state, data, rows.
    """
    keep = {_owner(array) for array in kept}
    touched = [[(id(array), _owner(array)) for array in _arrays(call)] for call in calls]
    made: set[int] = set()
    for index, call in enumerate(calls):
        old = _target(call)
        later = [pair for pairs in touched[index + 1 :] for pair in pairs]
        seen_through_a_view = any(o == _owner(old) and i != id(old) for i, o in later)
        in_place = any(operand is old for operand in call.args)
        settled = seen_through_a_view or in_place or _owner(old) in keep
        if isinstance(call.func, np.ufunc) and not settled:
            busy = keep.union(owner for _, owner in later)
            for new in call.args:
                if id(new) in made and alike(new, old) and _owner(new) not in busy:
                    calls[index:] = [_replace(one, old, new) for one in calls[index:]]
                    touched[index:] = [
                        [(id(new), _owner(new)) if i == id(old) else (i, o) for i, o in pairs]
                        for pairs in touched[index:]
                    ]
                    break
        made.add(id(_target(calls[index])))


def _target(call: Call) -> Any:
    return call.keywords["out"] if "out" in call.keywords else call.args[0]


def _arrays(call: Call) -> list[np.ndarray]:
    """Return the arrays that a call reads or writes."""
    values = [*call.args, *call.keywords.values()]
    if any(isinstance(value, (tuple, list, dict)) for value in values):
        values = tree.leaves(values)
    return [value for value in values if isinstance(value, np.ndarray)]


def _owner(array: np.ndarray) -> int:
    """Return the identity of the memory that an array views."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array)


def _replace(call: Call, old: np.ndarray, new: np.ndarray) -> Call:
    if not any(array is old for array in _arrays(call)):
        return call
    args, keywords = tree.map(lambda leaf: new if leaf is old else leaf, (call.args, call.keywords))
    return functools.partial(call.func, *args, **keywords)
