"""Augmentation: new versions of the samples in every epoch, made on the device inside the step."""

from anynet.data.augment.affine import Affine
from anynet.data.augment.elastic import Elastic
from anynet.data.augment.names import AUGMENTATIONS, as_pipeline
from anynet.data.augment.pipeline import Pipeline

__all__ = ["AUGMENTATIONS", "Affine", "Elastic", "Pipeline", "as_pipeline"]
