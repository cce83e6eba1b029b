"""Sampling images at displaced positions, on which all deformations are based."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from anynet.augment.common import Layout
from anynet.backends import Backend
from anynet.typing import Array, Key, Namespace


class Deformation(Protocol):
    """A random field of displacements: a linear combination of fixed fields.

    Its ``coefficients`` take the words of an image from one column of ``bits``, unless it has an
    attribute ``mixes_words`` that is true.
    """

    def basis(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the fields, (F, H·W)."""

    def words(self, fields: int) -> int:
        """Return the number of words of 32 random bits for one image."""

    def coefficients(self, bits: Array, labels: Any, fields: int, backend: Backend) -> Array:
        """Return the coefficient of each field in the displacement of y and of x, (*P, 2, B, F).

        ``bits`` are (*P, words, B), ``labels`` are the targets of the samples, (B,) or (*P, B).
        """


@dataclass(frozen=True)
class Warp:
    """Several deformations as one: their displacements are added, and images are sampled once.

    All source coordinates are one product of the coefficients (2B, F) of the images and the fields
    (F, H·W) that all images share.

    Parameters
    ----------
    deformations : tuple of Deformation
    fields : tuple of int
        The number of fields of each deformation.
    basis : Array of shape (2 + sum(fields), H·W)
        On the device: the coordinates of each pixel, y and x, and the fields.
    """

    deformations: tuple[Deformation, ...]
    fields: tuple[int, ...]
    basis: Any = field(compare=False, repr=False)

    @classmethod
    def of(cls, deformations: tuple[Deformation, ...], layout: Layout, backend: Backend) -> Warp:
        """Compute the fields and place them on the device."""
        height, width = layout.shape
        parts = [deformation.basis(layout.shape) for deformation in deformations]
        grid = np.mgrid[:height, :width].reshape(2, -1)
        basis = np.concatenate([grid, *parts]).astype(backend.dtype)
        fields = tuple(part.shape[0] for part in parts)
        return cls(deformations, fields, backend.to_device(basis))

    def __call__(
        self, images: Array, labels: Any, layout: Layout, *, backend: Backend, key: Key
    ) -> Array:
        """Return the deformed images (B, H·W) or (*P, B, H·W) as floats (*P, B, H·W)."""
        coordinates = self.coordinates(images.shape[-2], labels, backend=backend, key=key)
        y, x = coordinates[..., 0, :, :], coordinates[..., 1, :, :]
        return sample(images, y, x, layout.shape, backend=backend)

    def coordinates(self, n_images: int, labels: Any, *, backend: Backend, key: Key) -> Array:
        """Return the source of each pixel, (*P, 2, B, H·W): y and x in pixels."""
        xp, population, share = backend.xp, key.seed.shape, key.share
        needs = [d.words(f) for d, f in zip(self.deformations, self.fields, strict=True)]
        size = n_images if share is None else share.size
        bits = backend.random_bits(key.seed, (key.step, key.purpose), (sum(needs), size))
        unchanged = xp.reshape(
            xp.eye(2, dtype=backend.float_dtype, device=backend.device), (2, 1, 2)
        )
        parts = [xp.broadcast_to(unchanged, (*population, 2, n_images, 2))]
        start = 0
        for deformation, count, need in zip(self.deformations, self.fields, needs, strict=True):
            own = bits[..., start : start + need, :]
            late = share is not None and getattr(deformation, "mixes_words", False)
            if share is not None and not late:
                own = share.take(own, xp)
            part = deformation.coefficients(own, labels, count, backend)
            parts.append(share.take(part, xp, axis=-2) if share is not None and late else part)
            start += need
        coefficients = xp.reshape(xp.concat(parts, axis=-1), (-1, self.basis.shape[0]))
        coordinates = backend.gemm(coefficients, self.basis)
        shaped: Array = xp.reshape(coordinates, (*population, 2, n_images, self.basis.shape[1]))
        return shaped


def sample(
    images: Array, y: Array, x: Array, image_shape: tuple[int, int], *, backend: Backend
) -> Array:
    """Interpolate images between their pixels; outside of the borders they are 0.

    Parameters
    ----------
    images : Array of shape (B, H·W) or (*P, B, H·W)
        In any real dtype.
    y, x : Array of shape (*P, B, M)
        Positions in pixels; the centre of the first pixel is (0, 0).
    image_shape : (int, int)
        H and W.

    Returns
    -------
    Array of shape (*P, B, M)
        Floats. The interpolation is bilinear, as in ``scipy.ndimage.map_coordinates`` with
        ``order=1, mode="grid-constant"``.
    """
    xp = backend.xp
    height, width = image_shape
    lead = images.shape[:-1]
    grid = _with_border(xp.reshape(images, (*lead, height, width)), backend)
    row, block = width + 3, (height + 3) * (width + 3)
    above, down = _split(y, height, xp)
    left, right = _split(x, width, xp)
    first = row + 1  # the index of the first pixel of an image
    starts = xp.arange(first, first + math.prod(lead) * block, block, device=backend.device)
    index = xp.astype(above * row + left, starts.dtype) + xp.reshape(starts, (*lead, 1))
    upper, upper_right, lower, lower_right = (
        xp.reshape(corner, y.shape)
        for corner in _corners(xp.reshape(grid, (-1,)), xp.reshape(index, (-1,)), row, backend)
    )
    upper += right * (upper_right - upper)
    lower += right * (lower_right - lower)
    sampled: Array = upper + down * (lower - upper)
    return sampled


def _with_border(grid: Array, backend: Backend) -> Array:
    """Surround images (…, H, W) by zeros: one before, two after, so (…, H + 3, W + 3)."""
    zeros = functools.partial(backend.xp.zeros, dtype=grid.dtype, device=backend.device)
    *lead, height, width = grid.shape
    grid = backend.xp.concat([zeros((*lead, height, 1)), grid, zeros((*lead, height, 2))], axis=-1)
    bordered: Array = backend.xp.concat(
        [zeros((*lead, 1, width + 3)), grid, zeros((*lead, 2, width + 3))], axis=-2
    )
    return bordered


def _corners(pixels: Array, index: Array, row: int, backend: Backend) -> list[Array]:
    """Return the pixels at an index, to the right, below, and below to the right, as floats.

    Four bytes are packed into one word, so that an index is looked up once instead of four times,
    which halves the time of sampling in XLA. The words are signed: all libraries have these.
    """
    xp = backend.xp
    offsets = (0, 1, row, row + 1)
    if pixels.dtype != xp.uint8:
        pixels = xp.astype(pixels, backend.float_dtype)
        return [xp.take(pixels[offset:], index, axis=0) for offset in offsets]
    pixels = xp.astype(pixels, xp.int32)
    count = pixels.shape[0] - row - 1
    words = pixels[:count]
    for byte, offset in enumerate(offsets[1:], start=1):
        words = words | (pixels[offset : count + offset] << (8 * byte))
    taken = xp.take(words, index, axis=0)
    return [xp.astype((taken >> (8 * byte)) & 0xFF, backend.float_dtype) for byte in range(4)]


def _split(positions: Array, length: int, xp: Namespace) -> tuple[Array, Array]:
    """Return the pixel before each position, from −1 to the length, and the distance from it."""
    positions = xp.clip(positions, -1.0, float(length))
    whole = xp.floor(positions)
    return whole, positions - whole
