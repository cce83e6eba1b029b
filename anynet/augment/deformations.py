"""Deformations of images: affine and elastic displacements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.augment.common import LARGEST_DISPLACEMENT, normal, uniform
from anynet.backends import Backend
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.members import Bounded, number, per_member
from anynet.typing import Array

KEPT = 0.998  # share of the variance of the field: its root mean square is accurate to 0.1 %
LARGEST_SIGMA = 1e4  # pixels: a kernel any wider is flat across every image
TRUNCATE = 4.0  # standard deviations at which the Gaussian ends, as in scipy.ndimage


@register("augmentation")
@dataclass(frozen=True)
class Affine(Bounded):
    """Rotate, shear, scale and shift each image about its centre by random amounts.

    Each amount is uniform between minus and plus its bound.

    Parameters
    ----------
    rotation : float
        Degrees, below 90.
    shear : float
        Degrees by which vertical lines are slanted, below 90.
    scale : float
        Relative change of the height and, independently, of the width, below 1.
    shift : float
        Pixels, vertically and, independently, horizontally.
    halved : tuple of int
        Classes for which the bounds of rotation and shear are half of these.
    either : bool
        Whether each image is either rotated or sheared, with equal probability, never both.

    Notes
    -----
    Cireşan et al. 2010, "Deep, Big, Simple Neural Nets for Handwritten Digit Recognition", is
    ``Affine(rotation=15, shear=15, scale=0.15, shift=0, halved=(1, 7), either=True)``; its largest
    scale is 0.2.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> affine = anynet.augment.Affine(rotation=10, shift=0.5)
    >>> model = anynet.fit(
    ...     network, data.train, epochs=5, augment=affine, image_shape=(8, 8), backend="numpy"
    ... )
    """

    kind: ClassVar[str] = "affine"
    needs_images: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ("rotation", "shear", "scale", "shift")

    rotation: float = number(10.0, below=90, unit="degrees")
    shear: float = number(0.0, below=90, unit="degrees")
    scale: float = number(0.1, below=1)
    shift: float = number(1.0, most=LARGEST_DISPLACEMENT, unit="pixels")
    halved: tuple[int, ...] = ()
    either: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.halved, tuple) or any(type(c) is not int for c in self.halved):
            message = f"halved must be a tuple of classes such as (1, 7), got {self.halved!r}"
            raise InvalidArgumentError(message)

    def basis(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the basis fields (3, H·W): 1 everywhere, and y and x from the centre."""
        height, width = shape
        y, x = np.mgrid[:height, :width].reshape(2, -1)
        return np.stack([np.ones(height * width), y - (height - 1) / 2, x - (width - 1) / 2])

    def words(self, fields: int) -> int:
        """Return the number of random words for an image."""
        del fields
        return 7

    def coefficients(self, bits: Array, labels: Any, fields: int, backend: Backend) -> Array:
        """Return the coefficient of each field in the displacement, (*P, 2, B, 3): y, then x."""
        del fields
        xp = backend.xp
        drawn = uniform(bits, backend) * 2.0 - 1.0
        angle, slant, up, across, down, right, coin = (drawn[..., i, :] for i in range(7))

        def bounded(draw: Array, bound: Any, unit: float = 1.0) -> Array:
            return draw * (per_member(bound, draw, xp) * unit)

        angle = bounded(angle, self.rotation, math.pi / 180)
        slant = bounded(slant, self.shear, math.pi / 180)
        if self.halved:
            gentle = labels == self.halved[0]
            for label in self.halved[1:]:
                gentle = gentle | (labels == label)
            factor = 1.0 - 0.5 * xp.astype(gentle, backend.float_dtype)
            angle, slant = angle * factor, slant * factor
        if self.either:
            rotates = xp.astype(coin > 0, backend.float_dtype)
            angle, slant = angle * rotates, slant * (1.0 - rotates)
        cosine, sine, tangent = xp.cos(angle), xp.sin(angle), xp.sin(slant) / xp.cos(slant)
        tall, wide = (1.0 / (1.0 + bounded(draw, self.scale)) for draw in (up, across))
        # The source of a pixel: the inverse rotation, then the inverse shear, then inverse scales.
        y = [bounded(down, self.shift), cosine * tall - 1.0, -sine * tall]
        x = [
            bounded(right, self.shift),
            (sine - tangent * cosine) * wide,
            (cosine + tangent * sine) * wide - 1.0,
        ]
        both: Array = xp.stack([xp.stack(y, axis=-1), xp.stack(x, axis=-1)], axis=-3)
        return both


