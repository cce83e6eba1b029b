"""Activations, each with its derivative next to its formula.

Every function is ``(x, xp) -> (y, pullback)`` where ``pullback(dy)`` is the gradient at ``x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from anynet.config import register, registered
from anynet.typing import Array, Namespace

Derivative = Callable[[Array], Array]
Activation = Callable[[Array, Namespace], tuple[Array, Derivative]]

LEAKY_SLOPE = 0.01
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
GELU_SCALE = math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715


@register("activation")
def relu(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute max(0, x), with derivative 0 at 0 (a product with the mask is faster than where)."""
    y = xp.maximum(x, 0.0)
    return y, lambda dy: dy * xp.astype(y > 0, dy.dtype)


@register("activation")
def leaky_relu(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute x where x > 0, else 0.01 x (Maas et al. 2013)."""
    y = xp.where(x > 0, x, x * LEAKY_SLOPE)
    return y, lambda dy: xp.where(x > 0, dy, dy * LEAKY_SLOPE)


@register("activation")
def elu(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute x where x > 0, else eˣ − 1 (Clevert et al. 2015)."""
    y = xp.where(x > 0, x, xp.expm1(xp.minimum(x, 0.0)))
    return y, lambda dy: xp.where(x > 0, dy, dy * (y + 1))


@register("activation")
def selu(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute λ x where x > 0, else λ α (eˣ − 1) (Klambauer et al. 2017, equation 2)."""
    y = SELU_SCALE * xp.where(x > 0, x, SELU_ALPHA * xp.expm1(xp.minimum(x, 0.0)))
    return y, lambda dy: dy * xp.where(x > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)


@register("activation")
def gelu(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute GELU by tanh (Hendrycks and Gimpel 2016, section 2; torch's approximate="tanh")."""
    t = xp.tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x))

    def pullback(dy: Array) -> Array:
        bend = x * (1 - t * t)  # 0 where x * x would overflow
        slope: Array = 0.5 * (1 + t + GELU_SCALE * (bend + 3 * GELU_CUBIC * (bend * x) * x))
        return dy * slope

    return 0.5 * x * (1 + t), pullback


@register("activation")
def silu(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute x σ(x), also known as swish (Elfwing et al. 2017)."""
    s = logistic(x, xp)
    return x * s, lambda dy: dy * s * (1 + x * (1 - s))


@register("activation")
def mish(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute x tanh(log(1 + eˣ)) (Misra 2019)."""
    t = xp.tanh(xp.logaddexp(x, xp.zeros_like(x)))
    return x * t, lambda dy: dy * (t + x * (1 - t * t) * logistic(x, xp))


@register("activation")
def tanh(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute tanh x."""
    y = xp.tanh(x)
    return y, lambda dy: dy * (1 - y * y)


@register("activation")
def sigmoid(x: Array, xp: Namespace) -> tuple[Array, Derivative]:
    """Compute 1 / (1 + e⁻ˣ)."""
    y = logistic(x, xp)
    return y, lambda dy: dy * y * (1 - y)


@register("activation")
def identity(x: Array, xp: Namespace) -> tuple[Array, Derivative]:  # noqa: ARG001
    """Return x."""
    return x, lambda dy: dy


def logistic(x: Array, xp: Namespace) -> Array:
    """Compute 1 / (1 + e⁻ˣ) through tanh, which cannot overflow."""
    result: Array = 0.5 * (1 + xp.tanh(0.5 * x))
    return result


ACTIVATIONS: Mapping[str, Activation] = registered("activation")
