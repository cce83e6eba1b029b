"""What augmentations must know of the samples."""

from __future__ import annotations

from typing import NamedTuple


class Layout(NamedTuple):
    """What the samples are images of.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    top : float
        The value of full ink, 255 in bytes.
    """

    shape: tuple[int, int]
    top: float = 1.0
