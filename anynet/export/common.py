"""Common code of exports: packages, layers on the host, export forms, folded affine layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

import numpy as np

from anynet import checks, tree
from anynet.errors import BackendError, InvalidArgumentError
from anynet.nn import (
    BatchNorm,
    Dense,
    Dropout,
    FeatureScale,
    LayerNorm,
    Loss,
    Scale,
    Standardize,
)
from anynet.nn.layers import AnyLayer
from anynet.training.model import Model

AFFINE = (Scale, FeatureScale, Standardize)
LINKS = ("softmax", "logistic", "identity", "exp")
INSTALL = {"onnx": "onnx", "sklearn": "scikit-learn", "torch": "torch"}


def require(module: str) -> Any:
    """Import a module of a package that may not be installed.

    Raises
    ------
    BackendError
        If it is missing or does not import; the message names the command that installs it.
    """
    return checks.require(module, "this", INSTALL[module.partition(".")[0]], BackendError)


def check_model(model: Any) -> None:
    """Refuse what is not a model.

    Raises
    ------
    InvalidArgumentError
        The message names the type, and the conversion to use.
    """
    if isinstance(model, Model):
        return
    advice = ": pass its to_model()" if hasattr(model, "to_model") else ""
    message = f"model must be a Model, as fit returns it, got {type(model).__name__}{advice}"
    raise InvalidArgumentError(message)


def own_form(part: Any, name: str, target: str, what: str) -> Any:
    """Return the export form of a user-defined part, an attribute of the part.

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
    form = getattr(part.layer if isinstance(part, OwnLayer) else part, name, None)
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


class OwnLayer(NamedTuple):
    """A user-defined layer, which must not be exported as the layer that it inherits from."""

    layer: AnyLayer
    kind: str


class Piece(NamedTuple):
    """A layer with its index in the network, its parameters and its state on the host."""

    position: int
    layer: Any  # of anynet.nn, or an OwnLayer
    params: dict[str, np.ndarray]
    state: dict[str, np.ndarray]


class Affine(NamedTuple):
    """factor · x + offset, with a number or one for each feature (I,)."""

    factor: Any
    offset: Any


def _exported(layer: AnyLayer) -> Any:
    return layer if type(layer).__module__.startswith("anynet.nn.") else OwnLayer(layer, layer.kind)


def host_pieces(model: Model) -> list[Piece]:
    """Return the layers of a model with copies of their arrays as NumPy arrays.

    The weights of dense layers are those of x W + b, without the factor of ``ntk``.
    """
    check_model(model)
    layers, params = model.network.layers, model.params
    states = model.states or ({},) * len(layers)
    rows: Any = tree.map(lambda leaf: np.array(model.backend.to_host(leaf)), (params, states))
    pieces = []
    for index, (layer, own, state) in enumerate(zip(layers, *rows, strict=True)):
        exported = _exported(layer)
        if isinstance(exported, Dense) and exported.ntk:
            exported = replace(exported, ntk=False)
            own["weight"] *= len(own["weight"]) ** -0.5
        pieces.append(Piece(index, exported, own, state))
    return pieces


def fold_affine(pieces: list[Piece], kinds: tuple[type, ...] = AFFINE) -> list[Piece]:
    """Return pieces that compute the same at inference without layers of some kinds.

    A layer s x + t becomes part of the layer before it, s (x W + b) + t = x (W s) + (b s + t), or
    of the dense layer after it, (s x + t) W + b = x (s W) + (t W + b), where s and t hold one
    number for each feature. Dropout, which is not exported, may lie in between.

    Parameters
    ----------
    pieces : list of Piece
    kinds : tuple of type
        Of Scale, FeatureScale, Standardize and BatchNorm.

    Raises
    ------
    InvalidArgumentError
        If such a layer has neither neighbour.
    """
    folded: list[Piece] = []
    pending: Affine | None = None
    origin = pieces[0] if pieces else None
    for piece in pieces:
        layer = piece.layer
        if isinstance(layer, kinds):
            own = _affine(piece)
            before = _last_affine(folded)
            if pending is not None:
                offset = own.factor * pending.offset + own.offset
                pending = Affine(own.factor * pending.factor, offset)
            elif before is None:
                pending, origin = own, piece
            else:
                folded[before] = _scaled_after(folded[before], own)
        elif isinstance(layer, Dense):
            folded.append(piece if pending is None else _scaled_before(piece, pending))
            pending = None
        elif isinstance(layer, Dropout) or pending is None:
            folded.append(piece)
        else:
            _refuse(origin, f"layer {piece.position} ({layer.kind}) comes next")
    if pending is not None:
        _refuse(origin, "no layer comes after it")
    return folded


def _affine(piece: Piece) -> Affine:
    """Return what an affine layer computes at inference, in float64."""
    layer = piece.layer
    params, state = tree.map(np.float64, (piece.params, piece.state))
    if isinstance(layer, Standardize):
        return Affine(state["scale"], -state["mean"] * state["scale"])
    if isinstance(layer, BatchNorm):
        factor = params["gain"] / np.sqrt(state["variance"] + layer.epsilon)
        return Affine(factor, params["bias"] - state["mean"] * factor)
    if isinstance(layer, FeatureScale):
        return Affine(params["gain"], 0.0)
    assert isinstance(layer, Scale)
    return Affine(layer.factor, layer.offset)


def _scaled_after(piece: Piece, affine: Affine) -> Piece:
    """Return a layer followed by an affine one as a layer."""
    scaled = {name: array * affine.factor for name, array in piece.params.items()}
    return _with_params(piece, scaled | {"bias": scaled["bias"] + affine.offset})


def _scaled_before(piece: Piece, affine: Affine) -> Piece:
    """Return an affine layer followed by a dense one as a dense layer."""
    weight, bias = piece.params["weight"], piece.params["bias"]
    factor, offset = (np.broadcast_to(each, len(weight)) for each in affine)
    return _with_params(piece, {"weight": weight * factor[:, None], "bias": bias + offset @ weight})


def _with_params(piece: Piece, params: dict[str, np.ndarray]) -> Piece:
    dtypes = {name: array.dtype for name, array in piece.params.items()}
    return piece._replace(params={name: a.astype(dtypes[name]) for name, a in params.items()})


def _last_affine(pieces: list[Piece]) -> int | None:
    """Return the index of the last piece that has a bias, if only dropout follows it."""
    for index in range(len(pieces) - 1, -1, -1):
        layer = pieces[index].layer
        if not isinstance(layer, Dropout):
            return index if isinstance(layer, (Dense, LayerNorm, BatchNorm)) else None
    return None


def _refuse(piece: Piece | None, why: str) -> NoReturn:
    assert piece is not None
    message = (
        f"layer {piece.position} ({piece.layer.kind}) cannot become part of a dense layer, because "
        f"{why}: scale the data instead, and train a network without it"
    )
    raise InvalidArgumentError(message)
