"""Two rewrites of a list of recorded calls that keep its results and move fewer bytes.

A call is a ``functools.partial`` that writes into its keyword ``out`` or its first argument.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from anynet import tree
from anynet.backends.recording import Call


def redirect(calls: list[Call], result: np.ndarray, home: np.ndarray) -> bool:
    """Let the elementwise call that makes ``result`` write it into ``home``.

    Returns
    -------
    bool
        False, and nothing is changed, where another call makes it or a later one needs either.
    """
    both = {_owner(result), _owner(home)}
    for index in range(len(calls) - 1, -1, -1):
        call = calls[index]
        if _target(call) is result and isinstance(call.func, np.ufunc):
            calls[index] = functools.partial(call.func, *call.args, **call.keywords | {"out": home})
            return True
        if not both.isdisjoint(_owner(array) for array in _arrays(call)):
            return False
    return False


def overwrite_the_dead(calls: list[Call], kept: list[np.ndarray]) -> None:
    """Let elementwise calls write over an operand that no later call reads: it is in the cache.

    Parameters
    ----------
    calls : list of Call
        Changed in place.
    kept : list of ndarray
        What must not be written over, nor be written elsewhere: state, data, rows.
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
                if id(new) in made and _alike(new, old) and _owner(new) not in busy:
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
    """Which memory an array sees: arrays that may overlap have one owner."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return a is not b and a.shape == b.shape and a.dtype == b.dtype


def _replace(call: Call, old: np.ndarray, new: np.ndarray) -> Call:
    if not any(array is old for array in _arrays(call)):
        return call
    args, keywords = tree.map(lambda leaf: new if leaf is old else leaf, (call.args, call.keywords))
    return functools.partial(call.func, *args, **keywords)
