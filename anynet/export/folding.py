"""Scale layers folded into their neighbours, for libraries that have no such layer."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

import numpy as np

from anynet.errors import InvalidArgumentError
from anynet.nn import Dense, Dropout, LayerNorm, Scale
from anynet.nn.layers import Layer
from anynet.training.model import Model


class Piece(NamedTuple):
    """A layer with its place in the network, and its parameters on the host."""

    place: int
    layer: Layer
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

    A factor goes into the parameters of the layer before it, s (x W + b) = x (s W) + s b, or
    into the weight of the dense layer after it, (s x) W = x (s W). Dropout lets it pass.

    Raises
    ------
    InvalidArgumentError
        If a factor has neither neighbour.
    """
    folded: list[Piece] = []
    factor, origin = 1.0, 0
    for piece in pieces:
        index, layer, params = piece
        if isinstance(layer, Scale):
            before = _last_affine(folded)
            if before is None or factor != 1:
                factor, origin = factor * layer.factor, index
            else:
                scaled = {name: a * layer.factor for name, a in folded[before].params.items()}
                folded[before] = folded[before]._replace(params=scaled)
        elif isinstance(layer, Dense):
            folded.append(piece._replace(params={**params, "weight": params["weight"] * factor}))
            factor = 1.0
        elif isinstance(layer, Dropout) or factor == 1:
            folded.append(piece)
        else:
            _refuse(origin, f"layer {index} ({layer.kind}) comes next")
    if factor != 1:
        _refuse(origin, "no layer comes after it")
    return folded


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
