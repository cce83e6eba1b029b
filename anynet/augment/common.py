"""What augmentations share: the layout of samples, checks of strengths, random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import is_number
from anynet.typing import Array

LARGEST_DISPLACEMENT = 1e4  # pixels: beyond every image, and finite in half precision
BYTES_VARIANCE = 4 * (256**2 - 1) / 12  # of the sum of four bytes


class Layout(NamedTuple):
    """How samples are images.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    top : float
        The value of full ink, 255 in bytes.
    """

    shape: tuple[int, int]
    top: float = 1.0


def check_strength(
    name: str, value: Any, *, below: float = math.inf, at_most: float = math.inf, unit: str = ""
) -> None:
    """Check a strength; in a step of a population it may be an array, one number per member.

    Raises
    ------
    InvalidArgumentError
        If it is a negative number or one that is too large, or neither a number nor an array.
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


def uniform(bits: Array, backend: Backend) -> Array:
    """Turn words of 32 random bits into numbers in [0, 1): multiples of 2⁻²⁴, exact in float32."""
    numbers: Array = backend.xp.astype(bits >> 8, backend.float_dtype)
    return numbers * 2.0**-24


def normal(bits: Array, backend: Backend) -> Array:
    """Turn words of 32 random bits into approximately normal numbers of mean 0 and variance 1.

    Each is the sum of a word's four bytes: symmetric, of kurtosis 2.7 instead of 3, and within
    ±3.5. Sums of several of them are closer to normal.
    """
    xp = backend.xp
    total = (bits & 0xFF) + ((bits >> 8) & 0xFF) + ((bits >> 16) & 0xFF) + (bits >> 24)
    numbers: Array = xp.astype(total, backend.float_dtype)
    return (numbers - 510.0) * (1 / math.sqrt(BYTES_VARIANCE))
