"""From the parameters of an estimator to a ``Network``, and its initial weights."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from anynet.nn.layers import Activation, Dense, Dropout, Layer, LayerNorm
from anynet.nn.network import Network

ALIASES = {"logistic": "sigmoid"}  # scikit-learn's name for it


@functools.lru_cache(maxsize=64)
def build_network(
    widths: tuple[int, ...], activations: tuple[str, ...], dropout: float, layer_norm: bool
) -> Network:
    """Chain dense layers of some widths, inputs first and outputs last.

    Parameters
    ----------
    widths : tuple of int
    activations : tuple of str
        One after each hidden layer.
    dropout : float
    layer_norm : bool
    """
    layers: list[Layer] = []
    for units, activation in zip(widths[1:-1], activations, strict=True):
        layers.append(Dense(int(units), "glorot_uniform"))
        if layer_norm:
            layers.append(LayerNorm())
        layers.append(Activation(ALIASES.get(activation, activation)))
        if dropout:
            layers.append(Dropout(float(dropout)))
    layers.append(Dense(int(widths[-1]), "glorot_uniform"))
    return Network(int(widths[0]), tuple(layers))


def hidden_activations(activation: str | Sequence[str], n_hidden: int) -> tuple[str, ...]:
    """Return one activation a hidden layer.

    Raises
    ------
    ValueError
        If a sequence of another length is given.
    """
    if isinstance(activation, str):
        return (activation,) * n_hidden
    if len(activation) != n_hidden:
        message = (
            f"activation must be one name, or one for each of the {n_hidden} hidden layers, "
            f"got {len(activation)}: {list(activation)!r}"
        )
        raise ValueError(message)
    return tuple(activation)


def draw_weights(
    widths: Sequence[int], activations: Sequence[str], rng: np.random.RandomState
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw weights and biases as scikit-learn does, number for number.

    Uniform within ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16), with 2 in
    place of 6 where the activation is logistic; biases are drawn too.

    Parameters
    ----------
    widths : sequence of int
    activations : sequence of str
        One a layer; for the output layer, that of the hidden ones.
    rng : RandomState
    """
    coefs, intercepts = [], []
    for fan_in, fan_out, activation in zip(widths[:-1], widths[1:], activations, strict=True):
        factor = 2.0 if ALIASES.get(activation, activation) == "sigmoid" else 6.0
        bound = math.sqrt(factor / (fan_in + fan_out))
        coefs.append(rng.uniform(-bound, bound, (fan_in, fan_out)))
        intercepts.append(rng.uniform(-bound, bound, fan_out))
    return coefs, intercepts
