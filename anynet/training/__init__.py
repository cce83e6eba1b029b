"""Training: from a network and data to a model."""

from anynet.training.calibration import calibrate
from anynet.training.checkpoint import Checkpoints
from anynet.training.checkpoint.resume import resume
from anynet.training.ensemble import Ensemble, load, predict_augmented
from anynet.training.fit import fit
from anynet.training.history import Callback, EpochRecord, History, Progress, StopReason
from anynet.training.model import Model
from anynet.training.options import FitOptions
from anynet.training.population import (
    CrossValidation,
    cross_validate,
    fit_population,
)
from anynet.training.progress import PopulationProgress
from anynet.training.rate_search import RateSearch, find_learning_rate
from anynet.training.selection import OnlineSelection, Selection, select_greedily

__all__ = [
    "Callback",
    "Checkpoints",
    "CrossValidation",
    "Ensemble",
    "EpochRecord",
    "FitOptions",
    "History",
    "Model",
    "OnlineSelection",
    "PopulationProgress",
    "Progress",
    "RateSearch",
    "Selection",
    "StopReason",
    "calibrate",
    "cross_validate",
    "find_learning_rate",
    "fit",
    "fit_population",
    "load",
    "predict_augmented",
    "resume",
    "select_greedily",
]
