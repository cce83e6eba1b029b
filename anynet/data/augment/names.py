"""Augmentations by their names, and from what users give to what a step holds."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

from anynet.backends import Backend
from anynet.data.augment.affine import Affine
from anynet.data.augment.elastic import Elastic
from anynet.data.augment.pipeline import Pipeline
from anynet.errors import InvalidArgumentError

AUGMENTATIONS: dict[str, Any] = {each.kind: each for each in (Affine, Elastic)}


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
    given: Any, n_inputs: int, image_shape: tuple[int, int] | None, backend: Backend
) -> Pipeline | None:
    """Return what a step does to samples of ``n_inputs`` pixels; None for nothing.

    Parameters
    ----------
    image_shape : (int, int) or None
        Rows and columns of an image; None where they are not known, then it must be a square.

    Raises
    ------
    InvalidArgumentError
        If it is no augmentation, or the samples are no images of that shape.
    """
    augmentations = as_augmentations(given)
    if not augmentations:
        return None
    if image_shape is None:
        side = math.isqrt(n_inputs)
        image_shape = (side, side)
        hint = "give image_shape=(rows, columns) if they are images that are no squares"
    else:
        hint = "image_shape must be (rows, columns)"
    if math.prod(image_shape) != n_inputs:
        message = (
            f"{augmentations[0].kind} deforms images, but samples have {n_inputs} columns, which "
            f"make no image of {image_shape[0]} x {image_shape[1]}: {hint}"
        )
        raise InvalidArgumentError(message)
    return Pipeline.of(augmentations, image_shape, backend)
