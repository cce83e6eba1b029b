"""Augmentations of values: mirroring, erasing, noise and mixup."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from anynet.augment.common import Layout, normal, row_bits, uniform
from anynet.backends import Backend
from anynet.config import register
from anynet.members import Bounded, is_number, number, per_member
from anynet.typing import Array, Key

SMALLEST = 0.02  # minimum share of an image that is erased
FLATTEST = 0.3  # height by width of a rectangle, or width by height
QUANTILES = 1024
SMALLEST_ALPHA = 1e-6  # all quantiles are 1 to the last bit


@register("augmentation")
@dataclass(frozen=True)
class Flip(Bounded):
    """Mirror some images horizontally.

    Parameters
    ----------
    probability : float
        Probability that an image is mirrored, at most 1.
    """

    kind: ClassVar[str] = "flip"
    needs_images: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ("probability",)

    probability: float = number(0.5, most=1)

    def __call__(
        self, images: Array, labels: Any, layout: Layout, *, backend: Backend, key: Key
    ) -> Array:
        """Return the images (*P, B, H·W), in their own dtype."""
        del labels
        xp = backend.xp
        chance = _chances(images.shape[-2], 1, backend, key)[..., 0, :]
        flipped = chance < per_member(self.probability, chance, xp)
        grid = xp.reshape(images, (*images.shape[:-1], *layout.shape))
        grid = xp.where(flipped[..., None, None], xp.flip(grid, axis=-1), grid)
        return xp.reshape(grid, (*grid.shape[:-2], -1))  # type: ignore[no-any-return]


@register("augmentation")
@dataclass(frozen=True)
class Erase(Bounded):
    """Set a random rectangle of some images to 0.

    Zhong et al. 2020, "Random Erasing Data Augmentation", algorithm 1, except that a rectangle
    longer than the image is cut off instead of drawn again, and that it is filled with 0.

    Parameters
    ----------
    area : float
        Maximum share of the image that is erased, below 1; the minimum is 0.02, or this if it is
        less. The share is uniform; the ratio of the sides is between 0.3 and 1/0.3.
    probability : float
        Probability that a part of an image is erased, at most 1.
    """

    kind: ClassVar[str] = "erase"
    needs_images: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ("area", "probability")

    area: float = number(0.2, below=1)
    probability: float = number(0.5, most=1)

    def __call__(
        self, images: Array, labels: Any, layout: Layout, *, backend: Backend, key: Key
    ) -> Array:
        """Return the images (*P, B, H·W), in their own dtype."""
        del labels
        xp = backend.xp
        height, width = layout.shape
        chances = _chances(images.shape[-2], 5, backend, key)
        erased, size, shape, up, left = (chances[..., i, :] for i in range(5))
        most = per_member(self.area, size, xp)
        least = min(SMALLEST, most) if is_number(most) else xp.clip(most, 0.0, SMALLEST)
        area = (least + size * (most - least)) * (height * width)
        ratio = xp.exp((2 * shape - 1) * -math.log(FLATTEST))
        erased = xp.astype(erased < per_member(self.probability, erased, xp), area.dtype)

        def side(wanted: Array, length: int, place: Array) -> Array:
            """Whether each row (or column) lies in the rectangle, (*P, B, length)."""
            wanted = xp.clip(xp.round(wanted), 0.0, float(length)) * erased
            first = xp.floor(place * (length + 1 - wanted))[..., None]
            index = xp.arange(length, dtype=first.dtype, device=backend.device)
            inside: Array = (index >= first) & (index < first + wanted[..., None])
            return inside

        rows = side(xp.sqrt(area * ratio), height, up)
        columns = side(xp.sqrt(area / ratio), width, left)
        kept = xp.logical_not(rows[..., :, None] & columns[..., None, :])
        kept = xp.reshape(kept, (*kept.shape[:-2], height * width))
        nothing = xp.zeros((), dtype=images.dtype, device=backend.device)
        return xp.where(kept, images, nothing)  # type: ignore[no-any-return]


@register("augmentation")
@dataclass(frozen=True)
class Noise(Bounded):
    """Add normal noise to each value, without clipping to a range.

    Parameters
    ----------
    strength : float
        Standard deviation relative to the value of full ink (1 if samples are not scaled).
    """

    kind: ClassVar[str] = "noise"
    needs_images: ClassVar[bool] = False
    varies: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = number(0.1)

    def __call__(
        self, images: Array, labels: Any, layout: Layout, *, backend: Backend, key: Key
    ) -> Array:
        """Return the samples (*P, B, I), as floats."""
        del labels
        bits = row_bits(images.shape[-2:], backend, key, axis=-2)
        drawn = normal(bits, backend)
        drawn = drawn * per_member(self.strength * layout.top, drawn, backend.xp)
        noisy: Array = drawn + backend.xp.astype(images, backend.float_dtype, copy=False)
        return noisy


@register("augmentation")
@dataclass(frozen=True)
class Mixup(Bounded):
    """Mix each sample with another of its batch, and their losses with the same weights.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", as in the authors' code: one
    weight for a batch, drawn from the Beta distribution. The other sample is the one at the same
    distance from the other end of the batch. The sample itself has the larger of the two weights,
    which gives the same pairs, and its label counts in the training accuracy. It works on any data.

    Parameters
    ----------
    alpha : float
        Both parameters of the Beta distribution, above 0: the smaller, the less is mixed.
    table : Array, optional
        Quantiles of the weight on the device, made by ``bound``.
    """

    kind: ClassVar[str] = "mixup"
    needs_images: ClassVar[bool] = False

    alpha: float = number(0.2, above=0)
    table: Any = field(default=None, compare=False, repr=False)

    def bound(self, backend: Backend) -> Mixup:
        """Return the augmentation with its table on the device."""
        table = larger_share(self.alpha, (np.arange(QUANTILES) + 0.5) / QUANTILES)
        return replace(self, table=backend.to_device(table.astype(backend.dtype)))

    def __call__(self, x: Array, *, backend: Backend, key: Key) -> tuple[Array, Array]:
        """Return the mixed samples (*P, B, I), and the weight of the sample itself (*P,)."""
        xp = backend.xp
        bits = backend.random_bits(key.seed, (key.step, key.purpose), (1,))
        index = xp.astype(bits >> 22, xp.arange(1, device=backend.device).dtype)
        share = xp.reshape(xp.take(self.table, xp.reshape(index, (-1,)), axis=0), key.seed.shape)
        x = xp.astype(x, backend.float_dtype, copy=False)
        others = xp.flip(x, axis=-2)
        if x.ndim == 2 and share.ndim:
            x, others = x[None, ...], others[None, ...]
        return others + per_member(share, x, xp) * (x - others), share


def larger_share(alpha: float, quantiles: np.ndarray) -> np.ndarray:
    """Return quantiles of max(λ, 1 − λ) for λ of the distribution Beta(alpha, alpha)."""
    # The smaller share t has the density t^(α−1) (1−t)^(α−1) up to ½: as a function of u = t^α
    # it has no pole, so the trapezoidal rule is accurate.
    alpha = max(alpha, SMALLEST_ALPHA)
    u = np.linspace(0.0, 0.5**alpha, 20_001)
    t = u ** (1 / alpha)
    density = (1 - t) ** (alpha - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    smaller: np.ndarray = np.interp(1 - quantiles, mass / mass[-1], t)
    return 1 - smaller


def _chances(n_images: int, n: int, backend: Backend, key: Key) -> Array:
    """Draw numbers in [0, 1), (*P, n, B)."""
    return uniform(row_bits((n, n_images), backend, key, axis=-1), backend)
