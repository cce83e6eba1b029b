"""The dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.nn.gradients import ProductGradient
from anynet.nn.initializers import get_initializer
from anynet.nn.layers.layer import Pullback, Shapes
from anynet.typing import Array, Key, LayerGrads, LayerParams


@register("layer")
@dataclass(frozen=True)
class Dense:
    """Compute x W + b.

    Parameters
    ----------
    units : int
        The number of outputs O; ``weight`` has shape (*P, I, O), ``bias`` (*P, O).
    initializer : str
        A name of ``anynet.nn.initializers.INITIALIZERS``; biases start at zero.
    """

    kind: ClassVar[str] = "dense"

    units: int
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        if type(self.units) is not int or self.units < 1:
            message = f"a dense layer needs units of at least 1, got {self.units!r}"
            raise InvalidArgumentError(message)
        get_initializer(self.initializer)

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shapes of ``weight`` and ``bias``, and the number of units."""
        return {"weight": (n_in, self.units), "bias": (self.units,)}, self.units

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw a weight, and return it with a bias of 0 and the number of units."""
        weight = get_initializer(self.initializer)(rng, n_in, self.units)
        return {"weight": weight, "bias": np.zeros(self.units)}, self.units

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the product with the bias added, and the pullback."""
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
