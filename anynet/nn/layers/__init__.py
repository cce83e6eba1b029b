"""Layers: what each computes, and beside it what each hands back.

A layer is an immutable value with two pure functions. ``init`` draws one network's parameters on
the host (a population stacks several, so that a member is its single run by construction);
``apply`` computes the output and a pullback. Shapes: x (*P, B, I), or (B, I) shared by all
members of a population P; y (*P, B, O). Every reduction over samples is over axis −2.
"""

from collections.abc import Mapping
from typing import Any

from anynet.config import register, registered
from anynet.nn.layers.dense import Dense
from anynet.nn.layers.dropout import Dropout
from anynet.nn.layers.elementwise import Activation, Scale
from anynet.nn.layers.layer import Layer, Pullback
from anynet.nn.layers.layer_norm import LayerNorm

for _layer in (Dense, Activation, Dropout, LayerNorm, Scale):
    register("layer")(_layer)

LAYERS: Mapping[str, Any] = registered("layer")

__all__ = ["LAYERS", "Activation", "Dense", "Dropout", "Layer", "LayerNorm", "Pullback", "Scale"]
