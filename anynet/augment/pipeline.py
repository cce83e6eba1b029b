"""Augmentations in sequence, bound to the samples and the device that they work on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anynet.augment.layout import Layout
from anynet.augment.mixup import Mixup
from anynet.augment.warp import Warp
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.typing import Array, Key

PURPOSE = 2**16  # of the first part's draws: layers count from 0


@dataclass(frozen=True)
class Pipeline:
    """What a training step does to its samples; a hashable value, as the step that holds it.

    Parameters
    ----------
    parts : tuple
        Each ``(images, labels, layout, *, backend, key) -> images``.
    layout : Layout
    mixup : Mixup, optional
        Comes last.
    seed : Array of shape (), int32, optional
        Draws for all members of a population alike, in place of their own seeds.
    """

    parts: tuple[Any, ...]
    layout: Layout
    mixup: Mixup | None = None
    seed: Any = None

    @classmethod
    def of(cls, augmentations: Sequence[Any], layout: Layout, backend: Backend) -> Pipeline:
        """Bind augmentations; deformations that follow one another sample the images once."""
        parts: list[Any] = []
        mixups = [one for one in augmentations if isinstance(one, Mixup)]
        if len(mixups) > 1:
            message = "samples can be mixed up once only: give one Mixup"
            raise InvalidArgumentError(message)
        others = [one for one in augmentations if not isinstance(one, Mixup)]
        for deforms, group in itertools.groupby(others, lambda one: hasattr(one, "coefficients")):
            some = tuple(group)
            parts += [Warp.of(some, layout, backend)] if deforms else some
        return cls(tuple(parts), layout, mixups[0].bound(backend) if mixups else None)

    @property
    def augmentations(self) -> tuple[Any, ...]:
        """What it was made of, in the order in which it is done."""
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
            How much of each is the sample itself; the rest is the sample that stands as far from
            the batch's other end. None where nothing is mixed.
        """
        if self.seed is not None:
            key = Key(self.seed, key.step)
        for index, part in enumerate(self.parts):
            x = part(x, labels, self.layout, backend=backend, key=key.at(PURPOSE + index))
        if self.mixup is None:
            return x, None
        return self.mixup(x, backend=backend, key=key.at(PURPOSE + len(self.parts)))
