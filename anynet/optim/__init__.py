"""Optimizers, schedules and the transformations around an update, in the array API alone."""

from anynet.optim.groups import Group
from anynet.optim.lasting import Cosine, CosLog4, FlatCos, OneCycle, for_run
from anynet.optim.muon import Muon
from anynet.optim.optimizers import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    as_optimizer,
    bound_to,
)
from anynet.optim.schedules import (
    SCHEDULES,
    Constant,
    Exponential,
    InverseScaling,
    ReduceOnPlateau,
    Schedule,
    Step,
    Warmup,
    as_schedule,
)
from anynet.optim.transformations import (
    clip_by_global_norm,
    limit_weight_norms,
    update_average,
)

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "CosLog4",
    "Cosine",
    "Exponential",
    "FlatCos",
    "Group",
    "InverseScaling",
    "Muon",
    "OneCycle",
    "Optimizer",
    "RMSprop",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "Warmup",
    "as_optimizer",
    "as_schedule",
    "bound_to",
    "clip_by_global_norm",
    "for_run",
    "limit_weight_norms",
    "update_average",
]
