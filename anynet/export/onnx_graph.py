"""The parts of an ONNX graph: layers, activations and links, expressed in operators.

Operators that onnxruntime has in float32 alone (LeakyRelu, Elu, Selu, Softplus) and those that
are newer than the operator set (Gelu, Mish, LayerNormalization) are written out in older ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anynet.export.common import link_name, own_form
from anynet.nn import activations
from anynet.nn.losses import Loss

MISH_SATURATED = 20.0  # beyond it tanh(log(1 + eˣ)) is 1 in float64


class Graph:
    """Collect the nodes and constants of a graph; every value has a name.

    Attributes
    ----------
    nodes, constants : list
        For ``onnx.helper.make_graph``.
    dtype : numpy.dtype
        Of the computation.
    """

    def __init__(self, onnx: Any, dtype: np.dtype[Any]) -> None:
        self.onnx = onnx
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = output or f"{operator.lower()}:{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def array(self, array: np.ndarray) -> str:
        """Add an array; return its name."""
        name = f"constant:{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, value: float) -> str:
        """Add a number in the dtype of the computation; return its name."""
        return self.array(np.asarray(value, dtype=self.dtype))

    def cast(self, x: str, dtype: np.dtype[Any]) -> str:
        """Convert to another dtype."""
        return self.add("Cast", x, to=self.onnx.helper.np_dtype_to_tensor_dtype(dtype))


def layer_norm(graph: Graph, x: str, gain: np.ndarray, bias: np.ndarray, epsilon: float) -> str:
    """Normalise each row to mean 0 and variance 1, then apply a gain and a bias."""
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, axes=[-1], keepdims=1))
    square = graph.add("Mul", centred, centred)
    variance = graph.add("ReduceMean", square, axes=[-1], keepdims=1)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.number(epsilon)))
    normal = graph.add("Div", centred, deviation)
    return graph.add("Add", graph.add("Mul", normal, graph.array(gain)), graph.array(bias))


def batch_norm(
    graph: Graph,
    x: str,
    params: dict[str, np.ndarray],
    state: dict[str, np.ndarray],
    epsilon: float,
) -> str:
    """Normalise by running statistics, then apply a gain and a bias."""
    rounded = float(np.float32(epsilon))  # the type of the attribute
    variance = state["variance"] + (epsilon - rounded)
    arrays = (params["gain"], params["bias"], state["mean"], variance)
    inputs = [graph.array(array.astype(graph.dtype)) for array in arrays]
    return graph.add("BatchNormalization", x, *inputs, epsilon=rounded)


def activation(graph: Graph, x: str, function: str) -> str:
    """Apply an activation by its name."""
    form = _ACTIVATIONS.get(function)
    if form is None:
        what = f"the activation {function}"
        form = own_form(activations.ACTIVATIONS[function], "to_onnx", "ONNX", what)
    return form(graph, x)


def link(graph: Graph, logits: str, loss: Loss) -> str:
    """Apply the link of a loss: softmax, the logistic function, the exponential or the identity."""
    name = link_name(loss, "ONNX")
    operators = {"softmax": "Softmax", "logistic": "Sigmoid", "exp": "Exp"}
    return graph.add(operators[name], logits) if name in operators else logits


def mean_logits(
    graph: Graph, logits: Sequence[str], weights: Sequence[float] | None, loss: Loss
) -> str:
    """Return the logits of the weighted mean of what several networks predict."""
    shares = weights or [1 / len(logits)] * len(logits)
    means = [
        graph.add("Mul", link(graph, each, loss), graph.number(share))
        for each, share in zip(logits, shares, strict=True)
    ]
    mean = graph.add("Sum", *means)
    name = link_name(loss, "ONNX")
    if name == "identity":
        return mean
    if name == "logistic":
        rest = graph.add("Sub", graph.number(1.0), mean)
        return graph.add("Sub", graph.add("Log", mean), graph.add("Log", rest))
    return graph.add("Log", mean)


def label(graph: Graph, logits: str, loss: Loss) -> str:
    """Return the class (N, 1), or 0/1 labels (N, O), as int64."""
    if loss.task == "classes":
        return graph.add("ArgMax", logits, axis=-1, keepdims=1)
    return graph.cast(graph.add("Greater", logits, graph.number(0.0)), np.dtype(np.int64))


def _single(operator: str) -> Callable[[Graph, str], str]:
    return lambda graph, x: graph.add(operator, x)


def _leaky_relu(graph: Graph, x: str) -> str:
    return graph.add("Max", x, graph.add("Mul", x, graph.number(activations.LEAKY_SLOPE)))


def _elu(graph: Graph, x: str, alpha: float = 1.0) -> str:
    """Compute max(0, x) + α (e^min(0, x) − 1)."""
    power = graph.add("Exp", graph.add("Min", x, graph.number(0.0)))
    below = graph.add("Mul", graph.add("Sub", power, graph.number(1.0)), graph.number(alpha))
    return graph.add("Add", graph.add("Relu", x), below)


def _selu(graph: Graph, x: str) -> str:
    return graph.add(
        "Mul", _elu(graph, x, activations.SELU_ALPHA), graph.number(activations.SELU_SCALE)
    )


def _gelu(graph: Graph, x: str) -> str:
    """Compute ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = graph.add("Add", x, graph.add("Mul", cube, graph.number(activations.GELU_CUBIC)))
    t = graph.add("Tanh", graph.add("Mul", inner, graph.number(activations.GELU_SCALE)))
    half = graph.add("Mul", x, graph.number(0.5))
    return graph.add("Mul", half, graph.add("Add", t, graph.number(1.0)))


def _silu(graph: Graph, x: str) -> str:
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _mish(graph: Graph, x: str) -> str:
    """Compute x tanh(log(1 + eˣ)) = x n / (n + 2), where n = eˣ (eˣ + 2)."""
    power = graph.add("Exp", graph.add("Min", x, graph.number(MISH_SATURATED)))
    n = graph.add("Mul", power, graph.add("Add", power, graph.number(2.0)))
    t = graph.add("Div", n, graph.add("Add", n, graph.number(2.0)))
    return graph.add("Mul", x, t)


_ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "relu": _single("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "tanh": _single("Tanh"),
    "sigmoid": _single("Sigmoid"),
    "identity": _single("Identity"),
}
