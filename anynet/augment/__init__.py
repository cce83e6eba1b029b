"""Augmentation: new versions of the samples in every epoch, made on the device inside the step.

Each augmentation is a frozen dataclass of its strengths. All random numbers come from
``Backend.random_bits`` and depend on the seed and the step: a repeated run makes the same samples,
on every backend. ``preprocess`` is applied once, on the host, before training and prediction.
"""

from anynet.augment.common import Layout, normal, uniform
from anynet.augment.deformations import Affine, Elastic
from anynet.augment.pipeline import AUGMENTATIONS, Pipeline, as_pipeline
from anynet.augment.pixels import Erase, Flip, Mixup, Noise
from anynet.augment.preprocess import Deslant, NormaliseWidth, preprocess

__all__ = [
    "AUGMENTATIONS",
    "Affine",
    "Deslant",
    "Elastic",
    "Erase",
    "Flip",
    "Layout",
    "Mixup",
    "Noise",
    "NormaliseWidth",
    "Pipeline",
    "as_pipeline",
    "normal",
    "preprocess",
    "uniform",
]