@register("augmentation")
@dataclass(frozen=True)
class Elastic(Bounded):
    """Displace the pixels of each image by noise that is smoothed by a Gaussian.

    Parameters
    ----------
    alpha : float
        Factor of the smoothed noise. Displacements have a root mean square of about
        ``0.163 · alpha / sigma`` pixels, which is alpha / (√3 · 2σ√π).
    sigma : float
        Standard deviation of the Gaussian, in pixels.

    Notes
    -----
    Simard, Steinkraus and Platt 2003, "Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis", section 2: noise that is uniform in (−1, 1) for each pixel and
    direction, convolved with a Gaussian that sums to 1, times alpha; the defaults are theirs. Here
    the noise continues beyond the borders, so that the field is equally strong everywhere.

    Such a field G·U·Gᵀ is a random mixture of the products of eigenvectors of G·Gᵀ, with the
    eigenvalues as variances. Few of them matter (about 40 of 784 for a σ of 4 in 28 × 28), so an
    image needs few random numbers. As sums of many uniform numbers they are normal.
    """

    kind: ClassVar[str] = "elastic"
    needs_images: ClassVar[bool] = True
    mixes_words: ClassVar[bool] = True  # the words of an image are not one column of the draw
    varies: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = number(34.0, most=LARGEST_DISPLACEMENT, unit="pixels")
    sigma: float = number(4.0, least=0.5, unit="pixels")

    def basis(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the basis fields (F, H·W), each scaled by its standard deviation."""
        (rows, high), (columns, wide) = (_eigenvectors(length, self.sigma) for length in shape)
        variances = np.outer(high, wide).ravel()
        order = np.argsort(-variances, kind="stable")
        count = 1 + int(np.searchsorted(np.cumsum(variances[order]), KEPT * variances.sum()))
        first, second = np.divmod(order[:count], shape[1])
        fields = rows.T[first, :, None] * columns.T[second, None, :]
        scaled: np.ndarray = fields.reshape(count, -1) * np.sqrt(variances[order[:count], None] / 3)
        return scaled

    def words(self, fields: int) -> int:
        """Return the number of random words for an image."""
        return 2 * fields

    def coefficients(self, bits: Array, labels: Any, fields: int, backend: Backend) -> Array:
        """Return the coefficient of each field in the displacement, (*P, 2, B, F): y, then x."""
        del labels
        xp = backend.xp
        drawn = normal(bits, backend)
        drawn = drawn * per_member(self.alpha, drawn, xp)
        shaped: Array = xp.reshape(drawn, (*bits.shape[:-2], 2, bits.shape[-1], fields))
        return shaped


def _eigenvectors(length: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Decompose G·Gᵀ: eigenvectors (length, length) in columns, and eigenvalues."""
    sigma = min(sigma, LARGEST_SIGMA)
    radius = int(TRUNCATE * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    autocorrelation = np.convolve(kernel, kernel)[2 * radius :]
    distance = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    covariance = np.append(autocorrelation, 0.0)[np.minimum(distance, autocorrelation.size)]
    values, vectors = np.linalg.eigh(covariance)
    signs = np.where(vectors.sum(axis=0) + vectors[0] < 0, -1.0, 1.0)
    return vectors * signs, np.maximum(values, 0.0)
