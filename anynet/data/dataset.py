"""What a data set is to the rest of the house."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from anynet.augment.preprocess import to_config

if TYPE_CHECKING:
    from anynet.data.tables.preprocessing import Preprocessing

#: Names in the metadata of a model: how its table is encoded, and which rows were held out.
TABLE, SPLIT = "table", "split"
IMAGE_STEPS = "preprocess"  # and what was done to its images

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Samples and their labels."""


def grey_shape(sample_shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return rows and columns of samples that are grey images, None for other samples.

    Images have the shape (rows, columns), or one channel: (rows, columns, 1) or (1, rows, columns).
    """
    if len(sample_shape) == 3 and sample_shape[2] == 1:
        sample_shape = sample_shape[:2]
    elif len(sample_shape) == 3 and sample_shape[0] == 1:
        sample_shape = sample_shape[1:]
    return (int(sample_shape[0]), int(sample_shape[1])) if len(sample_shape) == 2 else None


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set of labelled samples, as it came: unscaled, in its own type.

    Attributes
    ----------
    name : str
        The name it was asked for by, or that of its file or folder.
    train : tuple of ndarray
        ``x`` of shape (N, features) in its own type (bytes stay uint8), and ``y`` of shape (N,),
        int64 class labels from 0, or standardised float64 values of a table. In place of an array
        ``x`` may be a `Source`, which is read from disk.
    test : tuple of ndarray
        The same for the test set. No training decision may look at it.
    classes : tuple of str
        The names of the classes; a label is an index into it. None where values are predicted.
    scale : float
        What multiplies ``x`` to reach [0, 1]: 1/255 for bytes, 1/16 for the digits of
        scikit-learn, 1.0 for floating point.
    image_shape : tuple of int or None
        Rows and columns of one image, ``features = rows * columns``; None when the samples are no
        images.
    image_box : int or None
        The longest side, in pixels, of the box around the ink: 20 of 28 in MNIST and EMNIST, which
        centre the ink in a margin. A drawing must be brought to this size to look like the rest.
    image_centred : bool
        Of a data set that is not published: whether its images have ink of one size with its centre
        of mass in the middle, as MNIST's.
    image_shades : tuple of float or None
        Values of the background and of full ink, where these are not 0 and 1 / scale: images that
        are dark on light, or have negative values.
    preprocessing : Preprocessing or None
        Of a table: what makes ``x`` of raw rows, and names of classes or values of predictions.
    notes : tuple of str
        What people should know of how it was read.
    split : dict or None
        How the test set was drawn from a table's file: its sha256, the share and the seed.
    image_steps : tuple
        What ``anynet.augment.preprocess`` did to the images.
    """

    name: str
    train: tuple[Any, npt.NDArray[Any]]
    test: tuple[Any, npt.NDArray[Any]]
    classes: tuple[str, ...]
    scale: float
    image_shape: tuple[int, int] | None
    image_box: int | None
    preprocessing: "Preprocessing | None" = None
    notes: tuple[str, ...] = ()
    split: dict[str, Any] | None = None
    image_steps: tuple[Any, ...] = ()
    image_centred: bool = False
    image_shades: tuple[float, float] | None = None

    @property
    def n_inputs(self) -> int:
        """The features of a sample."""
        return int(self.train[0].shape[1])

    @property
    def n_outputs(self) -> int:
        """The outputs that a network for it has: one a class, or one value."""
        return len(self.classes) or 1

    @property
    def metadata(self) -> dict[str, Any]:
        """What a model must know of its data to predict more of the kind, JSON-able."""
        image: dict[str, Any] | None = None
        if self.image_shape is not None:
            image = {"shape": list(self.image_shape), "box": self.image_box}
            if self.image_centred:
                image["centred"] = True
            if self.image_shades is not None:
                image["shades"] = list(self.image_shades)
        known: dict[str, Any] = {
            "dataset": self.name,
            "classes": list(self.classes) or None,
            "image": image,
            "scale": self.scale,
        }
        if self.image_steps:
            known[IMAGE_STEPS] = to_config(self.image_steps)
        if self.preprocessing is None:
            return known
        return known | {TABLE: self.preprocessing.to_config(), SPLIT: self.split}
