"""What the strengths of augmentations may be."""

from __future__ import annotations

import math
from typing import Any

from anynet.errors import InvalidArgumentError
from anynet.members import is_number


def check_strength(name: str, value: Any, below: float = math.inf, unit: str = "") -> None:
    """Refuse what is no strength; in a step of a population it may be one a member.

    Raises
    ------
    InvalidArgumentError
        If it is a number outside [0, below), or a truth value.
    """
    if isinstance(value, bool) or (is_number(value) and not 0 <= value < below):
        limit = f" and below {below:g}" if below < math.inf else ", finite"
        message = f"{name} must be at least 0{limit}{unit and ', in ' + unit}, got {value!r}"
        raise InvalidArgumentError(message)
