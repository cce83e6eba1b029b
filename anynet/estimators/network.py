"""The network of an estimator, and its weights as fitted attributes such as ``coefs_``."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anynet.backends import Backend
from anynet.estimators.arrays import deliver, home_of
from anynet.nn.layers import Activation, AnyLayer, Dense, Dropout, LayerNorm
from anynet.nn.network import Network
from anynet.typing import Array, Params

ALIASES = {"logistic": "sigmoid"}  # scikit-learn's name for it

ATTRIBUTES = {
    "dense": (("weight", "coefs_"), ("bias", "intercepts_")),
    "layer_norm": (("gain", "norm_gains_"), ("bias", "norm_biases_")),
}
"""Kinds of layer: names of their parameters, and the lists that hold them, one entry a layer."""

WEIGHTS = tuple(attribute for pairs in ATTRIBUTES.values() for _, attribute in pairs)


@functools.lru_cache(maxsize=64)
def build_network(
    widths: tuple[int, ...], activations: tuple[str, ...], dropout: float, layer_norm: bool
) -> Network:
    """Return a network of dense layers.

    Parameters
    ----------
    widths : tuple of int
        Inputs first and outputs last.
    activations : tuple of str
        One after each hidden layer.
    dropout : float
    layer_norm : bool

    Returns
    -------
    Network
    """
    layers: list[AnyLayer] = []
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
    """Return the name of the activation of each hidden layer.

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

    Returns
    -------
    list of ndarray
        Weights (n_in, n_out) of each layer.
    list of ndarray
        Biases (n_out,) of each layer.
    """
    coefs, intercepts = [], []
    for fan_in, fan_out, activation in zip(widths[:-1], widths[1:], activations, strict=True):
        factor = 2.0 if ALIASES.get(activation, activation) == "sigmoid" else 6.0
        bound = math.sqrt(factor / (fan_in + fan_out))
        coefs.append(rng.uniform(-bound, bound, (fan_in, fan_out)))
        intercepts.append(rng.uniform(-bound, bound, fan_out))
    return coefs, intercepts


def load_params(estimator: Any, network: Network, backend: Backend) -> Params:
    """Return the fitted attributes on the device; they may share memory with the estimator's."""
    params: list[dict[str, Array]] = []
    counts = dict.fromkeys(ATTRIBUTES, 0)
    for layer in network.layers:
        values = {}
        for name, attribute in ATTRIBUTES.get(layer.kind, ()):
            values[name] = _placed(getattr(estimator, attribute)[counts[layer.kind]], backend)
        if values:
            counts[layer.kind] += 1
        params.append(values)
    return tuple(params)


def store_params(
    estimator: Any,
    network: Network,
    params: Params,
    backend: Backend,
    home: Backend | None = None,
    dtype: str | None = None,
) -> None:
    """Set the fitted attributes, where X lives and in its dtype.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    network : Network
    params : Params
    backend : Backend
        Where the parameters are.
    home : Backend, optional
        Where the attributes are to be; by default on the host.
    dtype : str, optional
        By default that of the backend.
    """
    dtype = dtype or backend.dtype
    for kind, pairs in ATTRIBUTES.items():
        layers = [
            values
            for layer, values in zip(network.layers, params, strict=True)
            if layer.kind == kind
        ]
        for name, attribute in pairs:
            if layers:
                arrays = [deliver(one[name], backend, home, dtype) for one in layers]
                setattr(estimator, attribute, arrays)


def _placed(array: Any, backend: Backend) -> Array:
    home = home_of(array)
    if home is None:
        return backend.to_device(np.asarray(array, dtype=backend.dtype))
    return deliver(array, home, backend, backend.dtype)  # type: ignore[no-any-return]
