"""The dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.nn.gradients import ProductGradient
from anynet.nn.initializers import get_initializer
from anynet.nn.layers.layer import Pullback
from anynet.typing import Array, Key, LayerGrads, LayerParams


@dataclass(frozen=True)
class Dense:
    """y = x W + b.

    Parameters
    ----------
    units : int
        The number of outputs O; ``weight`` has shape (*P, I, O), ``bias`` (*P, O).
    initializer : str
        A name of ``anynet.nn.initializers.INITIALIZERS``; biases start at zero.
    """

    kind: ClassVar[str] = "dense"
    random: ClassVar[bool] = False

    units: int
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        if not isinstance(self.units, int) or isinstance(self.units, bool) or self.units < 1:
            message = f"a dense layer needs units of at least 1, got {self.units!r}"
            raise InvalidArgumentError(message)
        get_initializer(self.initializer)

    def shapes(self, n_in: int) -> tuple[dict[str, tuple[int, ...]], int]:
        return {"weight": (n_in, self.units), "bias": (self.units,)}, self.units

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        weight = get_initializer(self.initializer)(rng, n_in, self.units)
        return {"weight": weight, "bias": np.zeros(self.units)}, self.units

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None = None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        weight = params["weight"]
        y = backend.gemm(x, weight)
        y += params["bias"][..., None, :]

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            grads: LayerGrads = {
                "weight": ProductGradient(x, dy),
                "bias": backend.xp.sum(dy, axis=-2),
            }
            return grads, backend.gemm(dy, weight, transpose_b=True) if need_dx else None

        return y, pullback
