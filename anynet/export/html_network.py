"""The layers and weights of a network for a web page: JSON, and the bytes of all arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet import config
from anynet.errors import InvalidArgumentError
from anynet.export.common import OwnLayer, host_pieces
from anynet.training.model import Model

DTYPES = ("float32", "float16")

#: Kinds of layers and activations that ``page/network.js`` computes.
LAYERS = frozenset(
    (
        *("dense", "activation", "parametric_activation", "scale", "dropout", "feature_scale"),
        *("standardize", "layer_norm", "batch_norm", "piecewise_linear", "pbld", "embedding"),
        *("piecewise_linear_embedding", "cosine_embedding", "ensemble_input", "ensemble_scale"),
        *("ensemble_dense", "batch_ensemble_dense", "ensemble_mean"),
    )
)
ACTIVATIONS = frozenset(
    (
        *("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid"),
        "identity",
    )
)


class Arrays:
    """Collect arrays as bytes, in little-endian order, one after another.

    Parameters
    ----------
    weights : {"float32", "float16"}
        The data type of trained matrices.
    """

    def __init__(self, weights: str) -> None:
        self.weights = weights
        self._parts: list[bytes] = []
        self._end = 0

    def add(self, array: np.ndarray, dtype: str = "float32") -> dict[str, Any]:
        """Add an array; return its data type, shape and first byte."""
        content = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()
        start, self._end = self._end, self._end + len(content)
        self._parts.append(content)
        return {"dtype": dtype, "shape": list(array.shape), "start": start}

    def add_weight(self, array: np.ndarray) -> dict[str, Any]:
        """Add a trained array: matrices in the type of weights, unless it cannot hold them."""
        fits = array.ndim > 1 and np.max(np.abs(array), initial=0) <= np.finfo(np.float16).max
        return self.add(array, self.weights if fits else "float32")

    def content(self) -> bytes:
        """Return the bytes of all arrays."""
        return b"".join(self._parts)


def add_network(arrays: Arrays, model: Model) -> list[dict[str, Any]]:
    """Add the weights of a network, and return its layers as JSON.

    Raises
    ------
    InvalidArgumentError
        If a layer or an activation has no form in JavaScript.
    """
    layers = []
    for index, layer, params, state in host_pieces(model):
        if isinstance(layer, OwnLayer) or layer.kind not in LAYERS:
            _refuse(f"layer {index} ({layer.kind})")
        function = getattr(layer, "function", None)
        if function is not None and function not in ACTIVATIONS:
            _refuse(f"the activation {function} of layer {index}")
        trained = {name: arrays.add_weight(array) for name, array in params.items()}
        measured = {name: arrays.add(array) for name, array in state.items()}
        layers.append(config.to_config(layer) | {"arrays": trained | measured})
    return layers


def _refuse(what: str) -> None:
    message = (
        f"{what} has no form in JavaScript, so that a web page cannot compute it: train a network "
        f"of anynet's own layers and activations, or export it as ONNX"
    )
    raise InvalidArgumentError(message)
