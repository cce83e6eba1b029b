"""Layers without parameters that act on each element alone: activations, scaling, dropout."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from anynet.backends import Backend
from anynet.config import lookup, register
from anynet.members import Bounded, Bounds, is_number, number, per_member
from anynet.nn.activations import ACTIVATIONS, Derivative
from anynet.nn.layers.layer import Elementwise
from anynet.typing import Array, Key


@register("layer")
@dataclass(frozen=True)
class Activation(Elementwise):
    """Apply an elementwise function.

    Parameters
    ----------
    function : str
        A name of ``anynet.nn.ACTIVATIONS``.

    Examples
    --------
    >>> from anynet import nn
    >>> nn.Activation("gelu")
    Activation(function='gelu')
    >>> sorted(nn.ACTIVATIONS)[:3]
    ['elu', 'gelu', 'identity']
    """

    kind: ClassVar[str] = "activation"

    function: str = "relu"

    def __post_init__(self) -> None:
        lookup("activation", self.function)

    def compute(self, x: Array, *, backend: Backend, key: Key | None) -> tuple[Array, Derivative]:  # noqa: ARG002
        """Return the function of each element, and its derivative."""
        return ACTIVATIONS[self.function](x, backend.xp)


@register("layer")
@dataclass(frozen=True)
class Scale(Bounded, Elementwise):
    """Compute factor · x + offset: map raw inputs such as bytes to [0, 1] as part of the network.

    Parameters
    ----------
    factor : float
        1/255 maps bytes to [0, 1].
    offset : float
        −1, with a factor of 2/255, maps bytes to [−1, 1].
    """

    kind: ClassVar[str] = "scale"

    factor: float = dataclasses.field(metadata={"bounds": Bounds(least=-math.inf)})
    offset: float = number(0.0, least=-math.inf)

    def compute(self, x: Array, *, backend: Backend, key: Key | None) -> tuple[Array, Derivative]:  # noqa: ARG002
        """Return the scaled input, and its derivative."""
        y = x * self.factor
        if self.offset:
            y = y + self.offset
        return y, lambda dy: dy * self.factor


@register("layer")
@dataclass(frozen=True)
class Dropout(Bounded, Elementwise):
    """Set a random share of the inputs to zero while training, and scale the rest up to match.

    Inverted dropout (Srivastava et al. 2014, section 10): inference is the identity. A draw takes
    16 bits per element, so the rate is rounded to a multiple of 2⁻¹⁶.

    Parameters
    ----------
    rate : float
        The probability that an element is dropped, in [0, 1). In a step of a population it may
        be an array (*P,) of values that ``to_varying`` returns.

    Examples
    --------
    >>> from anynet import nn
    >>> layers = (nn.Dense(32), nn.Activation("relu"), nn.Dropout(0.2), nn.Dense(10))
    >>> nn.Network(64, layers).n_outputs
    10
    """

    kind: ClassVar[str] = "dropout"
    varies: ClassVar[tuple[str, ...]] = ("rate",)

    rate: float = number(0.5, below=1)

    @staticmethod
    def to_varying(rate: float) -> float:
        """Return the multiple of 2⁻¹⁶ that the rate is rounded to."""
        return _threshold(rate) / 2**16

    def compute(self, x: Array, *, backend: Backend, key: Key | None) -> tuple[Array, Derivative]:
        """Return the masked and scaled input while training, else the input; and its derivative."""
        if key is None or (is_number(self.rate) and _threshold(self.rate) == 0):
            return x, lambda dy: dy
        kept, scale = self._kept(_random_halves(backend, key, x.shape[-2:]), backend)

        def mask(values: Array) -> Array:
            masked: Array = backend.xp.where(kept, values * scale, 0.0)
            return masked

        return mask(x), mask

    def _kept(self, halves: Array, backend: Backend) -> tuple[Array, Array | float]:
        """Return which elements are kept, and the factor of those."""
        if is_number(self.rate):
            threshold = _threshold(self.rate)
            return halves >= threshold, 2**16 / (2**16 - threshold)
        xp = backend.xp
        rates: Any = per_member(self.rate, halves, xp)
        thresholds = xp.clip(xp.round(rates * 2.0**16), 0.0, 2.0**16 - 1)
        return halves >= xp.astype(thresholds, halves.dtype), 2.0**16 / (2.0**16 - thresholds)


def _threshold(rate: float) -> int:
    return min(round(rate * 2**16), 2**16 - 1)


def _random_halves(backend: Backend, key: Key, shape: tuple[int, ...]) -> Any:
    """Return 16 random bits per element, (*P, *shape), of the rows that are computed here."""
    share = key.share
    shape = shape if share is None else (share.size, shape[1])
    halves = backend.random_halves(key.seed, (key.step, key.purpose), shape)
    return halves if share is None else share.take(halves, backend.xp, axis=-2)
