"""Augmentation: new versions of the samples in every epoch, made on the device inside the step.

Each augmentation is a frozen dataclass of its strengths. All randomness comes from
``Backend.random_bits``, by the seed and the step: a run repeats its images, on every backend.
``preprocess`` is what is done once, on the host, to the samples of training and prediction alike.
"""

from anynet.augment.affine import Affine
from anynet.augment.elastic import Elastic
from anynet.augment.mixup import Mixup
from anynet.augment.names import AUGMENTATIONS, as_pipeline
from anynet.augment.pipeline import Pipeline
from anynet.augment.pixels import Erase, Flip, Noise
from anynet.augment.preprocess import Deslant, NormaliseWidth, preprocess

__all__ = [
    "AUGMENTATIONS",
    "Affine",
    "Deslant",
    "Elastic",
    "Erase",
    "Flip",
    "Mixup",
    "Noise",
    "NormaliseWidth",
    "Pipeline",
    "as_pipeline",
    "preprocess",
]
