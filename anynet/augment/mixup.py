"""Mixup: samples blended with one another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import per_member
from anynet.typing import Array, Key

QUANTILES = 1024
SMALLEST_ALPHA = 1e-6  # with which all quantiles are 1 to the last bit


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
