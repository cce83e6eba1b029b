"""Web pages: a trained network as one HTML file, which predicts what one draws or enters."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Any

import anynet
from anynet.checks import check_choice
from anynet.data.files import expanded, in_unicode, replacing
from anynet.data.tables.target import Values
from anynet.errors import InvalidArgumentError
from anynet.export.common import check_model, link_name
from anynet.export.html_inputs import image_of, samples_of, table_of
from anynet.export.html_network import DTYPES, Arrays, add_network
from anynet.nn import Activation, Dense
from anynet.training.ensemble import Ensemble
from anynet.training.model import Model

#: Size of float32 weights in bytes, above which they are written as float16 by default.
FLOAT32_BYTES = 2**18

SCRIPTS = {
    "picture": ("network.js", "answer.js", "picture.js", "drawing.js", "main.js"),
    "form": ("network.js", "columns.js", "answer.js", "form.js", "main.js"),
}


def to_html(
    model: Model | Ensemble,
    path: str | os.PathLike[str] | None = None,
    *,
    weights: str | None = None,
    samples: Any = None,
    classes: Sequence[Any] | None = None,
    title: str | None = None,
) -> str:
    """Convert a model to a web page, and write it to a file if a path is given.

    The page is one file that needs no server and no network connection. It contains the weights and
    their forward pass in JavaScript, which computes in float64. A model of images has a canvas to
    draw on, a model of a table has a form with a field for each column, and other models have
    fields for their inputs. A content security policy in the page forbids all access to other
    resources.

    Parameters
    ----------
    model : Model or Ensemble
        The page of an ensemble predicts the mean of its members.
    path : path-like, optional
        Written whole or not at all; an existing file is replaced.
    weights : {"float32", "float16"}, optional
        The data type of weight matrices in the file. By default float32, or float16 if these
        would take more than 256 KiB. Biases, and what was measured on training samples, are
        float32.
    samples : (x, y) or table, optional
        Test samples to try in the page, with their targets: arrays, or for a model of a table raw
        rows with the target, as ``anynet.Preprocessing`` reads them.
    classes : sequence, optional
        Names of the classes, or of the labels; by default those in the metadata of the model, or
        0, 1, …. A network of one output that was trained on two classes may have two names.
    title : str, optional
        By default the name of the data set in the metadata, and the sizes of the layers, or the
        number of networks whose layers differ.

    Returns
    -------
    str
        The page.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, the model has a part of your own, or there is no folder
        for the file.
    ModelFileError
        If the metadata of the model are invalid.
    OSError
        If the file cannot be written; an existing one is unchanged.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> model = anynet.fit(network, digits.train, epochs=3, metadata=digits.metadata)
    >>> x, y = digits.test
    >>> page = anynet.export.to_html(model, samples=(x[:20], y[:20]))
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    models = model.models if isinstance(model, Ensemble) else (model,)
    first = models[0]
    check_model(first)
    dtype = weights or ("float32" if _n_bytes(models) <= FLOAT32_BYTES else "float16")
    check_choice("weights", dtype, DTYPES)
    arrays = Arrays(dtype)
    shares = getattr(model, "weights", None) or [1 / len(models)] * len(models)
    about: dict[str, Any] = {
        "task": first.loss.task,
        "link": link_name(first.loss, "HTML"),
        "networks": [
            {"share": share, "layers": add_network(arrays, one)}
            for one, share in zip(models, shares, strict=True)
        ],
        "image": image_of(model),
    }
    names = None if classes is None else list(map(str, classes))
    about["table"], target = (None, None) if about["image"] else table_of(model)
    about["outputs"] = _output_names(model, names, target)
    about["two_classes"] = len(about["outputs"]) > first.network.n_outputs
    if about["two_classes"]:
        about["task"] = "classes"
    about["target"] = None
    if isinstance(target, Values):
        bounds = target.bounds and list(target.bounds)
        about["target"] = {"mean": target.mean, "scale": target.scale, "bounds": bounds}
    about["samples"] = None if samples is None else samples_of(model, samples, arrays)
    page = _assembled(about, arrays, title or _title(model), _description(models), target)
    if path is not None:
        with replacing(expanded(path)) as file:
            file.write(page.encode())
    return page


