"""Layers without parameters that act on each element alone: activations and scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.config import lookup
from anynet.nn.activations import ACTIVATIONS
from anynet.nn.layers.layer import Pullback, without_params
from anynet.typing import Array, Key, LayerParams


@dataclass(frozen=True)
class Activation:
    """An elementwise function, by its name in ``anynet.nn.activations.ACTIVATIONS``."""

    kind: ClassVar[str] = "activation"
    random: ClassVar[bool] = False

    function: str = "relu"

    def __post_init__(self) -> None:
        lookup("activation", self.function)

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
        key: Key | None = None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        y, derivative = ACTIVATIONS[self.function](x, backend.xp)
        return y, without_params(derivative)


@dataclass(frozen=True)
class Scale:
    """y = factor · x + offset: brings raw inputs such as bytes into [0, 1], as part of the network.

    A factor of 2/255 and an offset of −1 bring them into [−1, 1].
    """

    kind: ClassVar[str] = "scale"
    random: ClassVar[bool] = False

    factor: float
    offset: float = 0.0

    def shapes(self, n_in: int) -> tuple[dict[str, tuple[int, ...]], int]:
        return {}, n_in

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:  # noqa: ARG002
        return {}, n_in

    def apply(
        self,
        params: LayerParams,  # noqa: ARG002
        x: Array,
        *,
        backend: Backend,  # noqa: ARG002
        key: Key | None = None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        y = x * self.factor
        if self.offset:
            y = y + self.offset
        return y, without_params(lambda dy: dy * self.factor)
