"""Dataclasses from JSON that nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import numpy as np


def made_of(config: Any, key: str, classes: Mapping[str, Any]) -> Any:
    """Make a dataclass of what a file says, each field checked against its type.

    Fields with a default value may be missing: files of earlier versions do not have them.

    Parameters
    ----------
    config : dict
        Its fields, and under `key` which of the `classes` it is.

    Raises
    ------
    KeyError, TypeError, ValueError
        It says something else.
    """
    options = dict(config)
    cls = classes[options.pop(key)]
    expected = {field.name: field.type for field in fields(cls)}
    defaults = {each.name: each.default for each in fields(cls) if each.default is not MISSING}
    options = defaults | options
    if options.keys() != expected.keys():
        message = f"expected {sorted(expected)}, got {sorted(options)}"
        raise ValueError(message)
    for name, kind in expected.items():
        value = options[name]
        if kind == "tuple[str, ...]" and isinstance(value, list):
            options[name] = value = tuple(value)
        sound = {
            "str": isinstance(value, str),
            "bool": isinstance(value, bool),
            "float": type(value) in (int, float) and np.isfinite(value),
            "tuple[str, ...]": isinstance(value, tuple) and all(type(v) is str for v in value),
        }
        if not sound[str(kind)] or (name == "scale" and value <= 0):
            message = f"{name} is {value!r}"
            raise ValueError(message)
    return cls(**options)
