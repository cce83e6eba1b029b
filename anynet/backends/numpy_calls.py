"""A step on NumPy as a list of calls that write into the same arrays at every batch.

The step runs once on ``Recorded`` arrays, which note its calls. Two rewrites of the list then move
fewer bytes and keep the results. A call is a ``functools.partial`` that writes into its keyword
``out`` or its first argument.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from anynet import tree
from anynet.backends.blas import add_product, bind_product
from anynet.backends.loops import Recorder, alike
from anynet.backends.portable import Step
from anynet.backends.recording import Call, Recorded, plain


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


def _arrays(values: Any) -> Iterator[np.ndarray]:
    """Yield the arrays that a call reads or writes."""
    if isinstance(values, functools.partial):
        values = (*values.args, *values.keywords.values())
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _arrays(value)
        elif isinstance(value, dict):
            yield from _arrays(value.values())


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
