"""Elastic deformations: a smooth random field of displacements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.augment.checks import LARGEST_DISPLACEMENT, check_strength
from anynet.augment.draws import normal
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import is_number, per_member
from anynet.typing import Array

KEPT = 0.998  # of the variance of the field: its root mean square is right to 0.1 %
LARGEST_SIGMA = 1e4  # pixels: a kernel any wider is flat across every image
TRUNCATE = 4.0  # standard deviations at which the Gaussian ends, as in scipy.ndimage


@dataclass(frozen=True)
class Elastic:
    """Displace each pixel by noise that a Gaussian has smoothed, new for each image.

    Parameters
    ----------
    alpha : float
        What multiplies the smoothed noise. Displacements have a root mean square of about
        ``0.163 · alpha / sigma`` pixels, which is alpha / (√3 · 2σ√π).
    sigma : float
        Standard deviation of the Gaussian, in pixels.

    Notes
    -----
    Simard, Steinkraus and Platt 2003, "Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis", section 2: noise even in (−1, 1) for each pixel and direction,
    convolved with a Gaussian that sums to one, times alpha; theirs are the default numbers. Here
    the noise goes on beyond the borders, so that the field is equally strong everywhere.

    Such a field G·U·Gᵀ is a random mixture of the products of eigenvectors of G·Gᵀ, with the
    eigenvalues as variances. Few of them matter (about 40 of 784 for a σ of 4 in 28 × 28), so few
    random numbers make an image's field. They are sums of many even numbers: normal ones.
    """

    kind: ClassVar[str] = "elastic"
    needs_images: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = 34.0
    sigma: float = 4.0

    def __post_init__(self) -> None:
        check_strength("alpha", self.alpha, at_most=LARGEST_DISPLACEMENT, unit="pixels")
        if not (is_number(self.sigma) and 0.5 <= self.sigma < math.inf):
            message = f"sigma must be at least 0.5 pixels, got {self.sigma!r}"
            raise InvalidArgumentError(message)

    def basis(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the fields that are mixed, (F, H·W), each scaled by its standard deviation."""
        (rows, high), (columns, wide) = (_eigenvectors(length, self.sigma) for length in shape)
        variances = np.outer(high, wide).ravel()
        order = np.argsort(-variances, kind="stable")
        count = 1 + int(np.searchsorted(np.cumsum(variances[order]), KEPT * variances.sum()))
        first, second = np.divmod(order[:count], shape[1])
        fields = rows.T[first, :, None] * columns.T[second, None, :]
        scaled: np.ndarray = fields.reshape(count, -1) * np.sqrt(variances[order[:count], None] / 3)
        return scaled

    def words(self, fields: int) -> int:
        """Return how many random words an image takes."""
        return 2 * fields

    def coefficients(self, bits: Array, labels: Any, fields: int, backend: Backend) -> Array:
        """Return how much of each field is in the displacement, (*P, 2, B, F): y, then x."""
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
