"""Callbacks that record each epoch: in files, for TensorBoard, or with MLflow."""

from anynet.callbacks.files import CSVLogger, JSONLinesLogger
from anynet.callbacks.logger import EpochLogger
from anynet.callbacks.mlflow import MLflowLogger
from anynet.callbacks.tensorboard import TensorBoardLogger

__all__ = [
    "CSVLogger",
    "EpochLogger",
    "JSONLinesLogger",
    "MLflowLogger",
    "TensorBoardLogger",
]
