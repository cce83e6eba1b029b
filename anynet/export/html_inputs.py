"""The inputs of a web page: images, columns of a table or plain numbers, and test samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet import config
from anynet.augment.preprocess import from_config
from anynet.backends import to_numpy
from anynet.data.dataset import IMAGE_STEPS, TABLE
from anynet.data.image_format import ImageFormat
from anynet.data.tables import Preprocessing
from anynet.data.tables.categories import Category, Code
from anynet.data.tables.encoders import Boolean, Date, Encoder, Number
from anynet.data.tables.quantile import CENTRE, TAIL, Quantile
from anynet.data.tables.target import Target
from anynet.data.tables.values import find_levels, to_categories
from anynet.errors import InvalidArgumentError, ModelFileError
from anynet.export.common import host_pieces
from anynet.export.html_network import Arrays
from anynet.export.onnx_columns import input_order
from anynet.nn import Standardize
from anynet.training.ensemble import Ensemble
from anynet.training.inputs import check_rows
from anynet.training.model import Model

ENCODERS = (Boolean, Category, Code, Date, Number, Quantile)
STEPS = ("deslant", "width")

#: Maximum number of inputs without a table that have a field each; more are one text field.
MOST_FIELDS = 40


def image_of(model: Model | Ensemble) -> dict[str, Any] | None:
    """Return how a drawing becomes an input of the network; None if it was not trained on images.

    Raises
    ------
    InvalidArgumentError
        If the model has preprocessing of your own.
    ModelFileError
        If the metadata are invalid.
    """
    image = ImageFormat.of(model.metadata, _first(model).network.n_inputs)
    if image is None:
        return None
    try:
        steps = from_config(model.metadata.get(IMAGE_STEPS, ()))
    except InvalidArgumentError as error:
        message = f"invalid metadata of the model on the preprocessing of images: {error}"
        raise ModelFileError(message) from error
    for step in steps:
        if step.kind not in STEPS:
            message = f"the preprocessing {step.kind!r} has no form in JavaScript"
            raise InvalidArgumentError(message)
    return {
        "shape": list(image.shape),
        "box": image.box,
        "top": image.top,
        "paper": image.paper,
        "strokes": image.strokes,
        "steps": [config.to_config(step) for step in steps],
    }


def table_of(model: Model | Ensemble) -> tuple[dict[str, Any], Target | None]:
    """Return the columns of a model and how they become inputs, and the target of its table.

    A model that was not trained on a table has a plain column for each input, and no target.

    Raises
    ------
    InvalidArgumentError
        If the table has an encoder of your own.
    ModelFileError
        If the metadata are invalid.
    """
    if model.metadata.get(TABLE) is None:
        columns = _plain_columns(model)
        order = list(range(len(columns)))
        fields = len(columns) <= MOST_FIELDS
        plain = {"columns": columns, "order": order, "centers": [], "factors": [], "scaled": 0}
        return plain | {"fields": fields}, None
    preprocessing = Preprocessing.of(model)
    scaling = np.array([preprocessing.centers, preprocessing.factors], dtype=np.float32)
    centers, factors = scaling.astype(np.float64).tolist()
    table = {
        "columns": [_column(encoder) for encoder in preprocessing.encoders],
        "order": input_order(preprocessing),
        "centers": centers,
        "factors": factors,
        "scaled": preprocessing.scaled.start,
        "fields": True,
    }
    return table, preprocessing.target


def _first(model: Model | Ensemble) -> Model:
    return model.models[0] if isinstance(model, Ensemble) else model


def _plain_columns(model: Model | Ensemble) -> list[dict[str, Any]]:
    """Return a column for each input; its typical value is the mean of training, or 0."""
    first = _first(model)
    width = first.network.n_inputs
    names = model.metadata.get("estimator", {}).get("feature_names")
    if not isinstance(names, list) or len(names) != width:
        names = [f"input {number}" for number in range(1, width + 1)]
    pieces = host_pieces(first)
    typical = np.zeros(width)
    if pieces and isinstance(pieces[0].layer, Standardize):
        typical = pieces[0].state["mean"].astype(np.float64)
    return [
        {"kind": "plain", "column": str(name), "typical": value}
        for name, value in zip(names, typical.tolist(), strict=True)
    ]


def _column(encoder: Encoder) -> dict[str, Any]:
    """Return what the page needs to encode a column and to make its field."""
    if type(encoder) not in ENCODERS:
        message = f"the encoder {encoder.kind!r} of {encoder.column!r} has no form in JavaScript"
        raise InvalidArgumentError(message)
    column = config.to_config(encoder)
    column.pop("rare", None)  # they share an input with unknown categories
    if isinstance(encoder, Quantile):
        ends = [encoder.quantiles[0], encoder.quantiles[-1]]
        column |= {"limits": ends, "centre": CENTRE, "tail": TAIL}
    return column


def samples_of(model: Model | Ensemble, samples: Any, arrays: Arrays) -> dict[str, Any]:
    """Return test samples as JSON; add their inputs to the arrays, unless they are rows of a table.

    Raises
    ------
    InvalidArgumentError
        If they do not fit the model.
    DataError
        If rows of a table have no target that the model knows.
    """
    if model.metadata.get(TABLE) is not None:
        return _table_samples(Preprocessing.of(model), samples)
    first = _first(model)
    if not isinstance(samples, (tuple, list)) or len(samples) != 2:
        message = f"samples must be (x, y), got {type(samples).__name__}"
        raise InvalidArgumentError(message)
    rows = check_rows(tuple(samples), first.network, first.loss, first.backend)
    x = to_numpy(samples[0])
    x = x.reshape(len(x), -1)
    bytes_suffice = x.dtype.kind in "uib" and x.min() >= 0 and x.max() <= 255
    labels = np.asarray(rows.y)
    if first.loss.task != "values":
        labels = labels.astype(np.int64)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if image_of(model) is None:
        return {"rows": x.astype(np.float64).tolist(), "labels": labels.tolist()}
    inputs = arrays.add(x, "uint8" if bytes_suffice else "float32")
    return {"inputs": inputs, "labels": labels.tolist()}


def _table_samples(preprocessing: Preprocessing, samples: Any) -> dict[str, Any]:
    """Return raw rows as the cells that the page enters into its form."""
    table, _ = preprocessing.read(samples)
    labels, absent = preprocessing.labels(table)
    table, labels = table.take(~absent), labels[~absent]
    missing = np.full(table.n_rows, np.nan)
    columns = [
        _cells(encoder, table.columns.get(encoder.column, missing))
        for encoder in preprocessing.encoders
    ]
    is_values = preprocessing.target.task == "regression"
    targets = preprocessing.decode(labels) if is_values else labels
    return {"rows": [list(row) for row in zip(*columns, strict=True)], "labels": targets.tolist()}


def _cells(encoder: Encoder, column: np.ndarray) -> list[Any]:
    """Return cells as numbers, days, 0 and 1, or texts of categories; None if missing."""
    if not isinstance(encoder, (Category, Code)):
        values, _ = encoder.read(column)
        return [None if np.isnan(value) else value for value in values.tolist()]
    texts = to_categories(column).tolist()
    places = find_levels(to_categories(column), encoder.levels).tolist()
    return [
        encoder.levels[place] if place >= 0 else text or None
        for place, text in zip(places, texts, strict=True)
    ]
