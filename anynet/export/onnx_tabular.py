"""The layers of tables as operators of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anynet.export.onnx_graph import Graph
from anynet.nn import PiecewiseLinear

END = np.iinfo(np.int64).max


def _columns(graph: Graph, x: str, start: int, end: int = END) -> str:
    """Return some columns of x."""
    bounds = [graph.array(np.array([bound])) for bound in (start, end, -1)]
    return graph.add("Slice", x, *bounds)


def _bins(graph: Graph, x: str, arrays: dict[str, np.ndarray]) -> str:
    """Return the components (N, C, K) of the leading columns."""
    count = len(arrays["left"])
    numbers = graph.add("Unsqueeze", _columns(graph, x, 0, count), graph.array(np.array([-1])))
    y = graph.add("Sub", numbers, graph.array(arrays["left"]))
    y = graph.add("Mul", y, graph.array(arrays["scale"]))
    y = graph.add("Max", y, graph.array(arrays["least"]))
    return graph.add("Min", y, graph.array(arrays["most"]))


def _piecewise_linear(
    graph: Graph, x: str, layer: PiecewiseLinear, arrays: dict[str, np.ndarray], n_in: int
) -> str:
    y = graph.add("Flatten", _bins(graph, x, arrays), axis=1)
    columns = 0 if layer.keep_input else len(arrays["left"])
    return y if columns == n_in else graph.add("Concat", y, _columns(graph, x, columns), axis=-1)


Form = Callable[[Graph, str, Any, dict[str, np.ndarray], int], str]

FORMS: dict[type, Form] = {PiecewiseLinear: _piecewise_linear}
"""``(graph, x, layer, arrays, n_in) -> y`` of each layer."""
