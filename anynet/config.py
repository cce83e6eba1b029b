"""Parts of a model as JSON, and back: the one codec, and the registry of kinds behind it.

A part (a layer, a loss, an optimizer, a schedule, an augmentation, an encoder of a column) is a
frozen dataclass with a class attribute ``kind``. Its configuration is
``{"kind": …, field: value, …}``; a part within a part has a configuration of its own. Fields are
numbers, strings, bools, None, tuples of these, or other parts. Parts of your own are registered in
the same way as those of anynet.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from anynet.checks import check_choice, did_you_mean
from anynet.errors import InvalidArgumentError

Part = TypeVar("Part")

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
}

_FAMILIES: dict[str, dict[str, Any]] = {
    family: {}
    for family in (
        *("layer", "activation", "loss", "optimizer", "group", "schedule", "augmentation"),
        *("preprocessing", "encoder", "encoding", "target", "options", "preset"),
    )
}


def register(family: str) -> Callable[[Part], Part]:
    """Return a decorator that makes a part known to files and to options by its kind.

    Parameters
    ----------
    family : {"layer", "activation", "loss", "optimizer", "schedule", "augmentation"}

    Returns
    -------
    callable
        Takes a frozen dataclass with a class attribute ``kind``, or a function, whose kind is its
        name, and returns it.

    Raises
    ------
    InvalidArgumentError
        If there is no such family, the part has no kind, or another part of the family has it.

    Examples
    --------
    >>> import anynet
    >>> @anynet.register("activation")
    ... def square(x, xp):
    ...     return x * x, lambda dy: 2 * x * dy
    >>> anynet.mlp([4, 8, 2], activation="square").layers[1]
    Activation(function='square')
    """
    kinds = registered(family)

    def add(part: Part) -> Part:
        kind = getattr(part, "kind", None) or ("" if isinstance(part, type) else _name(part))
        if not isinstance(kind, str) or not kind:
            message = f"a registered {family} needs a class attribute kind, {part!r} has none"
            raise InvalidArgumentError(message)
        known = kinds.get(kind)
        if known is not None and _where(known) != _where(part):
            message = f"the {family} kind {kind!r} is taken by {_where(known)}: choose another name"
            raise InvalidArgumentError(message)
        _FAMILIES[family][kind] = part
        return part

    return add


def registered(family: str) -> Mapping[str, Any]:
    """Return the parts of a family by kind, in the order in which they were registered.

    Raises
    ------
    InvalidArgumentError
        If there is no such family.
    """
    check_choice("family", family, _FAMILIES)
    return _FAMILIES[family]


def is_registered(family: str, part: Any) -> bool:
    """Whether the classes of a part, and of the parts within it, are those that kinds name."""
    if registered(family).get(getattr(part, "kind", "")) is not type(part):
        return False
    values = [getattr(part, field.name) for field in dataclasses.fields(part)]
    items = [item for value in values for item in (value if type(value) is tuple else (value,))]
    inner = [item for item in items if dataclasses.is_dataclass(item)]
    return all(any(is_registered(each, item) for each in _FAMILIES) for item in inner)


def lookup(family: str, kind: Any, argument: str = "") -> Any:
    """Return the registered part of a kind.

    Parameters
    ----------
    family : str
        See ``register``.
    kind : object
        The kind as the user passed it.
    argument : str, optional
        The name of the argument, for the message; by default the family.

    Raises
    ------
    InvalidArgumentError
        If the family has no such kind.
    """
    kinds = registered(family)
    if not isinstance(kind, str) or kind not in kinds:
        message = (
            f"{argument or family} must be one of {', '.join(kinds)}, got {kind!r}"
            f"{_advice(family, kind)}"
        )
        raise InvalidArgumentError(message)
    return kinds[kind]


def named_or_given(
    family: str, given: Any, is_part: Callable[[Any], bool], example: str, argument: str = ""
) -> Any:
    """Return the part of a name, made with its defaults, or the part that is given.

    Parameters
    ----------
    family : str
        See ``register``.
    given : str or part
    is_part : callable
        Whether an object is a part of this family.
    example : str
        Such a part, for the message.
    argument : str, optional
        The name of the argument, for the message; by default the family.

    Raises
    ------
    InvalidArgumentError
        If the family has no such kind, or an object is not a part of it.
    """
    if isinstance(given, str):
        return lookup(family, given, argument)()
    if isinstance(given, type) or not is_part(given):
        message = (
            f"{argument or family} must be a name or an object such as {example}, got {given!r}"
        )
        raise InvalidArgumentError(message)
    return given


def _advice(family: str, kind: Any) -> str:
    if callable(kind) and not isinstance(kind, type) and hasattr(kind, "__name__"):
        name = kind.__name__
        known = name in registered(family)
        return f": pass its name, {name!r}" + (
            "" if known else f", after registering it with @anynet.register({family!r})"
        )
    near = did_you_mean(kind, registered(family))
    article = "an" if family[0] in "aeiou" else "a"
    return near or (
        f"; {article} {family} of your own is known after the import of the module that registers "
        f"it with @anynet.register({family!r})"
    )


def to_config(part: Any) -> dict[str, Any]:
    """Return the configuration of a part, which JSON can hold.

    Parameters
    ----------
    part : dataclass with a class attribute ``kind``

    Returns
    -------
    dict
        The kind and the fields; those declared with ``compare=False`` are omitted.
    """
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

    Fields with a default may be missing, as in files of earlier versions. A part may have a class
    attribute ``earlier_names``, a dict from the name of a field in such files to its present name.

    Parameters
    ----------
    family : str
        See ``register``.
    config : object
        JSON from a file that may be damaged.

    Returns
    -------
    dataclass

    Raises
    ------
    InvalidArgumentError
        If the kind or an option is unknown, or a value is not of the option's type.
    """
    kinds = registered(family)
    kind = config.get("kind") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        message = (
            f"unknown {family} {config!r}: known are {', '.join(kinds)}{_advice(family, kind)}"
        )
        raise InvalidArgumentError(message)
    part = kinds[kind]
    types = {field.name: _annotation(field.type) for field in dataclasses.fields(part)}
    earlier_names = getattr(part, "earlier_names", {})
    options: dict[str, Any] = {}
    for name, value in config.items():
        if name == "kind":
            continue
        current = earlier_names.get(name, name)
        try:
            options[current] = _read(value, types[current])
        except (KeyError, ValueError) as error:
            message = f"unknown {family} {config!r}: {kind} has no option {name} of that value"
            raise InvalidArgumentError(message) from error
    try:
        return part(**options)
    except TypeError as error:  # an option without a default is missing
        message = f"unknown {family} {config!r}: {kind} needs more options"
        raise InvalidArgumentError(message) from error


def _read(value: Any, annotation: str) -> Any:
    """Return a value of JSON as a field of that annotation, such as ``float | None``, has it."""
    for name in annotation.split(" | "):
        if isinstance(value, dict):
            family = name.rpartition(".")[2].lower()
            if family in _FAMILIES:
                return from_config(family, value)
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
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _name(part: Any) -> str:
    name = str(getattr(part, "__name__", ""))
    return name if name.isidentifier() else ""  # a lambda has none


def _where(part: Any) -> str:
    return f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', repr(part))}"
