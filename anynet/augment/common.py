"""Common parts of augmentations: the layout of samples, and random numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

from anynet.backends import Backend
from anynet.typing import Array, Key

LARGEST_DISPLACEMENT = 1e4  # pixels: beyond every image, and finite in half precision
BYTES_VARIANCE = 4 * (256**2 - 1) / 12  # of the sum of four bytes


class Layout(NamedTuple):
    """The layout of samples that are images.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    top : float
        The value of full ink, 255 in bytes.
    """

    shape: tuple[int, int]
    top: float = 1.0


def row_bits(shape: tuple[int, ...], backend: Backend, key: Key, axis: int) -> Array:
    """Draw 32 random bits per element for the rows of a batch.

    Parameters
    ----------
    shape : tuple of int
        Of two axes; one has the rows of this process.
    backend : Backend
    key : Key
        A row has the same bits wherever it is computed: those of its place in the whole batch.
    axis : {-1, -2}
        The axis of the rows.

    Returns
    -------
    Array of shape (*P, *shape)
    """
    share = key.share
    if share is not None:
        shape = (share.size, shape[1]) if axis == -2 else (shape[0], share.size)
    bits = backend.random_bits(key.seed, (key.step, key.purpose), shape)
    return bits if share is None else share.take(bits, backend.xp, axis)


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
