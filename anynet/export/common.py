"""What the exports share: packages, layers on the host, forms of own parts, folding of scales."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple, NoReturn

import numpy as np

from anynet.errors import BackendError, InvalidArgumentError
from anynet.nn import Dense, Dropout, LayerNorm, Loss, Scale
from anynet.nn.layers import AnyLayer
from anynet.training.model import Model

LINKS = ("softmax", "logistic", "identity", "exp")
INSTALL = {"onnx": "onnx", "sklearn": "scikit-learn", "torch": "torch"}


def require(module: str) -> Any:
    """Import a module of a package that may not be installed.

    Raises
    ------
    BackendError
        If it is missing or does not import; the message names the command that installs it.
    """
    package = module.partition(".")[0]
    advice = f"pip install {INSTALL[package]}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        message = f"this needs {INSTALL[package]}, which is not installed: {advice}"
        raise BackendError(message) from error
    except Exception as error:  # a broken installation can raise anything on import
        message = f"{INSTALL[package]} is installed but does not import ({error}): {advice}"
        raise BackendError(message) from error


def own_form(part: Any, name: str, target: str, what: str) -> Any:
    """Return the export form that a part of the user's own carries as an attribute.

    Parameters
    ----------
    part : layer or activation
    name : {"to_onnx", "to_torch"}
    target : str
        The library, for the message.
    what : str
        The part, for the message, such as ``"layer 3 (gain)"``.

    Raises
    ------
    InvalidArgumentError
        If it has none.
    """
    form = getattr(part, name, None)
    if form is None:
        message = (
            f"{what} has no form in {target}: define its {name} (see docs/write-your-own.md), or "
            f"train a network without it"
        )
        raise InvalidArgumentError(message)
    return form


def link_name(loss: Loss, target: str) -> str:
    """Return the name of a loss's link: softmax, logistic, identity or exp.

    Raises
    ------
    InvalidArgumentError
        If the loss does not have one.
    """
    name = getattr(loss, "link_name", None)
    if name not in LINKS:
        message = (
            f"the loss {loss.kind} has no link in {target}: set its link_name to one of "
            f"{', '.join(LINKS)}, got {name!r}"
        )
        raise InvalidArgumentError(message)
    return str(name)


class Piece(NamedTuple):
    """A layer with its index in the network, and its parameters on the host."""

    position: int
    layer: AnyLayer
    params: dict[str, np.ndarray]


def host_pieces(model: Model) -> list[Piece]:
    """Return the layers of a model with copies of their parameters as NumPy arrays."""
    return [
        Piece(
            index,
            layer,
            {name: np.array(model.backend.to_host(leaf)) for name, leaf in params.items()},
        )
        for index, (layer, params) in enumerate(
            zip(model.network.layers, model.params, strict=True)
        )
    ]


def fold_scales(pieces: list[Piece]) -> list[Piece]:
    """Return pieces that compute the same without any Scale layer.

    They go into the parameters of the layer before them, s (x W + b) + t = x (s W) + (s b + t), or
    into those of the dense layer after them, (s x + t) W + b = x (s W) + (b + t Σᵢ Wᵢ). Dropout,
    which is left out of what is exported, lets them pass.

    Raises
    ------
    InvalidArgumentError
        If a Scale layer has neither neighbour.
    """
    folded: list[Piece] = []
    pending, origin = Scale(1.0), 0
    for piece in pieces:
        index, layer, params = piece
        if isinstance(layer, Scale):
            before = _last_affine(folded)
            if before is None or pending != Scale(1.0):
                pending, origin = _after(pending, layer), index
            else:
                scaled = {name: a * layer.factor for name, a in folded[before].params.items()}
                scaled["bias"] = scaled["bias"] + layer.offset
                folded[before] = folded[before]._replace(params=scaled)
        elif isinstance(layer, Dense):
            folded.append(piece._replace(params=_after_scale(params, pending)))
            pending = Scale(1.0)
        elif isinstance(layer, Dropout) or pending == Scale(1.0):
            folded.append(piece)
        else:
            _refuse(origin, f"layer {index} ({layer.kind}) comes next")
    if pending != Scale(1.0):
        _refuse(origin, "no layer comes after it")
    return folded


def _after(first: Scale, second: Scale) -> Scale:
    """One layer for two."""
    return Scale(second.factor * first.factor, second.factor * first.offset + second.offset)


def _after_scale(params: dict[str, np.ndarray], scale: Scale) -> dict[str, np.ndarray]:
    """The parameters of a dense layer that does what it did after a Scale layer."""
    weight, bias = params["weight"], params["bias"]
    bias = bias + scale.offset * weight.sum(axis=0) if scale.offset else bias
    return {**params, "weight": weight * scale.factor, "bias": bias}


def _last_affine(pieces: list[Piece]) -> int | None:
    """The place of the last layer that is a matrix or a gain, and a bias, if nothing follows it."""
    for place in range(len(pieces) - 1, -1, -1):
        layer = pieces[place].layer
        if not isinstance(layer, Dropout):
            return place if isinstance(layer, (Dense, LayerNorm)) else None
    return None


def _refuse(index: int, why: str) -> NoReturn:
    message = (
        f"layer {index} (scale) cannot become part of a dense layer, because {why}: "
        f"scale the data instead, and train a network without it"
    )
    raise InvalidArgumentError(message)
