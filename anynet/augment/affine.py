"""Affine deformations: rotation, shear, scale and shift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.augment.checks import LARGEST_DISPLACEMENT, check_strength
from anynet.augment.draws import uniform
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import per_member
from anynet.typing import Array


@dataclass(frozen=True)
class Affine:
    """Rotate, shear, scale and shift each image by amounts of its own, about its centre.

    Each amount is drawn evenly between minus and plus its bound.

    Parameters
    ----------
    rotation : float
        Degrees, below 90.
    shear : float
        Degrees by which upright lines are slanted, below 90.
    scale : float
        Share by which height and width, each on its own, grow or shrink, below 1.
    shift : float
        Pixels, down and to the right, each on its own.
    halved : tuple of int
        Classes that are rotated and sheared by half of these at most.
    either : bool
        Whether an image is rotated or sheared, by the toss of a coin, and never both.

    Notes
    -----
    Cireşan et al. 2010, "Deep, Big, Simple Neural Nets for Handwritten Digit Recognition", is
    ``Affine(rotation=15, shear=15, scale=0.15, shift=0, halved=(1, 7), either=True)``, with 0.2 as
    its larger scale.
    """

    kind: ClassVar[str] = "affine"
    needs_images: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ("rotation", "shear", "scale", "shift")

    rotation: float = 10.0
    shear: float = 0.0
    scale: float = 0.1
    shift: float = 1.0
    halved: tuple[int, ...] = ()
    either: bool = False

    def __post_init__(self) -> None:
        check_strength("rotation", self.rotation, below=90, unit="degrees")
        check_strength("shear", self.shear, below=90, unit="degrees")
        check_strength("scale", self.scale, below=1)
        check_strength("shift", self.shift, at_most=LARGEST_DISPLACEMENT, unit="pixels")
        if not isinstance(self.halved, tuple) or any(type(c) is not int for c in self.halved):
            message = f"halved must be a tuple of classes such as (1, 7), got {self.halved!r}"
            raise InvalidArgumentError(message)

    def basis(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the fields that are mixed, (3, H·W): everywhere 1, and y and x from the centre."""
        height, width = shape
        y, x = np.mgrid[:height, :width].reshape(2, -1)
        return np.stack([np.ones(height * width), y - (height - 1) / 2, x - (width - 1) / 2])

    def words(self, fields: int) -> int:
        """Return how many random words an image takes."""
        del fields
        return 7

    def coefficients(self, bits: Array, labels: Any, fields: int, backend: Backend) -> Array:
        """Return how much of each field is in the displacement, (*P, 2, B, 3): y, then x."""
        del fields
        xp = backend.xp
        drawn = uniform(bits, backend) * 2.0 - 1.0
        angle, slant, up, across, down, right, coin = (drawn[..., i, :] for i in range(7))

        def bounded(draw: Array, bound: Any, unit: float = 1.0) -> Array:
            return draw * (per_member(bound, draw, xp) * unit)

        angle = bounded(angle, self.rotation, math.pi / 180)
        slant = bounded(slant, self.shear, math.pi / 180)
        if self.halved:
            gentle = labels == self.halved[0]
            for label in self.halved[1:]:
                gentle = gentle | (labels == label)
            factor = 1.0 - 0.5 * xp.astype(gentle, backend.float_dtype)
            angle, slant = angle * factor, slant * factor
        if self.either:
            rotates = xp.astype(coin > 0, backend.float_dtype)
            angle, slant = angle * rotates, slant * (1.0 - rotates)
        cosine, sine, tangent = xp.cos(angle), xp.sin(angle), xp.sin(slant) / xp.cos(slant)
        tall, wide = (
            1.0 / (1.0 + bounded(up, self.scale)),
            1.0 / (1.0 + bounded(across, self.scale)),
        )
        # Where a pixel's value comes from: turned back, then straightened, then scaled back.
        y = [bounded(down, self.shift), cosine * tall - 1.0, -sine * tall]
        x = [
            bounded(right, self.shift),
            (sine - tangent * cosine) * wide,
            (cosine + tangent * sine) * wide - 1.0,
        ]
        both: Array = xp.stack([xp.stack(y, axis=-1), xp.stack(x, axis=-1)], axis=-3)
        return both
