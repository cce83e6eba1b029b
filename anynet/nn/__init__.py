"""Networks: layers, activations, initial weights, losses and metrics, in the array API alone."""

from anynet.nn.activations import ACTIVATIONS
from anynet.nn.layers import (
    LAYERS,
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    ParameterFree,
    PiecewiseLinear,
    Scale,
    Standardize,
    StatefulLayer,
)
from anynet.nn.layers.dense import INITIALIZERS, form_gradients
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
    "INITIALIZERS",
    "LAYERS",
    "LOSSES",
    "AbsoluteError",
    "Activation",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Huber",
    "Layer",
    "LayerNorm",
    "Loss",
    "Network",
    "ParameterFree",
    "PiecewiseLinear",
    "Poisson",
    "Scale",
    "SquaredError",
    "Standardize",
    "StatefulLayer",
    "ValueLoss",
    "form_gradients",
    "mlp",
]
