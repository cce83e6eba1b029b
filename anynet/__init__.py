"""anynet: fully connected networks that train on whatever arrays you have."""

import importlib
from typing import TYPE_CHECKING, Any

from anynet import augment, export
from anynet.backends import Backend, BackendStatus, available_backends, get_backend, set_threads
from anynet.data import (
    Dataset,
    Preprocessing,
    Source,
    Table,
    load_dataset,
    load_table,
    open_data,
    read_table,
)
from anynet.errors import (
    AnynetError,
    BackendError,
    CheckpointError,
    DataError,
    DivergedError,
    InvalidArgumentError,
    ModelFileError,
    TrainingInterrupted,
)
from anynet.nn import Network, mlp
from anynet.training import (
    Checkpoints,
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
    predict_augmented,
    resume,
)

if TYPE_CHECKING:
    from anynet.estimators import MLPClassifier, MLPRegressor, PopulationSearchCV

__version__ = "0.1.0"

__all__ = [
    "AnynetError",
    "Backend",
    "BackendError",
    "BackendStatus",
    "CheckpointError",
    "Checkpoints",
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
    "Preprocessing",
    "Progress",
    "Source",
    "Table",
    "TrainingInterrupted",
    "augment",
    "available_backends",
    "cross_validate",
    "export",
    "fit",
    "fit_population",
    "get_backend",
    "load",
    "load_dataset",
    "load_table",
    "mlp",
    "open_data",
    "predict_augmented",
    "read_table",
    "resume",
    "set_threads",
]


def __getattr__(name: str) -> Any:
    """Import the estimators, and with them scikit-learn, when they are first asked for."""
    if name in ("MLPClassifier", "MLPRegressor", "PopulationSearchCV"):
        return getattr(importlib.import_module("anynet.estimators"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
