"""One instance of each augmentation, and helpers for their tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet.augment import Affine, Elastic, Erase, Flip, Mixup, Noise, Pipeline, as_pipeline
from anynet.backends import Backend
from anynet.typing import Key

CASES: list[Any] = [
    Affine(rotation=15, shear=10, scale=0.15, shift=2, halved=(1, 7), either=True),
    Elastic(alpha=8, sigma=2),
    Flip(),
    Erase(area=0.4, probability=0.7),
    Noise(),
    Mixup(),
]


def key(backend: Backend, seed: int | tuple[int, ...] = 5, step: int = 3) -> Key:
    """Return the key of the random numbers of one step."""
    words = backend.to_device(np.asarray(seed, dtype=np.int32))
    return Key(words, backend.to_device(np.asarray(step, dtype=np.int32)))


def pipeline(backend: Backend, *augmentations: Any, shape: tuple[int, int] = (8, 8)) -> Pipeline:
    """Bind augmentations to byte images."""
    made = as_pipeline(augmentations, shape[0] * shape[1], shape, backend, top=255.0)
    assert made is not None
    return made


def augmented(
    backend: Backend,
    x: np.ndarray,
    y: np.ndarray,
    *augmentations: Any,
    seed: int | tuple[int, ...] = 5,
    step: int = 3,
    shape: tuple[int, int] = (8, 8),
) -> np.ndarray:
    """Return new versions of the images, on the host."""
    made = pipeline(backend, *augmentations, shape=shape)
    images, labels = backend.to_device(x), backend.to_device(y)
    out, _ = made(images, labels, backend=backend, key=key(backend, seed, step))
    return backend.to_host(out)
