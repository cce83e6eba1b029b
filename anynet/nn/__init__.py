"""Networks: layers, activations, initial weights, losses and metrics, in the array API alone."""

from anynet.nn.activations import ACTIVATIONS
from anynet.nn.layers import (
    LAYERS,
    PBLD,
    Activation,
    BatchNorm,
    CosineEmbedding,
    Dense,
    Dropout,
    Embedding,
    FeatureScale,
    Layer,
    LayerNorm,
    ParameterFree,
    ParametricActivation,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
    Scale,
    Standardize,
    StatefulLayer,
)
from anynet.nn.layers.dense import form_gradients
from anynet.nn.layers.initializers import BIAS_INITIALIZERS, INITIALIZERS
from anynet.nn.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    Poisson,
    SquaredError,
    ValueLoss,
)
from anynet.nn.network import Network
from anynet.nn.perceptron import mlp

__all__ = [
    "ACTIVATIONS",
    "BIAS_INITIALIZERS",
    "INITIALIZERS",
    "LAYERS",
    "LOSSES",
    "PBLD",
    "AbsoluteError",
    "Activation",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CosineEmbedding",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Embedding",
    "FeatureScale",
    "Huber",
    "Layer",
    "LayerNorm",
    "Loss",
    "Network",
    "ParameterFree",
    "ParametricActivation",
    "PiecewiseLinear",
    "PiecewiseLinearEmbedding",
    "Poisson",
    "Scale",
    "SquaredError",
    "Standardize",
    "StatefulLayer",
    "ValueLoss",
    "form_gradients",
    "mlp",
]
