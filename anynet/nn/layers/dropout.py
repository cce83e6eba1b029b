"""Dropout, drawn from counter-based bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import is_number, per_member
from anynet.nn.layers.layer import Pullback, without_params
from anynet.typing import Array, Key, LayerParams


@dataclass(frozen=True)
class Dropout:
    """Set a random share of the inputs to zero while training, scale the rest up to match.

    "Inverted" dropout (Srivastava et al. 2014, section 10), so that inference is the identity.
    A draw takes 16 bits an element: the rate is rounded to a multiple of 2⁻¹⁶.

    Parameters
    ----------
    rate : float
        The probability that an element is dropped, in [0, 1); in a step of a population it may
        be an array (*P,) of what ``to_varying`` returns.
    """

    kind: ClassVar[str] = "dropout"
    varies: ClassVar[tuple[str, ...]] = ("rate",)
    random: ClassVar[bool] = True

    rate: float = 0.5

    def __post_init__(self) -> None:
        if is_number(self.rate) and (isinstance(self.rate, bool) or not 0 <= self.rate < 1):
            message = f"the dropout rate must be at least 0 and below 1, got {self.rate!r}"
            raise InvalidArgumentError(message)

    @staticmethod
    def to_varying(rate: float) -> float:
        """Return the multiple of 2⁻¹⁶ that the rate is rounded to."""
        return _threshold(rate) / 2**16

    def shapes(self, n_in: int) -> tuple[dict[str, tuple[int, ...]], int]:
        return {}, n_in

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:  # noqa: ARG002
        return {}, n_in

    def apply(
        self,
        params: LayerParams,  # noqa: ARG002
        x: Array,
        *,
        backend: Backend,
        key: Key | None = None,
    ) -> tuple[Array, Pullback]:
        if key is None or (is_number(self.rate) and _threshold(self.rate) == 0):
            return x, without_params(lambda dy: dy)
        halves = _random_halves(backend, key, x.shape[-2:])
        kept, scale = self._kept(halves, backend)

        def mask(values: Array) -> Array:
            masked: Array = backend.xp.where(kept, values * scale, 0.0)
            return masked

        return mask(x), without_params(mask)

    def _kept(self, halves: Array, backend: Backend) -> tuple[Array, Array | float]:
        """Return which elements stay, and by what they are multiplied."""
        if is_number(self.rate):
            threshold = _threshold(self.rate)
            return halves >= threshold, 2**16 / (2**16 - threshold)
        xp = backend.xp
        rates: Any = per_member(self.rate, halves, xp)
        thresholds = rates * 2.0**16
        return halves >= xp.astype(thresholds, halves.dtype), 2.0**16 / (2.0**16 - thresholds)


def _threshold(rate: float) -> int:
    return min(round(rate * 2**16), 2**16 - 1)


def _random_halves(backend: Backend, key: Key, shape: tuple[int, ...]) -> Array:
    """16 random bits an element, (*P, *shape): both halves of each 32-bit word are used."""
    count = shape[0] * shape[1]
    words = backend.random_bits(key.seed, (key.step, key.purpose), ((count + 1) // 2,))
    halves: Array = backend.xp.concat([words & 0xFFFF, words >> 16], axis=-1)
    return backend.xp.reshape(halves[..., :count], (*key.seed.shape, *shape))  # type: ignore[no-any-return]
