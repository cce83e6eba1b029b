"""Sampling images at displaced places: what all deformations come down to."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from anynet.augment.layout import Layout
from anynet.backends import Backend
from anynet.typing import Array, Key, Namespace


class Deformation(Protocol):
    """A random field of displacements: a mixture of fixed fields, its amounts new each time."""

    def basis(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the fields, (F, H·W)."""

    def words(self, fields: int) -> int:
        """Return how many words of 32 random bits one image takes."""

    def coefficients(self, bits: Array, labels: Any, fields: int, backend: Backend) -> Array:
        """Return how much of each field is in the displacement of y and of x, (*P, 2, B, F).

        ``bits`` are (*P, words, B), ``labels`` are the targets of the samples, (B,) or (*P, B).
        """


@dataclass(frozen=True)
class Warp:
    """Several deformations as one: their displacements are added, and images are sampled once.

    All source coordinates are one product, of the coefficients (2B, F) of each image with the
    fields (F, H·W) that all images share.

    Parameters
    ----------
    deformations : tuple of Deformation
    fields : tuple of int
        How many each deformation has.
    basis : Array of shape (2 + sum(fields), H·W)
        On the device: the coordinates of each pixel, y and x, and the fields.
    """

    deformations: tuple[Any, ...]
    fields: tuple[int, ...]
    basis: Any = field(compare=False, repr=False)

    @classmethod
    def of(cls, deformations: tuple[Any, ...], layout: Layout, backend: Backend) -> Warp:
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
        """Return the images (B, H·W) or (*P, B, H·W) deformed, (*P, B, H·W) floats."""
        coordinates = self.coordinates(images.shape[-2], labels, backend=backend, key=key)
        y, x = coordinates[..., 0, :, :], coordinates[..., 1, :, :]
        return sample(images, y, x, layout.shape, backend=backend)

    def coordinates(self, n_images: int, labels: Any, *, backend: Backend, key: Key) -> Array:
        """Return where each pixel's value is taken from, (*P, 2, B, H·W): y and x in pixels."""
        xp, population = backend.xp, key.seed.shape
        needs = [d.words(f) for d, f in zip(self.deformations, self.fields, strict=True)]
        bits = backend.random_bits(key.seed, (key.step, key.purpose), (sum(needs), n_images))
        unchanged = xp.reshape(
            xp.eye(2, dtype=backend.float_dtype, device=backend.device), (2, 1, 2)
        )
        parts = [xp.broadcast_to(unchanged, (*population, 2, n_images, 2))]
        start = 0
        for deformation, count, need in zip(self.deformations, self.fields, needs, strict=True):
            own = bits[..., start : start + need, :]
            parts.append(deformation.coefficients(own, labels, count, backend))
            start += need
        coefficients = xp.reshape(xp.concat(parts, axis=-1), (-1, self.basis.shape[0]))
        coordinates = backend.gemm(coefficients, self.basis)
        shaped: Array = xp.reshape(coordinates, (*population, 2, n_images, self.basis.shape[1]))
        return shaped


def sample(
    images: Array, y: Array, x: Array, image_shape: tuple[int, int], *, backend: Backend
) -> Array:
    """Interpolate images between their pixels; beyond the borders they are 0.

    Parameters
    ----------
    images : Array of shape (B, H·W) or (*P, B, H·W)
        In any real dtype.
    y, x : Array of shape (*P, B, M)
        Places in pixels, the centre of the first pixel being (0, 0).
    image_shape : (int, int)
        H and W.

    Returns
    -------
    Array of shape (*P, B, M)
        Floats. The interpolation is bilinear, that of ``scipy.ndimage.map_coordinates`` with
        ``order=1, mode="grid-constant"``.
    """
    xp = backend.xp
    height, width = image_shape
    row = width + 1  # with one zero, which ends this row and begins the next
    block = row * (height + 1)  # an image, with such a row of zeros at its end
    zeros = functools.partial(xp.zeros, dtype=images.dtype, device=backend.device)
    lead = images.shape[:-1]
    grid = xp.reshape(images, (*lead, height, width))
    grid = xp.concat([grid, zeros((*lead, height, 1))], axis=-1)
    grid = xp.reshape(xp.concat([grid, zeros((*lead, 1, row))], axis=-2), (-1,))
    ends = zeros((row + 1,))  # so that all neighbours exist
    pixels = xp.concat([ends, grid, ends])
    above, down = _split(y, height, xp)
    left, right = _split(x, width, xp)
    first = row + 1  # the place of the first pixel, after the margin before it
    starts = xp.arange(first, first + math.prod(lead) * block, block, device=backend.device)
    index = xp.astype(above * row + left, starts.dtype) + xp.reshape(starts, (*lead, 1))
    take = _take_packed if images.dtype == xp.uint8 else _take_each
    count = pixels.shape[0] - row - 1
    around = [pixels[offset : offset + count] for offset in (0, 1, row, row + 1)]
    upper, upper_right, lower, lower_right = (
        xp.reshape(corner, y.shape) for corner in take(around, xp.reshape(index, (-1,)), backend)
    )
    upper += right * (upper_right - upper)
    lower += right * (lower_right - lower)
    sampled: Array = upper + down * (lower - upper)
    return sampled


def _take_each(around: list[Array], index: Array, backend: Backend) -> list[Array]:
    """Return the pixels at some places, and around them, as floats."""
    xp = backend.xp
    taken = [xp.take(pixels, index, axis=0) for pixels in around]
    return [xp.astype(corner, backend.float_dtype) for corner in taken]


def _take_packed(around: list[Array], index: Array, backend: Backend) -> list[Array]:
    """Do so for bytes: four of them make one word, and places are looked up once, not four times.

    The words are signed, which every library can shift; a negative one keeps its bits.
    """
    xp = backend.xp
    words = xp.astype(around[0], xp.int32)
    for corner, pixels in enumerate(around[1:], start=1):
        words = words | (xp.astype(pixels, xp.int32) << (8 * corner))
    taken = xp.take(words, index, axis=0)
    return [xp.astype((taken >> (8 * corner)) & 0xFF, backend.float_dtype) for corner in range(4)]


def _split(places: Array, length: int, xp: Namespace) -> tuple[Array, Array]:
    """Return the pixel before each place, from −1 to the length, and how far it is from there."""
    places = xp.clip(places, -1.0, float(length))
    whole = xp.floor(places)
    return whole, places - whole
