"""Fitted attributes in a pickle: as NumPy arrays, which unpickle on any machine."""

from __future__ import annotations

from typing import Any

from anynet import tree
from anynet.backends import Backend, get_backend
from anynet.errors import BackendError, InvalidArgumentError
from anynet.estimators.arrays import home_of, to_host
from anynet.estimators.weights import WEIGHTS

WHERE = "_home"  # in the pickle alone: library, device and dtype of the fitted attributes


def to_portable(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's state with all arrays on the host, and where they were."""
    portable = dict(state)
    home = home_of(state["coefs_"][0]) if state.get("coefs_") else None
    if home is not None:
        portable[WHERE] = (home.name, home.device_name(), home.dtype)
    for name in (*WEIGHTS, "_optimizer"):
        if name in portable:
            portable[name] = tree.map(to_host, portable[name])
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
    return state


def find_backend(name: str, device: str, dtype: str) -> Backend | None:
    """Return a backend by name, on the CPU if it lacks the device; None where it is missing."""
    for place in (device, "cpu"):
        try:
            return get_backend(name, place, dtype)
        except (BackendError, InvalidArgumentError):
            continue
    return None
