"""Augmentations in sequence, bound to the images and the device that they work on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anynet.backends import Backend
from anynet.data.augment.warp import Warp
from anynet.typing import Array, Key

PURPOSE = 2**16  # of the first part's draws: layers count from 0


@dataclass(frozen=True)
class Pipeline:
    """``(images, labels) -> images``: what a training step does to its samples.

    A hashable value, as the step that holds it.

    Parameters
    ----------
    parts : tuple
        Each ``(images, labels, *, backend, key) -> images``.
    """

    parts: tuple[Any, ...]

    @classmethod
    def of(
        cls, augmentations: Sequence[Any], image_shape: tuple[int, int], backend: Backend
    ) -> Pipeline:
        """Bind augmentations; deformations that follow one another sample the images once."""
        parts: list[Any] = []
        for deforms, group in itertools.groupby(
            augmentations, lambda one: hasattr(one, "coefficients")
        ):
            some = tuple(group)
            parts += [Warp.of(some, image_shape, backend)] if deforms else some
        return cls(tuple(parts))

    def __call__(self, images: Array, labels: Any, *, backend: Backend, key: Key) -> Array:
        """Return new versions of the images.

        Parameters
        ----------
        images : Array of shape (B, I) or (*P, B, I)
            In their own dtype.
        labels : Array of shape (B, …) or (*P, B, …)
            The targets.
        key : Key
            The seeds (*P,) and the step; the same key makes the same images.

        Returns
        -------
        Array of shape (*P, B, I)
        """
        for index, part in enumerate(self.parts):
            images = part(images, labels, backend=backend, key=key.at(PURPOSE + index))
        return images
