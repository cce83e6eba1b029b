"""The encoders of the columns of a table as operators of ONNX.

Numbers are computed in float64, as `anynet.Preprocessing` does; categories are found by
``LabelEncoder`` of the operator set ``ai.onnx.ml``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anynet.data.tables import Preprocessing
from anynet.data.tables.categories import Category, Code
from anynet.data.tables.encoders import WEEK, YEAR, Boolean, Date, Encoder, Number
from anynet.data.tables.quantile import CENTRE, SMALLEST, TAIL, Quantile
from anynet.data.tables.statistics import BOUND, MOST_SCALES
from anynet.data.tables.target import Values
from anynet.errors import InvalidArgumentError
from anynet.export.onnx_graph import Graph

ML = "ai.onnx.ml"
ML_OPSET = 2  # of ONNX 1.6: LabelEncoder of strings
DOUBLE, INTEGER = np.dtype(np.float64), np.dtype(np.int64)


def add_columns(
    graph: Graph, preprocessing: Preprocessing, outputs: Sequence[str]
) -> tuple[list[Any], str]:
    """Add inputs for the columns of a table, and their encoders.

    Parameters
    ----------
    graph : Graph
    preprocessing : Preprocessing
    outputs : sequence of str
        Names of the outputs of the graph, which no input can have.

    Returns
    -------
    inputs : list of ValueInfoProto
        One (N, 1) for each column that is used: strings for categories, float64 for others.
    x : str
        The inputs of the network (N, I), in the type of the graph.

    Raises
    ------
    InvalidArgumentError
        If an encoder has no form in ONNX.
    """
    helper = graph.onnx.helper
    declared, parts, names = [], [], []
    for encoder in preprocessing.encoders:
        if type(encoder) not in FORMS:
            message = f"the encoder {encoder.kind!r} of {encoder.column!r} has no form in ONNX"
            raise InvalidArgumentError(message)
        name = encoder.column
        while name in outputs:
            name += "_"
        text = isinstance(encoder, (Category, Code))
        kind = np.dtype(object) if text else DOUBLE
        declared.append(
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), ["N", 1])
        )
        parts += FORMS[type(encoder)](graph, name, encoder)
        names += encoder.names()
    x = graph.cast(graph.add("Concat", *parts, axis=1), graph.dtype)
    order = input_order(preprocessing)
    if order != list(range(len(order))):
        x = graph.add("Gather", x, graph.array(np.array(order)), axis=1)
    return declared, _scaled(graph, x, preprocessing) if preprocessing.factors else x


def input_order(preprocessing: Preprocessing) -> list[int]:
    """Return the place among the inputs of the encoders of each input of the network."""
    order = np.empty(preprocessing.n_inputs, dtype=np.int64)
    first = 0
    for encoder, places in zip(preprocessing.encoders, preprocessing.places, strict=True):
        own = np.arange(first, first + len(encoder.names()))
        for source, target in places:
            order[target] = own[source]
        first += own.size
    return order.tolist()


def _scaled(graph: Graph, x: str, preprocessing: Preprocessing) -> str:
    """Centre, scale and bound the inputs between numbers and codes."""
    width = preprocessing.n_inputs
    middle = preprocessing.scaled
    centers, factors = np.zeros(width), np.ones(width)
    centers[middle], factors[middle] = preprocessing.centers, preprocessing.factors
    is_scaled = np.zeros(width, dtype=bool)
    is_scaled[middle] = True
    centred = graph.add("Sub", x, graph.array(centers.astype(graph.dtype)))
    z = graph.add("Mul", centred, graph.array(factors.astype(graph.dtype)))
    third = graph.add("Mul", z, graph.number(1 / BOUND))
    square = graph.add("Add", graph.add("Mul", third, third), graph.number(1.0))
    bounded = graph.add("Div", z, graph.add("Sqrt", square))
    return graph.add("Where", graph.array(is_scaled), bounded, x)


def _double(graph: Graph, value: float) -> str:
    return graph.array(np.asarray(value, dtype=DOUBLE))


def _without_missing(graph: Graph, x: str, values: str, fill: float = 0.0) -> str:
    """Return values, with another where x is missing."""
    return graph.add("Where", graph.add("IsNaN", x), _double(graph, fill), values)


def _flags(graph: Graph, x: str, encoder: Encoder) -> list[str]:
    """Return the indicator of missing values, if the encoder has one."""
    return [graph.cast(graph.add("IsNaN", x), DOUBLE)] * encoder.flags_missing


def _standard(graph: Graph, x: str, center: float, scale: float) -> str:
    """Centre, scale and clip smoothly; missing values become 0."""
    centred = graph.add("Sub", x, _double(graph, center))
    z = graph.add("Div", centred, _double(graph, scale))
    z = graph.add("Max", z, _double(graph, -MOST_SCALES))
    z = graph.add("Min", z, _double(graph, MOST_SCALES))
    third = graph.add("Div", z, _double(graph, BOUND))
    square = graph.add("Add", graph.add("Mul", third, third), _double(graph, 1.0))
    return _without_missing(graph, x, graph.add("Div", z, graph.add("Sqrt", square)))


def _number(graph: Graph, x: str, encoder: Number) -> list[str]:
    y = _standard(graph, x, encoder.center, encoder.scale)
    return [y, *_flags(graph, x, encoder)]


def _date(graph: Graph, x: str, encoder: Date) -> list[str]:
    parts = [_standard(graph, x, encoder.center, encoder.scale)]
    for period in (YEAR, WEEK):
        angle = graph.add("Mul", x, _double(graph, 2 * np.pi / period))
        parts += [_without_missing(graph, x, graph.add(f, angle)) for f in ("Sin", "Cos")]
    return [*parts, *_flags(graph, x, encoder)]


def _boolean(graph: Graph, x: str, encoder: Boolean) -> list[str]:
    if not encoder.signed:
        return [_without_missing(graph, x, x, encoder.fill), *_flags(graph, x, encoder)]
    y = graph.add("Sub", graph.add("Mul", x, _double(graph, 2.0)), _double(graph, 1.0))
    return [_without_missing(graph, x, y)]


def _places(graph: Graph, x: str, places: dict[str, int], other: int) -> str:
    """Return the place of each text, int64 (N, 1)."""
    return graph.add(
        "LabelEncoder",
        x,
        domain=ML,
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=other,
    )


def _category(graph: Graph, x: str, encoder: Category) -> list[str]:
    width = len(encoder.levels) + encoder.other + encoder.flags_missing
    other = len(encoder.levels) if encoder.other else -1
    places = {level: place for place, level in enumerate(encoder.levels)}
    places |= dict.fromkeys(encoder.rare, other)
    places[""] = width - 1 if encoder.flags_missing else -1
    place = _places(graph, x, places, other)
    y = graph.cast(graph.add("Equal", place, graph.array(np.arange(width)[None])), DOUBLE)
    if not encoder.is_contrast:
        return [y]
    return [graph.add("MatMul", y, graph.array(np.array([[1.0], [-1.0]])))]


def _code(graph: Graph, x: str, encoder: Code) -> list[str]:
    places = {level: place + 1 for place, level in enumerate(encoder.levels)}
    return [graph.cast(_places(graph, x, places, 0), DOUBLE)]


def _quantile(graph: Graph, x: str, encoder: Quantile) -> list[str]:
    probability = _probability(graph, x, np.asarray(encoder.quantiles))
    return [_without_missing(graph, x, _normal(graph, probability)), *_flags(graph, x, encoder)]


def _probability(graph: Graph, x: str, quantiles: np.ndarray) -> str:
    """Interpolate the probability; that of several equal quantiles is the mean of theirs."""
    known, first, count = np.unique(quantiles, return_index=True, return_counts=True)
    steps = max(1, len(quantiles) - 1)
    lowest, highest = first / steps, (first + count - 1) / steps
    # Between the quantiles j - 1 and j, of which j are at most x: a line; at a quantile: its mean.
    left = np.concatenate([known[:1], known])
    start = np.concatenate([lowest[:1], highest])
    width = np.concatenate([np.diff(known, prepend=known[0]), [0.0]])
    rise = np.concatenate([lowest[:1] * 0, lowest[1:] - highest[:-1], [0.0]])
    slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
    below = graph.add("GreaterOrEqual", x, graph.array(known[None]))
    place = _sum(graph, graph.cast(below, DOUBLE))
    at_one = graph.add("Equal", x, graph.array(known[None]))
    here = graph.add(
        "MatMul", graph.cast(at_one, DOUBLE), graph.array((lowest + highest)[:, None] / 2)
    )
    is_here = graph.add("Greater", _sum(graph, graph.cast(at_one, DOUBLE)), _double(graph, 0.5))
    index = graph.cast(place, INTEGER)
    from_left = graph.add("Sub", x, graph.add("Gather", graph.array(left), index))
    line = graph.add("Mul", from_left, graph.add("Gather", graph.array(slope), index))
    line = graph.add("Add", line, graph.add("Gather", graph.array(start), index))
    return graph.add("Where", is_here, here, line)


def _sum(graph: Graph, x: str) -> str:
    return graph.add("ReduceSum", x, graph.array(np.array([1])), keepdims=1)


def _normal(graph: Graph, probability: str) -> str:
    """Return quantiles of the standard normal distribution, see `normal_quantile`."""
    p = graph.add("Max", probability, _double(graph, SMALLEST))
    p = graph.add("Min", p, _double(graph, 1 - SMALLEST))
    q = graph.add("Sub", p, _double(graph, 0.5))
    square = graph.add("Sub", _double(graph, 0.180625), graph.add("Mul", q, q))
    centre = graph.add("Mul", q, _ratio(graph, CENTRE, square))
    nearer = graph.add("Min", p, graph.add("Sub", _double(graph, 1.0), p))
    r = graph.add("Sqrt", graph.add("Neg", graph.add("Log", nearer)))
    tail = _ratio(graph, TAIL, graph.add("Sub", r, _double(graph, 1.6)))
    tail = graph.add("Mul", graph.add("Sign", q), tail)
    is_tail = graph.add("Greater", graph.add("Abs", q), _double(graph, 0.425))
    return graph.add("Where", is_tail, tail, centre)


def _ratio(graph: Graph, coefficients: tuple[tuple[float, ...], ...], x: str) -> str:
    found = []
    for each in coefficients:
        y = _double(graph, each[-1])
        for value in each[-2::-1]:  # by Horner's rule
            y = graph.add("Add", graph.add("Mul", y, x), _double(graph, value))
        found.append(y)
    return graph.add("Div", *found)


def decoded(graph: Graph, y: str, target: Values) -> str:
    """Return standardised values in the units of the table, float64."""
    y = graph.add("Mul", graph.cast(y, DOUBLE), _double(graph, target.scale))
    y = graph.add("Add", y, _double(graph, target.mean))
    if target.bounds is None:
        return y
    low, high = target.bounds
    return graph.add("Min", graph.add("Max", y, _double(graph, low)), _double(graph, high))


FORMS: dict[type, Callable[[Graph, str, Any], list[str]]] = {
    Boolean: _boolean,
    Category: _category,
    Code: _code,
    Date: _date,
    Number: _number,
    Quantile: _quantile,
}
"""``(graph, column, encoder) -> its inputs`` of each encoder."""
