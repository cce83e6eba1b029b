"""Layers and losses from what a file says of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from anynet.errors import InvalidArgumentError

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
}


def make_part(what: str, kinds: Mapping[str, Any], entry: Any) -> Any:
    """Make the part that ``{"kind": …, option: value, …}`` describes.

    Parameters
    ----------
    what : str
        Of what kind it is, for the message: ``"layer"``.
    kinds : mapping of str to dataclass
        What may be made: the part itself, and parts within it.
    entry : object
        JSON from a file that nobody vouches for.

    Raises
    ------
    InvalidArgumentError
        If the kind or an option is unknown to this version, or a value is not of the option's type.
    """
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        message = f"unknown {what} {entry!r}; known are {', '.join(kinds)}"
        raise InvalidArgumentError(message)
    options = {
        name: make_part(what, kinds, value) if isinstance(value, dict) else value
        for name, value in entry.items()
        if name != "kind"
    }
    types = {field.name: field.type for field in dataclasses.fields(kinds[kind])}
    wrong = [name for name, value in options.items() if not _is_a(value, types.get(name, ""))]
    if wrong:
        message = (
            f"unknown {what} {entry!r}: {wrong[0]} is no option of {kind}, or not a value of it"
        )
        raise InvalidArgumentError(message)
    options = {
        n: tuple(value) if isinstance(value, list) else value for n, value in options.items()
    }
    try:
        return kinds[kind](**options)
    except TypeError as error:  # an option is missing
        message = f"unknown {what} {entry!r}: {kind} needs more options"
        raise InvalidArgumentError(message) from error


def _is_a(value: Any, annotation: Any) -> bool:
    """Whether a value is what the annotation of a field, such as ``float | None``, says."""
    if dataclasses.is_dataclass(value):  # a part within the part
        return bool(annotation == "Schedule")
    if isinstance(value, list):
        return annotation == "tuple[int, ...]" and all(_is_a(item, "int") for item in value)
    names = str(annotation).split(" | ")
    if not any(type(value) in _TYPES.get(name, ()) for name in names):
        return False
    try:
        return not isinstance(value, (int, float)) or math.isfinite(value)
    except OverflowError:  # a whole number that no float can be
        return False
