"""The layers of tables as operators of ONNX."""

# ruff: noqa: ARG001  (one signature for all forms)

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from anynet.export.onnx_graph import Graph, activation
from anynet.nn import (
    PBLD,
    CosineEmbedding,
    Embedding,
    FeatureScale,
    ParametricActivation,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
)

END = np.iinfo(np.int64).max
Arrays = dict[str, np.ndarray]


def _columns(graph: Graph, x: str, start: int, end: int = END) -> str:
    """Return some columns of x."""
    bounds = [graph.array(np.array([bound])) for bound in (start, end, -1)]
    return graph.add("Slice", x, *bounds)


def _beside(graph: Graph, y: str, x: str, start: int, n_in: int) -> str:
    """Return y with the columns of x from ``start`` on behind it."""
    return graph.add("Concat", y, _columns(graph, x, start), axis=-1) if start < n_in else y


def _by_column(graph: Graph, x: str, columns: int) -> str:
    """Return the leading columns (N, C) as (C, N, 1)."""
    numbers = graph.add("Transpose", _columns(graph, x, 0, columns), perm=[1, 0])
    return graph.add("Unsqueeze", numbers, graph.array(np.array([-1])))


def _by_sample(graph: Graph, y: str) -> str:
    """Return the features (C, N, D) of each column as (N, C · D)."""
    return graph.add("Flatten", graph.add("Transpose", y, perm=[1, 0, 2]), axis=1)


def _bins(graph: Graph, x: str, arrays: Arrays) -> str:
    """Return the components (C, N, K) of numbers (C, N, 1)."""
    along = {name: graph.array(array[:, None]) for name, array in arrays.items()}
    y = graph.add("Mul", graph.add("Sub", x, along["left"]), along["scale"])
    return graph.add("Min", graph.add("Max", y, along["least"]), along["most"])


def _waves(graph: Graph, x: str, frequency: np.ndarray, phase: np.ndarray) -> str:
    """Return cos(2π w x + b) (C, N, H) of numbers (C, N, 1)."""
    speed = graph.array(2 * math.pi * frequency[:, None])
    angle = graph.add("Add", graph.add("Mul", x, speed), graph.array(phase[:, None]))
    return graph.add("Cos", angle)


def _piecewise_linear(
    graph: Graph, x: str, layer: PiecewiseLinear, arrays: Arrays, n_in: int
) -> str:
    columns = len(arrays["left"])
    y = _by_sample(graph, _bins(graph, _by_column(graph, x, columns), arrays))
    return _beside(graph, y, x, 0 if layer.keep_input else columns, n_in)


def _piecewise_linear_embedding(
    graph: Graph, x: str, layer: PiecewiseLinearEmbedding, arrays: Arrays, n_in: int
) -> str:
    numbers = _by_column(graph, x, columns := len(arrays["left"]))
    bins = {name: arrays[name] for name in ("left", "scale", "least", "most")}
    of_bins = graph.add("MatMul", _bins(graph, numbers, bins), graph.array(arrays["bin_weight"]))
    y = graph.add("Mul", numbers, graph.array(arrays["weight"][:, None]))
    y = graph.add("Add", y, graph.array(arrays["bias"][:, None]))
    return _beside(graph, _by_sample(graph, graph.add("Add", of_bins, y)), x, columns, n_in)


def _pbld(graph: Graph, x: str, layer: PBLD, arrays: Arrays, n_in: int) -> str:
    numbers = _by_column(graph, x, len(arrays["bias"]))
    y = _waves(graph, numbers, arrays["frequency"], arrays["phase"])
    y = graph.add("MatMul", y, graph.array(arrays["weight"]))
    y = graph.add("Add", y, graph.array(arrays["bias"][:, None]))
    return _beside(graph, _by_sample(graph, y), x, 0, n_in)


def _cosine_embedding(
    graph: Graph, x: str, layer: CosineEmbedding, arrays: Arrays, n_in: int
) -> str:
    numbers = _by_column(graph, x, columns := len(arrays["bias"]))
    waves = _waves(graph, numbers, arrays["frequency"], 2 * math.pi * arrays["phase"])
    y = graph.add("Concat", numbers, waves, axis=-1)
    y = graph.add("Mul", y, graph.array(arrays["gain"][:, None]))
    y = graph.add("Add", y, graph.array(arrays["bias"][:, None]))
    return _beside(graph, _by_sample(graph, y), x, columns, n_in)


def _embedding(graph: Graph, x: str, layer: Embedding, arrays: Arrays, n_in: int) -> str:
    n_numbers = n_in - len(layer.levels)
    codes = graph.cast(_columns(graph, x, n_numbers), np.dtype(np.int64))
    zero, levels = graph.array(np.array(0)), np.array(layer.levels)
    below = graph.add("Not", graph.add("Less", codes, zero))
    known = graph.add("And", below, graph.add("Less", codes, graph.array(levels)))
    first = graph.array(np.cumsum(levels) - levels)
    places = graph.add("Add", graph.add("Where", known, codes, zero), first)
    vectors = graph.add("Gather", graph.array(arrays["weight"]), places)
    shares = graph.add("Unsqueeze", graph.cast(known, graph.dtype), graph.array(np.array([-1])))
    y = graph.add("Flatten", graph.add("Mul", vectors, shares), axis=1)
    return graph.add("Concat", _columns(graph, x, 0, n_numbers), y, axis=-1) if n_numbers else y


def _feature_scale(graph: Graph, x: str, layer: FeatureScale, arrays: Arrays, n_in: int) -> str:
    return graph.add("Mul", x, graph.array(arrays["gain"]))


def _parametric_activation(
    graph: Graph, x: str, layer: ParametricActivation, arrays: Arrays, n_in: int
) -> str:
    bend = graph.add("Sub", activation(graph, x, layer.function), x)
    return graph.add("Add", x, graph.add("Mul", bend, graph.array(arrays["gain"])))


FORMS: dict[type, Callable[[Graph, str, Any, Arrays, int], str]] = {
    CosineEmbedding: _cosine_embedding,
    Embedding: _embedding,
    FeatureScale: _feature_scale,
    PBLD: _pbld,
    ParametricActivation: _parametric_activation,
    PiecewiseLinear: _piecewise_linear,
    PiecewiseLinearEmbedding: _piecewise_linear_embedding,
}
"""``(graph, x, layer, arrays, n_in) -> y`` of each layer."""
