"""The dense layer: its product, the gradient of its weight as two factors, and initial weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.checks import check_whole, did_you_mean
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.nn.layers.layer import Pullback, Shapes
from anynet.typing import Array, Key, LayerGrads, LayerParams

Initializer: TypeAlias = Callable[[np.random.Generator, int, int], np.ndarray]
"""``(rng, fan_in, fan_out) -> weight`` of shape (fan_in, fan_out), float64, drawn on the host."""


@register("layer")
@dataclass(frozen=True)
class Dense:
    """Compute x W + b.

    Parameters
    ----------
    units : int
        The number of outputs O; ``weight`` has shape (*P, I, O), ``bias`` (*P, O).
    initializer : str
        A name of ``anynet.nn.INITIALIZERS``; biases start at zero.
    """

    kind: ClassVar[str] = "dense"

    units: int
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", check_whole("dense: units", self.units))
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


@dataclass(eq=False, slots=True)
class ProductGradient:
    """The product xᵀ · dy; optimizers that only add it to the weight need not form it.

    Attributes
    ----------
    x : Array of shape (*P, B, I) or (B, I)
    dy : Array of shape (*P, B, O)
    """

    x: Array
    dy: Array

    def form(self, backend: Backend) -> Array:
        """Return the gradient as an array (*P, I, O)."""
        return backend.gemm(self.x, self.dy, transpose_a=True)

    def add_to(self, weight: Array, factor: Array | float, backend: Backend) -> Array:
        """Return weight + factor · gradient as one product; ``weight`` is consumed."""
        return backend.gemm(
            self.x, self.dy, transpose_a=True, accumulate=weight, alpha=factor, beta=1
        )


def form_gradients(grads: Any, backend: Backend) -> Any:
    """Return a tree of gradients with every ``ProductGradient`` formed."""
    return tree.map(
        lambda leaf: leaf.form(backend) if isinstance(leaf, ProductGradient) else leaf, grads
    )


def _normal(scale: Callable[[int, int], float]) -> Initializer:
    def draw(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return rng.standard_normal((fan_in, fan_out)) * scale(fan_in, fan_out)

    return draw


def _uniform(scale: Callable[[int, int], float]) -> Initializer:
    """Return a uniform initializer of that standard deviation: its bound is √3 times as large."""

    def draw(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        bound = math.sqrt(3) * scale(fan_in, fan_out)
        return rng.uniform(-bound, bound, (fan_in, fan_out))

    return draw


def _he(fan_in: int, fan_out: int) -> float:  # noqa: ARG001  (one signature for all)
    """He et al. 2015, equation 10: preserves the variance in ReLU layers."""
    return math.sqrt(2 / fan_in)


def _glorot(fan_in: int, fan_out: int) -> float:
    """Glorot and Bengio 2010, equation 12: a compromise of both directions, for tanh."""
    return math.sqrt(2 / (fan_in + fan_out))


def _lecun(fan_in: int, fan_out: int) -> float:  # noqa: ARG001
    """LeCun et al. 1998, "Efficient BackProp", section 4.6; required by SELU."""
    return math.sqrt(1 / fan_in)


def _fixed(fan_in: int, fan_out: int) -> float:  # noqa: ARG001
    """Return 0.01 for any size."""
    return 0.01


def _ciresan(fan_in: int, fan_out: int) -> float:  # noqa: ARG001
    """Cireşan et al. 2010, section 3: uniform in [−0.05, 0.05] for any size."""
    return 0.05 / math.sqrt(3)


INITIALIZERS: dict[str, Initializer] = {
    "he_normal": _normal(_he),
    "he_uniform": _uniform(_he),
    "glorot_normal": _normal(_glorot),
    "glorot_uniform": _uniform(_glorot),
    "lecun_normal": _normal(_lecun),
    "lecun_uniform": _uniform(_lecun),
    "normal": _normal(_fixed),
    "uniform": _uniform(_fixed),
    "ciresan_uniform": _uniform(_ciresan),
}


def initializer_for(activation: str) -> str:
    """Return the name of the initializer whose theory fits an activation."""
    if activation in ("tanh", "sigmoid", "identity"):
        return "glorot_uniform"
    return "lecun_normal" if activation in ("selu", "scaled_tanh") else "he_normal"


def get_initializer(name: str) -> Initializer:
    """Return an initializer by its name.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown.
    """
    if name not in INITIALIZERS:
        message = (
            f"initializer must be one of {', '.join(INITIALIZERS)}, got {name!r}"
            f"{did_you_mean(name, INITIALIZERS)}"
        )
        raise InvalidArgumentError(message)
    return INITIALIZERS[name]
