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
    BatchEnsembleDense,
    CosineEmbedding,
    Embedding,
    EnsembleDense,
    EnsembleInput,
    EnsembleMean,
    EnsembleScale,
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


def _split(graph: Graph, x: str, members: int, width: int) -> str:
    """Return rows (k · N, I) as (k, N, I)."""
    return graph.add("Reshape", x, graph.array(np.array([members, -1, width])))


def _joined(graph: Graph, x: str, width: int) -> str:
    """Return (k, N, I) as rows (k · N, I)."""
    return graph.add("Reshape", x, graph.array(np.array([-1, width])))


def _ensemble_input(graph: Graph, x: str, layer: EnsembleInput, arrays: Arrays, n_in: int) -> str:
    return graph.add("Tile", x, graph.array(np.array([layer.members, 1])))


def _ensemble_scale(graph: Graph, x: str, layer: EnsembleScale, arrays: Arrays, n_in: int) -> str:
    x = _split(graph, x, layer.members, n_in)
    y = graph.add("Mul", x, graph.array(arrays["gain"][:, None]))
    return _joined(graph, y, n_in)


def _batch_ensemble_dense(
    graph: Graph, x: str, layer: BatchEnsembleDense, arrays: Arrays, n_in: int
) -> str:
    input_gain, output_gain, bias = (
        graph.array(arrays[name][:, None]) for name in ("input_gain", "output_gain", "bias")
    )
    x = graph.add("Mul", _split(graph, x, layer.members, n_in), input_gain)
    y = graph.add("MatMul", x, graph.array(arrays["weight"]))
    y = graph.add("Add", graph.add("Mul", y, output_gain), bias)
    return _joined(graph, y, layer.units)


def _ensemble_dense(graph: Graph, x: str, layer: EnsembleDense, arrays: Arrays, n_in: int) -> str:
    x = _split(graph, x, layer.members, n_in)
    y = graph.add("MatMul", x, graph.array(arrays["weight"]))
    return _joined(graph, graph.add("Add", y, graph.array(arrays["bias"][:, None])), layer.units)


def _log_mean(graph: Graph, x: str, members: int) -> str:
    """Return the logarithm of the mean of exp over the members."""
    total = graph.add("ReduceLogSumExp", x, axes=[0], keepdims=0)
    return graph.add("Sub", total, graph.number(math.log(members)))


def _log_sigmoid(graph: Graph, x: str) -> str:
    """Compute min(x, 0) − log(1 + e^(−|x|))."""
    power = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
    rest = graph.add("Log", graph.add("Add", power, graph.number(1.0)))
    return graph.add("Sub", graph.add("Min", x, graph.number(0.0)), rest)


def _ensemble_mean(graph: Graph, x: str, layer: EnsembleMean, arrays: Arrays, n_in: int) -> str:
    members = layer.members
    x = _split(graph, x, members, n_in)
    if layer.link == "identity":
        return graph.add("ReduceMean", x, axes=[0], keepdims=0)
    if layer.link == "exp":
        return _log_mean(graph, x, members)
    if layer.link == "softmax":
        return _log_mean(graph, graph.add("LogSoftmax", x, axis=-1), members)
    yes, no = _log_sigmoid(graph, x), _log_sigmoid(graph, graph.add("Neg", x))
    return graph.add("Sub", _log_mean(graph, yes, members), _log_mean(graph, no, members))


FORMS: dict[type, Callable[[Graph, str, Any, Arrays, int], str]] = {
    BatchEnsembleDense: _batch_ensemble_dense,
    CosineEmbedding: _cosine_embedding,
    Embedding: _embedding,
    EnsembleDense: _ensemble_dense,
    EnsembleInput: _ensemble_input,
    EnsembleMean: _ensemble_mean,
    EnsembleScale: _ensemble_scale,
    FeatureScale: _feature_scale,
    PBLD: _pbld,
    ParametricActivation: _parametric_activation,
    PiecewiseLinear: _piecewise_linear,
    PiecewiseLinearEmbedding: _piecewise_linear_embedding,
}
"""``(graph, x, layer, arrays, n_in) -> y`` of each layer."""
