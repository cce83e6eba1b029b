"""Parameters and figures of an estimator as JSON, and back: exactly, or not at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from anynet.errors import InvalidArgumentError
from anynet.nn.losses import LOSSES
from anynet.optim.optimizers import OPTIMIZERS
from anynet.optim.schedules import SCHEDULES

OBJECTS: dict[str, Any] = {**LOSSES, **OPTIMIZERS, **SCHEDULES}
"""Kinds of objects that a parameter may be, and their classes; no kind is in two families."""


def encode(value: Any) -> Any:
    """Return a value as JSON has it: NumPy's as Python's, anynet's objects by kind and fields.

    Raises
    ------
    InvalidArgumentError
        If it is, or holds, something else, such as a function.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        return encode(value.tolist())
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encode(one) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(one) for one in value]}
    if isinstance(value, dict):  # JSON's keys would all be strings
        return {"dict": [[encode(key), encode(one)] for key, one in value.items()]}
    if OBJECTS.get(getattr(value, "kind", "")) is not type(value):
        message = f"a file without code cannot hold {value!r}"
        raise InvalidArgumentError(message)
    fields = {one.name: encode(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return {"kind": value.kind, "fields": fields}


def decode(stored: Any) -> Any:
    """Return what ``encode`` was given."""
    if isinstance(stored, list):
        return [decode(one) for one in stored]
    if not isinstance(stored, dict):
        return stored
    if "tuple" in stored:
        return tuple(decode(stored["tuple"]))
    if "dict" in stored:
        return {decode(key): decode(one) for key, one in stored["dict"]}
    fields = {name: decode(one) for name, one in stored["fields"].items()}
    return OBJECTS[stored["kind"]](**fields)
