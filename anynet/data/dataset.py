"""What a data set is to the rest of the house."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Samples and their labels."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set of labelled samples in host memory, as it came: unscaled, in its own type.

    Attributes
    ----------
    name : str
        The name it was asked for by, or that of its file or folder.
    train : tuple of ndarray
        ``x`` of shape (N, features) in its own type (bytes stay uint8), and ``y`` of shape (N,),
        int64 class labels from 0.
    test : tuple of ndarray
        The same for the test set. No training decision may look at it.
    classes : tuple of str
        The names of the classes; a label is an index into it.
    scale : float
        What multiplies ``x`` to reach [0, 1]: 1/255 for bytes, 1/16 for the digits of
        scikit-learn, 1.0 for floating point.
    image_shape : tuple of int or None
        Rows and columns of one image, ``features = rows * columns``; None when the samples are no
        images.
    image_box : int or None
        The longest side, in pixels, of the box around the ink: 20 of 28 in MNIST and EMNIST, which
        centre the ink in a margin. A drawing must be brought to this size to look like the rest.
    """

    name: str
    train: Arrays
    test: Arrays
    classes: tuple[str, ...]
    scale: float
    image_shape: tuple[int, int] | None
    image_box: int | None
