"""anynet: fully connected networks that train on whatever arrays you have."""

import importlib
from typing import TYPE_CHECKING, Any

from anynet import export
from anynet.backends import Backend, BackendStatus, available_backends, get_backend
from anynet.data import Dataset, load_dataset
from anynet.errors import (
    AnynetError,
    BackendError,
    DataError,
    DivergedError,
    InvalidArgumentError,
    ModelFileError,
    TrainingInterrupted,
)
from anynet.nn import Network, mlp
from anynet.training import (
    CrossValidation,
    Ensemble,
    EpochRecord,
    History,
    Model,
    PopulationProgress,
    Progress,
    cross_validate,
    fit,
    fit_population,
    load,
)

if TYPE_CHECKING:
    from anynet.estimators import MLPClassifier, MLPRegressor, PopulationSearchCV

__version__ = "0.1.0"

__all__ = [
    "AnynetError",
    "Backend",
    "BackendError",
    "BackendStatus",
    "CrossValidation",
    "DataError",
    "Dataset",
    "DivergedError",
    "Ensemble",
    "EpochRecord",
    "History",
    "InvalidArgumentError",
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "ModelFileError",
    "Network",
    "PopulationProgress",
    "PopulationSearchCV",
    "Progress",
    "TrainingInterrupted",
    "available_backends",
    "cross_validate",
    "export",
    "fit",
    "fit_population",
    "get_backend",
    "load",
    "load_dataset",
    "mlp",
]


def __getattr__(name: str) -> Any:
    """Import the estimators, and with them scikit-learn, when they are first asked for."""
    if name in ("MLPClassifier", "MLPRegressor", "PopulationSearchCV"):
        return getattr(importlib.import_module("anynet.estimators"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
