"""Augmentations in sequence, bound to the layout of the samples and to the device."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anynet.augment.common import Layout
from anynet.augment.pixels import Mixup
from anynet.augment.warp import Warp
from anynet.backends import Backend
from anynet.checks import accepts_call, is_whole
from anynet.config import named_or_given, registered
from anynet.errors import InvalidArgumentError
from anynet.typing import Array, Key

AUGMENTATIONS: Mapping[str, Any] = registered("augmentation")

PURPOSE = 2**16  # of the first part's draws: layers count from 0


@dataclass(frozen=True)
class Pipeline:
    """The augmentations of a training step; a hashable value, like the step.

    Parameters
    ----------
    parts : tuple
        Each ``(images, labels, layout, *, backend, key) -> images``.
    layout : Layout
    mixup : Mixup, optional
        Comes last.
    seed : Array of shape (), int32, optional
        One seed for all members of a population, instead of their own.
    """

    parts: tuple[Any, ...]
    layout: Layout
    mixup: Mixup | None = None
    seed: Any = None

    @classmethod
    def of(cls, augmentations: Sequence[Any], layout: Layout, backend: Backend) -> Pipeline:
        """Bind augmentations; consecutive deformations sample the images once."""
        parts: list[Any] = []
        mixups = [one for one in augmentations if isinstance(one, Mixup)]
        if len(mixups) > 1:
            message = f"there can be only one Mixup, got {len(mixups)}"
            raise InvalidArgumentError(message)
        others = [one for one in augmentations if not isinstance(one, Mixup)]
        for deforms, group in itertools.groupby(others, lambda one: hasattr(one, "coefficients")):
            some = tuple(group)
            parts += [Warp.of(some, layout, backend)] if deforms else some
        return cls(tuple(parts), layout, mixups[0].bound(backend) if mixups else None)

    @property
    def augmentations(self) -> tuple[Any, ...]:
        """The augmentations, in the order in which they are applied."""
        listed: list[Any] = []
        for part in self.parts:
            listed += part.deformations if isinstance(part, Warp) else [part]
        return (*listed, Mixup(self.mixup.alpha)) if self.mixup is not None else tuple(listed)

    def __call__(
        self, x: Array, labels: Any, *, backend: Backend, key: Key
    ) -> tuple[Array, Array | None]:
        """Return new versions of the samples.

        Parameters
        ----------
        x : Array of shape (B, I) or (*P, B, I)
            In their own dtype.
        labels : Array of shape (B, …) or (*P, B, …)
            The targets.
        key : Key
            The seeds (*P,) and the step; the same key makes the same samples.

        Returns
        -------
        x : Array of shape (*P, B, I)
        share : Array of shape (*P,) or None
            The weight of the sample itself in each mixture; the rest is the sample at the same
            distance from the other end of the batch. None without mixup.
        """
        if self.seed is not None:
            key = key._replace(seed=self.seed)
        for index, part in enumerate(self.parts):
            x = part(x, labels, self.layout, backend=backend, key=key.at(PURPOSE + index))
        if self.mixup is None:
            return x, None
        return self.mixup(x, backend=backend, key=key.at(PURPOSE + len(self.parts)))


def as_augmentations(given: Any) -> tuple[Any, ...]:
    """Return a tuple of augmentations from one, several, or a string of names.

    Raises
    ------
    InvalidArgumentError
        If a name is unknown, or an object is not an augmentation.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        given = [name.strip() for name in given.split(",") if name.strip()]
    listed = given if isinstance(given, Sequence) else (given,)
    return tuple(
        named_or_given("augmentation", each, _is_augmentation, "Elastic()", "augment")
        for each in listed
    )


def _is_augmentation(given: Any) -> bool:
    known = isinstance(given, Mixup) or hasattr(given, "coefficients")
    return known or accepts_call(given, None, None, None, backend=None, key=None)


def as_pipeline(
    given: Any,
    n_inputs: int,
    image_shape: tuple[int, int] | None,
    backend: Backend,
    *,
    top: float = 1.0,
    task: str = "classes",
) -> Pipeline | None:
    """Return the augmentations as one part of a training step.

    Parameters
    ----------
    given : str, augmentation, sequence of them, or None
    n_inputs : int
        The number of values of a sample.
    image_shape : (int, int) or None
        Rows and columns of an image; None if unknown: then images must be square.
    backend : Backend
    top : float
        The value of full ink.
    task : str
        That of the loss.

    Returns
    -------
    Pipeline or None
        None if there are no augmentations.

    Raises
    ------
    InvalidArgumentError
        If an object is not an augmentation, or cannot be applied to such samples.
    """
    augmentations = as_augmentations(given)
    if not augmentations:
        return None
    of_images = [one.kind for one in augmentations if getattr(one, "needs_images", False)]
    shape = _image_shape(of_images[0], n_inputs, image_shape) if of_images else (1, n_inputs)
    if task != "classes" and any(getattr(one, "halved", ()) for one in augmentations):
        message = f"halved is a tuple of classes, but the targets are {task}: do not pass it"
        raise InvalidArgumentError(message)
    return Pipeline.of(augmentations, Layout(shape, top), backend)


def _image_shape(kind: str, n_inputs: int, given: Any) -> tuple[int, int]:
    """Return rows and columns of an image of ``n_inputs`` values."""
    if given is None:
        side = math.isqrt(n_inputs)
        if side * side == n_inputs:
            return side, side
        message = (
            f"{kind} works on images, and {n_inputs} columns are not a square: pass "
            f"image_shape=(rows, columns) if each sample is an image, or remove {kind}"
        )
        raise InvalidArgumentError(message)
    sides = tuple(given) if isinstance(given, Sequence) else ()
    whole = all(is_whole(side) and side > 0 for side in sides)
    if len(sides) != 2 or not whole or math.prod(sides) != n_inputs:
        message = (
            f"image_shape must be (rows, columns) of the {n_inputs} columns that a sample has, "
            f"got {given!r}"
        )
        raise InvalidArgumentError(message)
    return int(sides[0]), int(sides[1])
