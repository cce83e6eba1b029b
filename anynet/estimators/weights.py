"""Between a network's parameters and the fitted attributes ``coefs_``, ``intercepts_``, …"""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet.backends import Backend
from anynet.estimators.arrays import deliver, home_of
from anynet.nn.network import Network
from anynet.typing import Array, Params

ATTRIBUTES = {
    "dense": (("weight", "coefs_"), ("bias", "intercepts_")),
    "layer_norm": (("gain", "norm_gains_"), ("bias", "norm_biases_")),
}
"""Kinds of layer: names of their parameters, and the lists that hold them, one entry a layer."""

WEIGHTS = tuple(attribute for pairs in ATTRIBUTES.values() for _, attribute in pairs)


def load_params(estimator: Any, network: Network, backend: Backend) -> Params:
    """Place the fitted attributes where to compute; they may be the user's own."""
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
    home: Backend | None,
    dtype: str,
) -> None:
    """Set the fitted attributes, where X lives and in its dtype."""
    for kind, pairs in ATTRIBUTES.items():
        layers = [
            values
            for layer, values in zip(network.layers, params, strict=True)
            if layer.kind == kind
        ]
        for name, attribute in pairs:
            if layers:
                values = [deliver(layer[name], backend, home, dtype) for layer in layers]
                setattr(estimator, attribute, values)


def _placed(array: Any, backend: Backend) -> Array:
    home = home_of(array)
    if home is None:
        return backend.to_device(np.asarray(array, dtype=backend.dtype))
    return deliver(array, home, backend, backend.dtype)  # type: ignore[no-any-return]
