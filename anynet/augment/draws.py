"""Numbers of common distributions from random bits."""

from __future__ import annotations

import math

from anynet.backends import Backend
from anynet.typing import Array

BYTES_VARIANCE = 4 * (256**2 - 1) / 12  # of the sum of four bytes


def uniform(bits: Array, backend: Backend) -> Array:
    """Turn words of 32 random bits into numbers in [0, 1): multiples of 2⁻²⁴, exact in float32."""
    numbers: Array = backend.xp.astype(bits >> 8, backend.float_dtype)
    return numbers * 2.0**-24


def normal(bits: Array, backend: Backend) -> Array:
    """Turn words of 32 random bits into numbers of mean 0 and variance 1, about normal.

    Each is the sum of a word's four bytes: symmetric, of kurtosis 2.7 in place of 3, and within
    ±3.5. Sums of several of them are the nearer to normal.
    """
    xp = backend.xp
    total = (bits & 0xFF) + ((bits >> 8) & 0xFF) + ((bits >> 16) & 0xFF) + (bits >> 24)
    numbers: Array = xp.astype(total, backend.float_dtype)
    return (numbers - 510.0) * (1 / math.sqrt(BYTES_VARIANCE))
