"""Training: from a network and data to a model."""

from anynet.training.fit import fit
from anynet.training.history import Callback, EpochRecord, History, Progress
from anynet.training.model import Model, load

__all__ = ["Callback", "EpochRecord", "History", "Model", "Progress", "fit", "load"]
