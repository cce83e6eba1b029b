"""Parts of a model as JSON, and back: the one codec, and the registry of kinds behind it.

A part (a layer, a loss, an optimizer, a schedule, an augmentation, an encoder of a column) is a
frozen dataclass with a ``kind``. Its configuration is ``{"kind": …, field: value, …}``; a part
within a part is a configuration of its own. Parts of the user's own are registered in the same
way as those of anynet.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from anynet.checks import did_you_mean
from anynet.errors import InvalidArgumentError

Part = TypeVar("Part")

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
}

_FAMILIES: dict[str, dict[str, Any]] = {}


def register(family: str) -> Callable[[Part], Part]:
    """Return a decorator that makes a part known to files and to options by its kind.

    Parameters
    ----------
    family : {"layer", "activation", "loss", "optimizer", "schedule", "augmentation", "encoder"}

    Returns
    -------
    callable
        Takes a frozen dataclass with a class attribute ``kind``, or a function, whose kind is its
        name, and returns it.

    Raises
    ------
    InvalidArgumentError
        If there is no kind, or another part of the family has it.
    """

    def add(part: Part) -> Part:
        kind = getattr(part, "kind", None) or ("" if isinstance(part, type) else _name(part))
        if not isinstance(kind, str) or not kind:
            message = f"a registered {family} needs a class attribute kind, {part!r} has none"
            raise InvalidArgumentError(message)
        known = _FAMILIES.setdefault(family, {}).get(kind)
        if known is not None and _where(known) != _where(part):
            message = f"the {family} kind {kind!r} is taken by {_where(known)}: choose another name"
            raise InvalidArgumentError(message)
        _FAMILIES[family][kind] = part
        return part

    return add


def registered(family: str) -> Mapping[str, Any]:
    """Return the parts of a family by kind, in the order in which they were registered."""
    return _FAMILIES.setdefault(family, {})


def is_registered(family: str, part: Any) -> bool:
    """Whether a part's own class is the one that its family knows by its kind."""
    return registered(family).get(getattr(part, "kind", "")) is type(part)


def to_config(part: Any) -> dict[str, Any]:
    """Return the configuration of a part; fields that are not compared are left out."""
    config: dict[str, Any] = {"kind": part.kind}
    for field in dataclasses.fields(part):
        if field.compare and field.init:
            config[field.name] = _plain(getattr(part, field.name))
    return config


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_config(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def from_config(family: str, config: Any) -> Any:
    """Make the part that a configuration describes.

    Fields with a default may be missing, as in files of earlier versions.

    Parameters
    ----------
    family : str
        See ``register``.
    config : object
        JSON from a file that may be damaged.

    Raises
    ------
    InvalidArgumentError
        If the kind or an option is unknown, or a value is not of the option's type.
    """
    kinds = registered(family)
    kind = config.get("kind") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        message = (
            f"unknown {family} {config!r}: known are {', '.join(kinds)}{did_you_mean(kind, kinds)}"
            f" (import the module that registers a {family} of your own before loading)"
        )
        raise InvalidArgumentError(message)
    types = {field.name: _annotation(field.type) for field in dataclasses.fields(kinds[kind])}
    options: dict[str, Any] = {}
    for name, value in config.items():
        if name == "kind":
            continue
        try:
            options[name] = _read(value, types[name])
        except (KeyError, ValueError) as error:
            message = f"unknown {family} {config!r}: {kind} has no option {name} of that value"
            raise InvalidArgumentError(message) from error
    try:
        return kinds[kind](**options)
    except TypeError as error:  # an option without a default is missing
        message = f"unknown {family} {config!r}: {kind} needs more options"
        raise InvalidArgumentError(message) from error


def _read(value: Any, annotation: str) -> Any:
    """Return a value of JSON as a field of that annotation, such as ``float | None``, has it."""
    for name in annotation.split(" | "):
        if isinstance(value, dict):
            if name.lower() in _FAMILIES:
                return from_config(name.lower(), value)
            if name == "Mapping[int, float]":  # JSON has turned the keys into text
                return {int(key): _read(item, "float") for key, item in value.items()}
        elif isinstance(value, list):
            outer, _, inner = name.removesuffix("]").partition("[")
            items = inner.removesuffix(", ...").split(", ")
            if outer == "tuple" and not inner.endswith("..."):
                return tuple(_read(*pair) for pair in zip(value, items, strict=True))
            if outer in ("tuple", "Sequence"):
                return tuple(_read(item, items[0]) for item in value)
        elif type(value) in _TYPES.get(name, ()) and _is_finite(value):
            return value
    raise ValueError(annotation)


def _is_finite(value: Any) -> bool:
    try:
        return not isinstance(value, (int, float)) or math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def _annotation(annotation: Any) -> str:
    return (
        annotation
        if isinstance(annotation, str)
        else getattr(annotation, "__name__", str(annotation))
    )


def _name(part: Any) -> str:
    return str(getattr(part, "__name__", ""))


def _where(part: Any) -> str:
    return f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', repr(part))}"
