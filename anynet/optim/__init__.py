"""Optimizers, learning-rate schedules, clipping and averaging, in the array API alone."""

from anynet.optim.averaging import update_average
from anynet.optim.clipping import clip_by_global_norm
from anynet.optim.max_norm import limit_weight_norms
from anynet.optim.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, RMSprop
from anynet.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
    Warmup,
    as_schedule,
)

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Exponential",
    "InverseScaling",
    "OneCycle",
    "Optimizer",
    "RMSprop",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "Warmup",
    "as_schedule",
    "clip_by_global_norm",
    "limit_weight_norms",
    "update_average",
]
