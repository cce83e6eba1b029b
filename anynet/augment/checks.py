"""What the strengths of augmentations may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from anynet.errors import InvalidArgumentError
from anynet.members import is_number

LARGEST_DISPLACEMENT = 1e4  # pixels: beyond every image, and finite in half precision


def check_strength(
    name: str, value: Any, *, below: float = math.inf, at_most: float = math.inf, unit: str = ""
) -> None:
    """Refuse what is no strength; in a step of a population it may be one a member.

    Raises
    ------
    InvalidArgumentError
        If it is a number that is negative or too large, or no number at all.
    """
    if is_number(value):
        sound = not isinstance(value, bool) and 0 <= value < below and value <= at_most
    else:
        sound = value is not None and not isinstance(value, Sequence)
    if not sound:
        limit = f" and below {below:g}" if below < math.inf else ""
        limit += f" and at most {at_most:g}" if at_most < math.inf else ""
        limit += f", in {unit}" if unit else ""
        message = f"{name} must be a number of at least 0{limit}, got {value!r}"
        raise InvalidArgumentError(message)
