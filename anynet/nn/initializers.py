"""Initial weights, drawn on the host and so the same for every backend.

Each initializer is ``(rng, fan_in, fan_out) -> weight`` of shape (fan_in, fan_out), float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from anynet.checks import did_you_mean
from anynet.errors import InvalidArgumentError

Initializer = Callable[[np.random.Generator, int, int], np.ndarray]


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
    """LeCun et al. 1998, "Efficient BackProp", section 4.6; which SELU needs."""
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
