"""Augmentation: new versions of the samples in every epoch, made on the device inside the step.

Each augmentation is a frozen dataclass of its strengths. All randomness comes from
``Backend.random_bits``, by the seed and the step: a run repeats its images, on every backend.
"""

from anynet.augment.affine import Affine
from anynet.augment.elastic import Elastic
from anynet.augment.mixup import Mixup
from anynet.augment.names import AUGMENTATIONS, as_augmentations, as_pipeline
from anynet.augment.pipeline import Pipeline
from anynet.augment.pixels import Erase, Flip, Noise

__all__ = [
    "AUGMENTATIONS",
    "Affine",
    "Elastic",
    "Erase",
    "Flip",
    "Mixup",
    "Noise",
    "Pipeline",
    "as_augmentations",
    "as_pipeline",
]
