"""Two rewrites of a list of recorded calls that keep its results and move fewer bytes.

A call is a ``functools.partial`` that writes into its keyword ``out`` or its first argument.
"""

from __future__ import annotations

import functools
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
    for index in range(len(calls) - 1, -1, -1):
        call = calls[index]
        if _target(call) is result and isinstance(call.func, np.ufunc):
            calls[index] = functools.partial(call.func, *call.args, **call.keywords | {"out": home})
            return True
        if any(_shares(array, [home, result]) for array in _arrays(call)):
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
    made: set[int] = set()
    for index, call in enumerate(calls):
        old = _target(call)
        later = [array for one in calls[index + 1 :] for array in _arrays(one)]
        seen_through_a_view = any(a is not old and np.may_share_memory(a, old) for a in later)
        if isinstance(call.func, np.ufunc) and not (seen_through_a_view or _shares(old, kept)):
            for operand in call.args:
                if id(operand) in made and _alike(operand, old) and not _shares(operand, later):
                    calls[index:] = [_replace(one, old, operand) for one in calls[index:]]
                    break
        made.add(id(_target(calls[index])))


def _target(call: Call) -> Any:
    return call.keywords["out"] if "out" in call.keywords else call.args[0]


def _arrays(call: Call) -> list[np.ndarray]:
    values: Any = (call.args, call.keywords)
    return [leaf for leaf in tree.leaves(values) if isinstance(leaf, np.ndarray)]


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return a is not b and a.shape == b.shape and a.dtype == b.dtype


def _shares(array: np.ndarray, others: list[np.ndarray]) -> bool:
    return any(np.may_share_memory(array, other) for other in others)


def _replace(call: Call, old: np.ndarray, new: np.ndarray) -> Call:
    args, keywords = tree.map(lambda leaf: new if leaf is old else leaf, (call.args, call.keywords))
    return functools.partial(call.func, *args, **keywords)
