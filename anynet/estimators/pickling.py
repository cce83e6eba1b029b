"""Fitted attributes in a pickle: as NumPy arrays, which unpickle on any machine."""

from __future__ import annotations

from typing import Any

from anynet import tree
from anynet.backends import find_backend
from anynet.estimators.arrays import home_of, to_host
from anynet.estimators.weights import WEIGHTS

CLASSES, CLASSES_THERE = "classes_", "_classes_home"  # if these are there as well
WHERE = "_home"  # in the pickle alone: library, device and dtype of the fitted attributes


def to_portable(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's state with all arrays on the host, and where they were."""
    portable = dict(state)
    home = home_of(state["coefs_"][0]) if state.get("coefs_") else home_of(state.get(CLASSES))
    if home is not None:
        portable[WHERE] = (home.name, home.device_name(), home.dtype)
    for name in (*WEIGHTS, "_optimizer"):
        if name in portable:
            portable[name] = tree.map(to_host, portable[name])
    if home_of(portable.get(CLASSES)) is not None:
        portable[CLASSES_THERE], portable[CLASSES] = True, to_host(portable[CLASSES])
    return portable


def from_portable(portable: dict[str, Any]) -> dict[str, Any]:
    """Return the state with the weights where they were, as far as this machine has it.

    Without the device they go to the library's CPU, without the library they stay NumPy's.
    """
    state = dict(portable)
    home = find_backend(*state.pop(WHERE)) if WHERE in state else None
    if home is not None:
        for name in WEIGHTS:
            if name in state:
                state[name] = tree.map(home.to_device, state[name])
    there = state.pop(CLASSES_THERE, False)
    if home is not None and there:
        state[CLASSES] = home.to_device(state[CLASSES])
    return state
