"""Initial weights and biases, drawn on the host in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from anynet.checks import did_you_mean
from anynet.errors import InvalidArgumentError

TINY = 1e-30

Initializer: TypeAlias = Callable[[np.random.Generator, int, int], np.ndarray]
"""``(rng, fan_in, fan_out) -> weight`` of shape (fan_in, fan_out)."""

BiasInitializer: TypeAlias = Callable[[np.random.Generator, int, int], np.ndarray]
"""``(rng, fan_in, units) -> bias`` of shape (units,)."""


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


def _torch(fan_in: int, fan_out: int) -> float:  # noqa: ARG001
    """Uniform in ±1/√I, the default of ``torch.nn.Linear``."""
    return math.sqrt(1 / (3 * fan_in))


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
    "torch_uniform": _uniform(_torch),
    "unit_std": _normal(_lecun),
    "zeros": lambda rng, fan_in, fan_out: np.zeros((fan_in, fan_out)),  # noqa: ARG005
}
"""``unit_std`` continues with the function of that name, see ``FITTED``."""

BIAS_INITIALIZERS: dict[str, BiasInitializer] = {
    "zeros": lambda rng, fan_in, units: np.zeros(units),  # noqa: ARG005
    "standard_normal": lambda rng, fan_in, units: rng.standard_normal(units),  # noqa: ARG005
    "torch_uniform": lambda rng, fan_in, units: rng.uniform(-(fan_in**-0.5), fan_in**-0.5, units),
    "he+5": lambda rng, fan_in, units: np.zeros(units),  # noqa: ARG005
}
"""``he+5`` continues with ``convex_combinations``, see ``FITTED``."""

FITTED = ("unit_std", "he+5")
"""The initializers that depend on the training samples: see ``Network.init_host``."""


def unit_std(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Scale the columns of a weight, so that x W has standard deviation 1 over the samples.

    Columns whose product is constant are left as they are.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", appendix; scaling each unit is
    the first half of Salimans and Kingma 2016, "Weight Normalization", section 3.
    """
    deviation = np.std(x @ weight, axis=0)
    scaled: np.ndarray = weight / np.where(deviation > TINY, deviation, 1.0)
    return scaled


def convex_combinations(rng: np.random.Generator, z: np.ndarray, count: int = 5) -> np.ndarray:
    """Return a random point between ``count`` values of each column, with own samples for each.

    The weights of the samples are independent Exp(1), divided by their sum. With the bias −z, a
    unit is zero at the point: its kink lies within the training samples.

    References
    ----------
    ``he+5`` of Steinwart 2019, "A Sober Look at Neural Network Initializations".
    """
    n_samples, units = z.shape
    rows = rng.integers(0, n_samples, (count, units))
    weights = rng.exponential(size=(count, units))
    chosen = np.take_along_axis(z, rows, axis=0)
    points: np.ndarray = np.average(chosen, axis=0, weights=weights)
    return points


def initializer_for(activation: str) -> str:
    """Return the name of the initializer whose theory fits an activation."""
    if activation in ("tanh", "sigmoid", "identity"):
        return "glorot_uniform"
    return "lecun_normal" if activation in ("selu", "scaled_tanh") else "he_normal"


def get_initializer(name: str) -> Initializer:
    """Return an initializer of weights by its name.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown.
    """
    return _by_name("initializer", name, INITIALIZERS)


def get_bias_initializer(name: str) -> BiasInitializer:
    """Return an initializer of biases by its name.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown.
    """
    return _by_name("bias_initializer", name, BIAS_INITIALIZERS)


def _by_name(option: str, name: str, known: dict[str, Initializer]) -> Initializer:
    if name not in known:
        message = (
            f"{option} must be one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}"
        )
        raise InvalidArgumentError(message)
    return known[name]