def _assembled(
    about: dict[str, Any], arrays: Arrays, title: str, description: str, target: Any
) -> str:
    """Return the page: the template with text, data and scripts inserted."""
    kind = "picture" if about["image"] else "form"
    style = _part("style.css")
    scripts = [_part(name) for name in SCRIPTS[kind]]
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; "
        f"style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    heading = "Answer" if target is None else f"Prediction: {target.column}"
    texts = {"target": heading, "replacement": _replacement(about["table"], target)}
    body = _filled(_part(f"{kind}.html"), {name: _text(text) for name, text in texts.items()})
    content = {
        "policy": policy,
        "version": _text(anynet.__version__),
        "title": _text(title),
        "about": _text(description),
        "style": style,
        "kind": kind,
        "body": body,
        "model": json.dumps(about, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "weights": base64.b64encode(arrays.content()).decode(),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return _filled(_part("page.html"), content)


def _replacement(table: dict[str, Any] | None, target: Any) -> str:
    """Return what replaces a field to measure its effect, for the text of the page."""
    if target is not None:
        return (
            "by a typical value: the median of the training rows for numbers and dates, and the "
            "most frequent value for all others"
        )
    standardised = table is not None and any(each["typical"] for each in table["columns"])
    return "by the mean of the training samples" if standardised else "by 0"


def _part(name: str) -> str:
    """Return the text of a file of the page."""
    return (resources.files("anynet.export") / "page" / name).read_text(encoding="utf-8")


def _filled(template: str, content: dict[str, str]) -> str:
    """Replace each ``{{name}}`` of a template; what is inserted is not searched again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: content[match[1]], template)


def _text(text: str) -> str:
    return html.escape(in_unicode(text))


def _hash(text: str) -> str:
    """Return the source of a script or style in a content security policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _n_bytes(models: Sequence[Model]) -> int:
    """Return the size of the parameters as float32."""
    return 4 * sum(one.n_parameters for one in models)


def _output_names(model: Model | Ensemble, given: list[str] | None, target: Any) -> list[str]:
    """Return the name of each output; two for a network of one output with two classes.

    Raises
    ------
    InvalidArgumentError
        If the names that were given do not fit the network.
    """
    first = model.models[0] if isinstance(model, Ensemble) else model
    width, task = first.network.n_outputs, first.loss.task
    known = (width, 2) if (task, width) == ("labels", 1) else (width,)
    if given is not None:
        if task == "values" or len(given) not in known or len(set(given)) < len(given):
            expected = "no classes" if task == "values" else f"{known[-1]} different classes"
            message = f"classes: expected {expected} for this network, got {given!r}"
            raise InvalidArgumentError(message)
        return given
    if isinstance(target, Values):
        return [target.column]
    names = model.metadata.get("classes") if target is None else target.levels
    if isinstance(names, (list, tuple)) and len(names) in known:
        return list(map(str, names))
    return list(map(str, range(width)))


def _title(model: Model | Ensemble) -> str:
    models = model.models if isinstance(model, Ensemble) else (model,)
    sizes = {"-".join(map(str, _sizes(one))) for one in models}
    what = next(iter(sizes)) if len(sizes) == 1 else f"{len(models)} networks"
    return ", ".join([str(each) for each in (model.metadata.get("dataset"), what) if each])


def _sizes(model: Model) -> list[int]:
    """Return the number of inputs, and the units of each layer with units."""
    units = [layer.units for layer in model.network.layers if hasattr(layer, "units")]
    return [model.network.n_inputs, *units]


def _description(models: Sequence[Model]) -> str:
    """Return a sentence on the networks, with what each of them has."""
    kinds = Counter(map(_layers_of, models))
    count = f"{sum(one.n_parameters for one in models):,} parameters."
    if len(models) == 1:
        (kind,) = kinds
        return f"A neural network{f' with {kind}' if kind else ''}, {count}"
    mean = f"The mean of {len(models)} neural networks"
    if len(kinds) == 1:
        (kind,) = kinds
        return f"{mean}{f' with {kind} each' if kind else ''}, {count}"
    parts = [f"{number} with {kind or 'other layers'}" for kind, number in kinds.items()]
    return f"{mean}: {'; '.join(parts)}; {count}"


def _layers_of(model: Model) -> str:
    """Return the number of hidden layers and their activations; "" without a dense layer."""
    layers = model.network.layers
    functions = dict.fromkeys(each.function for each in layers if isinstance(each, Activation))
    hidden = sum(isinstance(each, Dense) for each in layers) - 1
    if hidden < 0:
        return ""
    activation = f" ({', '.join(functions)})" if functions else ""
    return f"{hidden} hidden layer{'s' * (hidden != 1)}{activation}"
