"""Augmentations of values: mirroring, erasing, noise and mixup."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from anynet.augment.common import Layout, check_strength, normal, uniform
from anynet.backends import Backend
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.members import is_number, per_member
from anynet.typing import Array, Key

SMALLEST = 0.02  # share of an image that is erased at least
FLATTEST = 0.3  # height by width of a rectangle, or width by height
QUANTILES = 1024
SMALLEST_ALPHA = 1e-6  # with which all quantiles are 1 to the last bit


@register("augmentation")
@dataclass(frozen=True)
class Flip:
    """Mirror some images, left to right.

    Parameters
    ----------
    probability : float
        That of an image, at most 1.
    """

    kind: ClassVar[str] = "flip"
    needs_images: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ("probability",)

    probability: float = 0.5

    def __post_init__(self) -> None:
        check_strength("probability", self.probability, at_most=1)

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
class Erase:
    """Set a random rectangle of some images to 0.

    Zhong et al. 2020, "Random Erasing Data Augmentation", algorithm 1, but that a rectangle that
    is longer than the image is cut off in place of being drawn again, and is left empty.

    Parameters
    ----------
    area : float
        Share of the image that is erased at most, below 1; at least 0.02 is, or all of it if that
        is less. It is drawn evenly, and the ratio of the sides between 0.3 and 1/0.3.
    probability : float
        That an image loses anything, at most 1.
    """

    kind: ClassVar[str] = "erase"
    needs_images: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ("area", "probability")

    area: float = 0.2
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_strength("area", self.area, below=1)
        check_strength("probability", self.probability, at_most=1)

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
class Noise:
    """Add normal noise to each value; nothing is cut off at the ends of the range.

    Parameters
    ----------
    strength : float
        Standard deviation, as a share of the value of full ink (1 where samples are not scaled).
    """

    kind: ClassVar[str] = "noise"
    needs_images: ClassVar[bool] = False
    varies: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = 0.1

    def __post_init__(self) -> None:
        check_strength("strength", self.strength)

    def __call__(
        self, images: Array, labels: Any, layout: Layout, *, backend: Backend, key: Key
    ) -> Array:
        """Return the samples (*P, B, I), as floats."""
        del labels
        bits = backend.random_bits(key.seed, (key.step, key.purpose), images.shape[-2:])
        drawn = normal(bits, backend)
        drawn = drawn * per_member(self.strength * layout.top, drawn, backend.xp)
        noisy: Array = drawn + backend.xp.astype(images, backend.float_dtype, copy=False)
        return noisy


@register("augmentation")
@dataclass(frozen=True)
class Mixup:
    """Blend each sample with another of its batch, and their losses in the same shares.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", as the authors' code has it:
    one share a batch, drawn from the Beta distribution. The other is the sample that stands as far
    from the batch's other end. Of the two shares the larger is taken for the sample itself, which
    makes the same pairs, and lets the training accuracy count its label. It works on any data.

    Parameters
    ----------
    alpha : float
        Both parameters of the Beta distribution: small ones mix little. Above 0.
    table : Array, optional
        Quantiles of the share on the device, which ``bound`` makes.
    """

    kind: ClassVar[str] = "mixup"
    needs_images: ClassVar[bool] = False

    alpha: float = 0.2
    table: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        known = isinstance(self.alpha, (int, float)) and not isinstance(self.alpha, bool)
        if not (known and 0 < self.alpha < math.inf):
            message = f"alpha of mixup must be a number above 0, got {self.alpha!r}"
            raise InvalidArgumentError(message)

    def bound(self, backend: Backend) -> Mixup:
        """Return it with its table on the device."""
        table = larger_share(self.alpha, (np.arange(QUANTILES) + 0.5) / QUANTILES)
        return replace(self, table=backend.to_device(table.astype(backend.dtype)))

    def __call__(self, x: Array, *, backend: Backend, key: Key) -> tuple[Array, Array]:
        """Return the blended samples (*P, B, I), and each sample's own share (*P,)."""
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
    # it has no pole, so that the trapezoidal rule will do.
    alpha = max(alpha, SMALLEST_ALPHA)
    u = np.linspace(0.0, 0.5**alpha, 20_001)
    t = u ** (1 / alpha)
    density = (1 - t) ** (alpha - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    smaller: np.ndarray = np.interp(1 - quantiles, mass / mass[-1], t)
    return 1 - smaller


def _chances(n_images: int, n: int, backend: Backend, key: Key) -> Array:
    """Draw numbers in [0, 1), (*P, n, B)."""
    bits = backend.random_bits(key.seed, (key.step, key.purpose), (n, n_images))
    return uniform(bits, backend)
