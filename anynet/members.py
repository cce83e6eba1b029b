"""What may differ between the members of a population that are trained as one computation.

A part (a layer, a loss, an optimizer, a schedule, a step) is a frozen dataclass; its ``varies``
names the fields in which members may differ. In a step of a population such a field holds an array
(*P,) instead of a number. Everything else must be the same for all members.

A part's ``to_varying``, if it has one, rounds a number to what the part acts on, so that the
arithmetic of a device need not round as Python's does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

from anynet.typing import Array, Namespace

Part = TypeVar("Part")


def is_number(value: Any) -> bool:
    """Whether this is one number for all members, and not an array of one a member."""
    return isinstance(value, (int, float))


def per_member(value: Array | float, leaf: Array, xp: Namespace) -> Array | float:
    """Give ``value`` (*P,) trailing axes of length one, so that it multiplies ``leaf`` (*P, …).

    A Python number or a 0-d array serves all members as it is.
    """
    if isinstance(value, (int, float)) or value.ndim == 0:
        return value
    shaped: Array = xp.reshape(value, value.shape + (1,) * (leaf.ndim - value.ndim))
    return shaped


def numbers(part: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number in which members may differ with its path, ``optimizer.momentum``."""
    for name, value in _children(part):
        if is_number(value) and name in getattr(part, "varies", ()):
            yield path + name, getattr(part, "to_varying", float)(value)
        else:
            yield from numbers(value, f"{path}{name}.")


def with_numbers(part: Part, values: dict[str, Any], path: str = "") -> Part:
    """Return the part with what ``values`` holds at the paths of ``numbers``."""
    if not any(name.startswith(path) for name in values):
        return part
    changed: dict[str, Any] = {
        name: values[path + name]
        if path + name in values
        else with_numbers(value, values, f"{path}{name}.")
        for name, value in _children(part)
    }
    if isinstance(part, tuple):
        return type(part)(changed.values())
    return dataclasses.replace(part, **changed) if changed else part  # type: ignore[type-var]


def _children(part: Any) -> list[tuple[str, Any]]:
    if isinstance(part, tuple):
        return [(str(index), child) for index, child in enumerate(part)]
    if dataclasses.is_dataclass(part):
        return [
            (field.name, getattr(part, field.name))
            for field in dataclasses.fields(part)
            if field.init
        ]
    return []
