"""The numbers of parts: their bounds, and those that differ between members of a population.

A part (a layer, a loss, an optimizer, a schedule, a step) is a frozen dataclass; its ``varies``
names the fields in which members may differ. In a step of a population such a field holds an array
(*P,) instead of a number. Everything else must be the same for all members.

A part's ``to_varying``, if it has one, rounds a number as the part does, so that the device does
not have to round.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from anynet.errors import InvalidArgumentError
from anynet.typing import Array, Namespace

Part = TypeVar("Part")


class Bounds(NamedTuple):
    """The bounds of a number; infinity and NaN are outside of all."""

    least: float = 0.0
    above: float = -math.inf
    below: float = math.inf
    most: float = math.inf
    unit: str = ""

    def hold(self, value: Any) -> bool:
        """Whether a number is within the bounds."""
        sound = self.least <= value <= self.most and self.above < value < self.below
        return sound and not isinstance(value, bool)

    def __str__(self) -> str:
        low = f" above {self.above:g}" if self.above > -math.inf else ""
        if self.above < self.least:
            low = f" of at least {self.least:g}"
        high = f" and below {self.below:g}" if self.below < math.inf else ""
        high += f" and at most {self.most:g}" if self.most < math.inf else ""
        unit = f", in {self.unit}" if self.unit else ""
        return f"a {'' if high else 'finite '}number{low}{high}{unit}"


def number(default: Any, **bounds: Any) -> Any:
    """Declare a field that is a number within ``Bounds``, of a dataclass that is ``Bounded``.

    Parameters
    ----------
    default : float or None
        None: the field may be None.
    **bounds
        The fields of ``Bounds``.
    """
    return dataclasses.field(default=default, metadata={"bounds": Bounds(**bounds)})


class Bounded:
    """Base of dataclasses that check the numbers which they declare with ``number``."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            bounds, value = field.metadata.get("bounds"), getattr(self, field.name)
            if bounds is None or (value is None and field.default is None):
                continue
            if isinstance(value, np.generic):  # as Python's number, which files can hold
                value = value.item()
                object.__setattr__(self, field.name, value)
            is_array = value is not None and not isinstance(value, (int, float, Sequence))
            is_array = is_array and not callable(value)
            if not is_array and not (is_number(value) and bounds.hold(value)):
                kind = getattr(self, "kind", type(self).__name__)
                message = f"{kind}: {field.name} must be {bounds}, got {value!r}"
                raise InvalidArgumentError(message)


def is_number(value: Any) -> bool:
    """Whether a value is one number for all members, and not an array with one for each member."""
    return isinstance(value, (int, float))


def per_member(value: Array | float, leaf: Array, xp: Namespace) -> Array | float:
    """Append axes of length 1 to ``value`` (*P,), so that it broadcasts with ``leaf`` (*P, …).

    Parameters
    ----------
    value : Array of shape (*P,), or float
        A number or a 0-d array is returned unchanged.
    leaf : Array of shape (*P, …)
    xp : Namespace

    Returns
    -------
    Array of shape (*P, 1, …, 1), or float
    """
    if isinstance(value, (int, float)) or value.ndim == 0:
        return value
    shaped: Array = xp.reshape(value, value.shape + (1,) * (leaf.ndim - value.ndim))
    return shaped


def numbers(part: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number in which members may differ, with its path such as ``schedule.value``."""
    for name, value in _children(part):
        if is_number(value) and name in getattr(part, "varies", ()):
            yield path + name, getattr(part, "to_varying", float)(value)
        else:
            yield from numbers(value, f"{path}{name}.")


def with_numbers(part: Part, values: dict[str, Any], path: str = "") -> Part:
    """Return the part with other values at paths of ``numbers``.

    Parameters
    ----------
    part : dataclass or tuple
    values : dict of str to float or Array
        By path; a path may also be that of another field.
    path : str
        That of the part itself, with a dot at its end.
    """
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
