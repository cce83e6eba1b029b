"""Layers, each with its derivative.

A layer is an immutable value with pure functions. ``init`` draws the parameters of one network on
the host (a population stacks several, so a member equals its single run); ``apply`` computes the
output and a pullback. Shapes: x (*P, B, I), or (B, I) shared by all members of a population P;
y (*P, B, O). Every reduction over samples is over axis −2. Layers with state: ``StatefulLayer``.
"""

from collections.abc import Mapping
from typing import Any

from anynet.config import registered
from anynet.nn.layers.categories import Embedding
from anynet.nn.layers.dense import Dense
from anynet.nn.layers.elementwise import Activation, Dropout, Scale
from anynet.nn.layers.ensemble import (
    BatchEnsembleDense,
    EnsembleDense,
    EnsembleInput,
    EnsembleMean,
    EnsembleScale,
)
from anynet.nn.layers.layer import (
    AnyLayer,
    Layer,
    ParameterFree,
    Pullback,
    StatefulLayer,
    is_stateful,
)
from anynet.nn.layers.normalisation import BatchNorm, LayerNorm, Standardize
from anynet.nn.layers.numeric import PBLD, CosineEmbedding, PiecewiseLinearEmbedding
from anynet.nn.layers.parametric import FeatureScale, ParametricActivation
from anynet.nn.layers.piecewise import PiecewiseLinear

LAYERS: Mapping[str, Any] = registered("layer")

__all__ = [
    "LAYERS",
    "PBLD",
    "Activation",
    "AnyLayer",
    "BatchEnsembleDense",
    "BatchNorm",
    "CosineEmbedding",
    "Dense",
    "Dropout",
    "Embedding",
    "EnsembleDense",
    "EnsembleInput",
    "EnsembleMean",
    "EnsembleScale",
    "FeatureScale",
    "Layer",
    "LayerNorm",
    "ParameterFree",
    "ParametricActivation",
    "PiecewiseLinear",
    "PiecewiseLinearEmbedding",
    "Pullback",
    "Scale",
    "Standardize",
    "StatefulLayer",
    "is_stateful",
]
