"""Data sets of labelled samples, as the readers return them and training takes them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from anynet.augment.preprocess import to_config
from anynet.data.display import Described, shortened
from anynet.errors import printable

if TYPE_CHECKING:
    from anynet.data.tables.preprocessing import Preprocessing

#: Names in the metadata of a model: the encoding of its table, and the rows that were held out.
TABLE, SPLIT = "table", "split"
IMAGE_STEPS = "preprocess"  # and the preprocessing of its images

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Samples and their labels."""


def grey_shape(sample_shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return rows and columns of samples that are grey images, None for other samples.

    Parameters
    ----------
    sample_shape : tuple of int
        (rows, columns), or with one channel (rows, columns, 1) or (1, rows, columns).

    Returns
    -------
    tuple of int or None
        (rows, columns)
    """
    if len(sample_shape) == 3 and sample_shape[2] == 1:
        sample_shape = sample_shape[:2]
    elif len(sample_shape) == 3 and sample_shape[0] == 1:
        sample_shape = sample_shape[1:]
    return (int(sample_shape[0]), int(sample_shape[1])) if len(sample_shape) == 2 else None


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Described):
    """A data set of labelled samples, unscaled and in its own type.

    Attributes
    ----------
    name : str
        The name that was requested, or that of its file or folder.
    train : tuple of ndarray
        ``x`` of shape (N, features) in its own type (bytes stay uint8), and ``y`` of shape (N,),
        int64 class labels from 0, or standardised float64 values of a table. ``x`` may be a
        `Source` instead of an array, which is read from disk.
    test : tuple of ndarray
        The same for the test set, which must not influence any decision of training.
    classes : tuple of str
        The names of the classes; a label is an index into it. Empty for regression.
    scale : float
        Factor that brings ``x`` to [0, 1]: 1/255 for bytes, 1/16 for the digits of scikit-learn,
        1.0 for most floating-point data.
    image_shape : tuple of int or None
        Rows and columns of an image, ``features = rows * columns``; None if the samples are not
        images.
    image_box : int or None
        Longest side, in pixels, of the box around the ink: 20 of 28 in MNIST and EMNIST, which
        centre the ink in a margin. A drawing must be resized to this to look like the samples.
    preprocessing : Preprocessing or None
        For a table: encodes raw rows as ``x``, and decodes predictions.
    notes : tuple of str
        What users should know about how the data were read.
    split : dict or None
        How the test set was drawn from a table's file: its sha256, the share and the seed.
    image_steps : tuple
        The preprocessing of the images, see ``anynet.augment.preprocess``.
    image_centred : bool
        For a data set that is not published: whether its images have ink of one size with its
        centre of mass in the middle, like those of MNIST.
    image_shades : tuple of float or None
        Values of the background and of full ink, if these are not 0 and 1 / scale: for images that
        are dark on light, or have negative values.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> x, y = data.train
    >>> x.shape, y.shape, data.classes[:3]
    ((1438, 64), (1438,), ('0', '1', '2'))
    """

    name: str
    train: tuple[Any, npt.NDArray[Any]]
    test: tuple[Any, npt.NDArray[Any]]
    classes: tuple[str, ...]
    scale: float = 1.0
    image_shape: tuple[int, int] | None = None
    image_box: int | None = None
    preprocessing: "Preprocessing | None" = None
    notes: tuple[str, ...] = ()
    split: dict[str, Any] | None = None
    image_steps: tuple[Any, ...] = ()
    image_centred: bool = False
    image_shades: tuple[float, float] | None = None

    @property
    def n_inputs(self) -> int:
        """The number of features of a sample."""
        return int(self.train[0].shape[1])

    @property
    def n_outputs(self) -> int:
        """The number of outputs of a network for it: one for each class, or one value."""
        return len(self.classes) or 1

    @property
    def metadata(self) -> dict[str, Any]:
        """What a model needs to predict from such data later, in a form that JSON can hold."""
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

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return the title and the facts that ``print`` shows."""
        x, y = self.train
        features = f"{self.n_inputs:,} features"
        if self.image_shape:
            features += f", images {self.image_shape[0]} × {self.image_shape[1]}"
        target = f"{y.dtype} values"
        if self.classes:
            target = f"{len(self.classes)} classes: {shortened(map(printable, self.classes))}"
        return f"Dataset {printable(repr(self.name))}", {
            "train": f"{len(y):,} rows",
            "test": f"{len(self.test[1]):,} rows",
            "x": f"{features}, {x.dtype}, scale {self.scale:.6g}",
            "y": target,
        }
