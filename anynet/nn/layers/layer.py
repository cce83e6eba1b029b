"""What a layer is: two pure functions, of its parameters and its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeAlias

import numpy as np

from anynet.backends import Backend
from anynet.typing import Array, Key, LayerGrads, LayerParams

Pullback: TypeAlias = Callable[..., tuple[LayerGrads, Array | None]]
"""``(dy, need_dx=True) -> (grads, dx)``; grads go by the names of params, some kept as
products (see ``ProductGradient``); dx is None unneeded."""


class Layer(Protocol):
    """What a network is made of."""

    kind: ClassVar[str]
    random: ClassVar[bool]  # whether ``apply`` draws from ``key`` while training

    def shapes(self, n_in: int) -> tuple[dict[str, tuple[int, ...]], int]:
        """Return the shape of each parameter of one network, and the number of outputs."""

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Return float64 parameters by name and the number of outputs."""

    def apply(
        self, params: LayerParams, x: Array, *, backend: Backend, key: Key | None = None
    ) -> tuple[Array, Pullback]:
        """Return the output and its pullback; ``key=None`` means inference."""


def without_params(derivative: Callable[[Array], Array]) -> Pullback:
    """Make the pullback of a layer that has no parameters from its derivative."""

    def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
        return {}, derivative(dy) if need_dx else None

    return pullback
