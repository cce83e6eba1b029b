"""anynet: fully connected networks that train on whatever arrays you have."""

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
from anynet.training import EpochRecord, History, Model, Progress, fit, load

__version__ = "0.1.0"

__all__ = [
    "AnynetError",
    "Backend",
    "BackendError",
    "BackendStatus",
    "DataError",
    "Dataset",
    "DivergedError",
    "EpochRecord",
    "History",
    "InvalidArgumentError",
    "Model",
    "ModelFileError",
    "Network",
    "Progress",
    "TrainingInterrupted",
    "available_backends",
    "export",
    "fit",
    "get_backend",
    "load",
    "load_dataset",
    "mlp",
]
