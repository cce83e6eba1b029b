"""ONNX files: a trained network as a graph that other runtimes evaluate."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

import anynet
from anynet import tree
from anynet.checks import check_choice
from anynet.data.files import expanded, replacing
from anynet.data.tables import Preprocessing
from anynet.data.tables.target import Target, Values
from anynet.errors import InvalidArgumentError
from anynet.export.common import check_model, host_pieces, own_form, require
from anynet.export.onnx_columns import ML, ML_OPSET, add_columns, decoded
from anynet.export.onnx_graph import (
    Graph,
    activation,
    batch_norm,
    label,
    layer_norm,
    link,
    mean_logits,
)
from anynet.export.onnx_tabular import FORMS
from anynet.nn import Activation, BatchNorm, Dense, Dropout, LayerNorm, Scale, Standardize
from anynet.nn.losses import Loss
from anynet.training.ensemble import Ensemble
from anynet.training.model import Model

OPSET = 13  # of ONNX 1.8 (2020): every runtime has it, and it has every operator needed here
IR_VERSION = 7  # of ONNX 1.8
OUTPUTS = {
    "classes": ("label", "probabilities", "logits"),
    "labels": ("label", "probabilities", "logits"),
    "values": ("value", "logits"),
}
INPUT_DTYPES = (
    *("float16", "float32", "float64", "bool"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
MAX_BYTES = 2**31 - 2**20  # limit of a protocol buffer, minus space for all but parameters


def to_onnx(
    model: Model | Ensemble,
    path: str | os.PathLike[str] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    input_dtype: str | None = None,
    sample_shape: Sequence[int] | None = None,
    classes: Sequence[Any] | None = None,
    columns: bool = False,
) -> Any:
    """Convert a model to an ONNX graph, and write it to a file if a path is given.

    The graph has one input, ``x``, of any number of samples, or see ``columns``. It computes what
    ``Model.predict`` does, in the model's own float32 or float64; dropout is the identity. The
    file's metadata hold ``anynet_version``, ``loss``, ``classes`` (a JSON list, if the model has
    their names) and ``metadata`` (the model's, as JSON).

    Parameters
    ----------
    model : Model or Ensemble
        The logits of an ensemble are those of the mean of what its members predict.
    path : path-like, optional
        Written whole or not at all; an existing file is replaced.
    outputs : sequence of str, optional
        All by default. Classifiers have ``label`` (int64, the result of ``predict``),
        ``probabilities`` (N, O), the result of ``predict_proba``, and ``logits`` (N, O);
        networks that predict values have ``value``, the result of ``predict``, and ``logits``,
        which differ from it for the Poisson loss.
    input_dtype : str, optional
        The type of ``x``, such as ``uint8`` for pictures; it is cast inside the graph. By
        default that of the model.
    sample_shape : sequence of int, optional
        The shape of one sample, such as (28, 28); it is flattened inside the graph. By default
        a row of inputs.
    classes : sequence of int, float, bool or str, optional
        Values of ``label`` in place of 0, 1, …: integers and booleans as int64, strings as
        strings, floats as float64. Classes that these types cannot hold exactly are refused. A
        network of one output then has two classes (or always the only one), and
        ``probabilities`` (N, 2) of both.
    columns : bool
        Whether the inputs are the raw columns of the table of training, instead of ``x``: one
        (N, 1) for each column that is used, with its name (and an underscore if an output has that
        name). Categories are strings, "" if missing; all others are float64, NaN if missing:
        numbers, 1 and 0 for truth values, days since 1970-01-01 for dates. ``value`` is then
        float64 in the units of the table.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, the parameters exceed 2 GiB, or there is no folder
        for the file.
    BackendError
        If the package onnx is missing.
    OSError
        If the file cannot be written; an existing one is unchanged.

    References
    ----------
    Operators: https://onnx.ai/onnx/operators/, version 13 of the default operator set.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> model = anynet.fit(network, data.train, epochs=3, backend="numpy")
    >>> graph = anynet.export.to_onnx(model, outputs=["label", "probabilities"]).graph
    >>> [output.name for output in graph.output]
    ['label', 'probabilities']
    """
    models = model.models if isinstance(model, Ensemble) else (model,)
    first = models[0]
    check_model(first)
    chosen = _check_outputs(outputs, OUTPUTS[first.loss.task])
    names = None
    if classes is not None:
        names = _check_classes(classes, first, as_labels="label" in chosen)
    if columns and (input_dtype is not None or sample_shape is not None):
        message = "input_dtype and sample_shape describe x, which a graph of columns does not have"
        raise InvalidArgumentError(message)
    shape = _check_shape(sample_shape, first.network.n_inputs)
    input_dtype = input_dtype or first.backend.dtype
    check_choice("input_dtype", input_dtype, INPUT_DTYPES)
    leaves = tree.leaves([(one.params, one.states) for one in models])
    n_bytes = sum(first.backend.to_host(leaf).nbytes for leaf in leaves)
    if n_bytes > MAX_BYTES:
        message = f"an ONNX file holds at most 2 GiB, the parameters take {n_bytes / 2**30:.1f}"
        raise InvalidArgumentError(message)
    onnx = require("onnx")
    helper = onnx.helper
    graph = Graph(onnx, np.dtype(first.backend.dtype))
    x, x_type, target = "x", np.dtype(input_dtype), None
    if columns:
        preprocessing = Preprocessing.of(model)
        inputs, x = add_columns(graph, preprocessing, chosen)
        x_type, target = graph.dtype, preprocessing.target
    else:
        kind = helper.np_dtype_to_tensor_dtype(x_type)
        inputs = [helper.make_tensor_value_info(x, kind, ["N", *shape])]
    logits = [_add_layers(graph, one, x, x_type, len(shape)) for one in models]
    found = logits[0]
    if isinstance(model, Ensemble):
        found = mean_logits(graph, logits, getattr(model, "weights", None), first.loss)
    declared = [_add_output(graph, first, found, name, names, target) for name in chosen]
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "anynet", inputs, declared, graph.constants),
        opset_imports=[
            helper.make_opsetid("", OPSET),
            *[helper.make_opsetid(ML, ML_OPSET)] * columns,
        ],
        ir_version=IR_VERSION,
        producer_name="anynet",
        producer_version=anynet.__version__,
    )
    helper.set_model_props(proto, _properties(first.loss, model.metadata))
    onnx.checker.check_model(proto, full_check=True)
    if path is not None:
        content = proto.SerializeToString()
        with replacing(expanded(path)) as file:
            file.write(content)
    return proto


def _add_layers(
    graph: Graph, model: Model, x: str, input_dtype: np.dtype[Any], sample_rank: int
) -> str:
    """Add the network; return the name of its logits."""
    if sample_rank > 1:
        x = graph.add("Flatten", x, axis=1)
    if input_dtype != graph.dtype:
        x = graph.cast(x, graph.dtype)
    for index, layer, params, state in host_pieces(model):
        if isinstance(layer, Scale):
            x = graph.add("Mul", x, graph.number(layer.factor))
            if layer.offset:
                x = graph.add("Add", x, graph.number(layer.offset))
        elif isinstance(layer, Dense):
            x = graph.add("Gemm", x, graph.array(params["weight"]), graph.array(params["bias"]))
        elif isinstance(layer, LayerNorm):
            x = layer_norm(graph, x, params["gain"], params["bias"], layer.epsilon)
        elif isinstance(layer, BatchNorm):
            x = batch_norm(graph, x, params, state, layer.epsilon)
        elif isinstance(layer, Standardize):
            x = graph.add("Sub", x, graph.array(state["mean"]))
            x = graph.add("Mul", x, graph.array(state["scale"]))
        elif isinstance(layer, Activation):
            x = activation(graph, x, layer.function)
        elif type(layer) in FORMS:
            arrays, n_in = params | state, model.network.widths[index]
            x = FORMS[type(layer)](graph, x, layer, arrays, n_in)
        elif not isinstance(layer, Dropout):
            form = own_form(layer, "to_onnx", "ONNX", f"layer {index} ({layer.kind})")
            x = form(graph, x, params | state)
    return x


def _add_output(
    graph: Graph,
    model: Model,
    logits: str,
    name: str,
    classes: np.ndarray | None,
    target: Target | None = None,
) -> Any:
    """Add one of the outputs, and return its declaration."""
    loss, width = model.loss, model.network.n_outputs
    kind = np.dtype(np.int64) if name == "label" else graph.dtype
    binary = classes is not None and width == 1
    if name == "logits":
        found = logits
    elif name == "label":
        found = label(graph, logits, loss)
        width = 1 if loss.task == "classes" else width
    else:
        found = link(graph, logits, loss)
        if binary:
            other = graph.add("Sub", graph.number(1.0), found)
            found, width = graph.add("Concat", other, found, axis=-1), 2
    shape: list[str | int] = ["N", width]
    if name in ("label", "value") and width == 1:
        found, shape = graph.add("Squeeze", found, graph.array(np.array([1]))), ["N"]
    if name == "label" and classes is not None:
        found, kind = graph.add("Gather", graph.array(classes), found), classes.dtype
    if name == "value" and isinstance(target, Values):
        found, kind = decoded(graph, found, target), np.dtype(np.float64)
    graph.add("Identity", found, output=name)
    helper = graph.onnx.helper
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), shape)


def _properties(loss: Loss, metadata: dict[str, Any]) -> dict[str, str]:
    """Return the metadata of the file."""
    properties = {"anynet_version": anynet.__version__, "loss": loss.kind}
    if isinstance(metadata.get("classes"), list):
        properties["classes"] = json.dumps(metadata["classes"])
    return properties | {"metadata": json.dumps(metadata)}


def _check_classes(classes: Sequence[Any], model: Model, *, as_labels: bool) -> np.ndarray:
    """Return the values of ``label``, one per class, in a type of ONNX; else their numbers."""
    width, names = model.network.n_outputs, list(classes)
    known = {"classes": (width,), "labels": (2, 1) if width == 1 else ()}.get(model.loss.task, ())
    if np.ndim(names) != 1 or len(names) not in known:
        message = (
            f"classes must name the {' or '.join(map(str, known)) or 0} classes of the network, "
            f"got {classes!r}"
        )
        raise InvalidArgumentError(message)
    if not as_labels:
        return np.arange(len(names))
    labels = _as_labels(names)
    if len(set(labels.tolist())) < len(names):
        message = f"classes must be different labels, got {classes!r}"
        raise InvalidArgumentError(message)
    if model.loss.task == "labels" and len(names) == 1:
        return np.repeat(labels, 2)  # whatever the logit
    return labels


def _as_labels(names: list[Any]) -> np.ndarray:
    """Return labels in a type of ONNX: strings, int64 or float64, with the same values.

    Raises
    ------
    InvalidArgumentError
        If a value would change, or is neither a number nor a string.
    """
    plain = [one.item() if isinstance(one, np.generic) else one for one in names]
    if all(isinstance(one, str) for one in plain):
        return np.array(plain, dtype=object)
    for one in plain:
        if not isinstance(one, (bool, int, float)):
            kinds = sorted({type(each).__name__ for each in plain})
            message = (
                f"classes must be numbers, or strings, got {', '.join(kinds)} such as {one!r}: fit "
                f"on y.astype(str), or give classes=[str(label) for label in classes]"
            )
            raise InvalidArgumentError(message)
    dtype: Any = np.float64 if any(isinstance(one, float) for one in plain) else np.int64
    try:
        labels = np.array(plain, dtype=dtype)
        wrong = [one for one, label in zip(plain, labels.tolist(), strict=True) if one != label]
    except OverflowError:
        wrong = [one for one in plain if not -(2**63) <= one < 2**63]
    if wrong:
        message = (
            f"an ONNX file has labels of {np.dtype(dtype)}, which cannot hold the class "
            f"{wrong[0]!r}: give classes=[str(label) for label in classes], or outputs= without "
            f"label"
        )
        raise InvalidArgumentError(message)
    return labels


def _check_outputs(outputs: Sequence[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = known if outputs is None else tuple(outputs)
    if isinstance(outputs, str) or not chosen or len(set(chosen)) < len(chosen):
        message = f"outputs must be different names out of {', '.join(known)}, got {outputs!r}"
        raise InvalidArgumentError(message)
    for name in chosen:
        check_choice("an output of this model", name, known)
    return chosen


def _check_shape(sample_shape: Sequence[int] | None, n_inputs: int) -> list[int]:
    shape = [n_inputs] if sample_shape is None else [int(side) for side in sample_shape]
    if math.prod(shape) != n_inputs or min(shape, default=0) < 1:
        message = (
            f"sample_shape must make up the {n_inputs} inputs of the network, got {sample_shape!r}"
        )
        raise InvalidArgumentError(message)
    return shape
