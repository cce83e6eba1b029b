"""Networks: layers, activations, initial weights, losses and metrics, in the array API alone."""

from anynet.nn.activations import ACTIVATIONS
from anynet.nn.layers import LAYERS, Activation, Dense, Dropout, LayerNorm, Scale
from anynet.nn.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    Poisson,
    SquaredError,
)
from anynet.nn.network import Network, mlp

__all__ = [
    "ACTIVATIONS",
    "LAYERS",
    "LOSSES",
    "AbsoluteError",
    "Activation",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Huber",
    "LayerNorm",
    "Loss",
    "Network",
    "Poisson",
    "Scale",
    "SquaredError",
    "mlp",
]
