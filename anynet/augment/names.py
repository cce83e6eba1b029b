"""Augmentations by their names, and from what users give to what a step holds."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anynet.augment.affine import Affine
from anynet.augment.elastic import Elastic
from anynet.augment.layout import Layout
from anynet.augment.mixup import Mixup
from anynet.augment.pipeline import Pipeline
from anynet.augment.pixels import Erase, Flip, Noise
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError

AUGMENTATIONS: dict[str, Any] = {
    each.kind: each for each in (Affine, Elastic, Flip, Erase, Noise, Mixup)
}


def as_augmentations(given: Any) -> tuple[Any, ...]:
    """Return augmentations from one, several, or their names with commas between.

    Raises
    ------
    InvalidArgumentError
        If a name is unknown, or something is no augmentation.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        given = [name.strip() for name in given.split(",") if name.strip()]
    listed = given if isinstance(given, Sequence) else (given,)
    return tuple(_one(each) for each in listed)


def _one(given: Any) -> Any:
    if isinstance(given, str):
        if given not in AUGMENTATIONS:
            near = difflib.get_close_matches(given, AUGMENTATIONS, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            message = f"augment must be of {', '.join(AUGMENTATIONS)}, got {given!r}{hint}"
            raise InvalidArgumentError(message)
        return AUGMENTATIONS[given]()
    if isinstance(given, type) or getattr(given, "kind", None) not in AUGMENTATIONS:
        message = f"augment must be names, or objects such as Elastic(), got {given!r}"
        raise InvalidArgumentError(message)
    return given


def as_pipeline(
    given: Any,
    n_inputs: int,
    image_shape: tuple[int, int] | None,
    backend: Backend,
    *,
    top: float = 1.0,
    task: str = "classes",
) -> Pipeline | None:
    """Return what a step does to samples of ``n_inputs`` values; None for nothing.

    Parameters
    ----------
    image_shape : (int, int) or None
        Rows and columns of an image; None where they are not known, then it must be a square.
    top : float
        The value of full ink.
    task : str
        That of the loss.

    Raises
    ------
    InvalidArgumentError
        If it is no augmentation, or not one for such samples.
    """
    augmentations = as_augmentations(given)
    if not augmentations:
        return None
    of_images = next((one.kind for one in augmentations if one.needs_images), None)
    shape = (1, n_inputs)
    if of_images is not None:
        shape = _image_shape(of_images, n_inputs, image_shape)
    if task != "classes" and any(getattr(one, "halved", ()) for one in augmentations):
        message = f"halved names classes, but the targets are {task}: leave it out"
        raise InvalidArgumentError(message)
    return Pipeline.of(augmentations, Layout(shape, top), backend)


def _image_shape(kind: str, n_inputs: int, given: Any) -> tuple[int, int]:
    """Return rows and columns of an image of ``n_inputs`` values."""
    if given is None:
        side = math.isqrt(n_inputs)
        if side * side == n_inputs:
            return side, side
        message = (
            f"{kind} works on images, and {n_inputs} columns make no square: give "
            f"image_shape=(rows, columns) if each sample is an image, or leave {kind} out"
        )
        raise InvalidArgumentError(message)
    sides = tuple(given) if isinstance(given, Sequence) else ()
    whole = all(isinstance(side, (int, np.integer)) and side > 0 for side in sides)
    if len(sides) != 2 or not whole or math.prod(sides) != n_inputs:
        message = (
            f"image_shape must be (rows, columns) of the {n_inputs} columns that a sample has, "
            f"got {given!r}"
        )
        raise InvalidArgumentError(message)
    return int(sides[0]), int(sides[1])
