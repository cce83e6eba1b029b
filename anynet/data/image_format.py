"""The format of the images that a model was trained on, as its metadata describe it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anynet.errors import ModelFileError

#: Beginnings of the names of published data sets of handwriting.
HANDWRITING = ("digits", "mnist", "kmnist", "emnist-")


@dataclass(frozen=True)
class ImageFormat:
    """The format of the images of a training set.

    Attributes
    ----------
    shape : (int, int)
        Height and width.
    box : int
        Longest side of the ink within them.
    top : float
        The value of full ink in the data's own units, such as 255.
    paper : float
        The value of the background. It is above that of ink where images are dark on light.
    strokes : bool
        Whether they show characters, of which only the ink matters: handwriting, and images that
        are centred like MNIST's. In others, such as garments, position and size may matter.
    """

    shape: tuple[int, int]
    box: int
    top: float
    strokes: bool = True
    paper: float = 0.0

    @classmethod
    def of(cls, metadata: Mapping[str, Any], n_inputs: int) -> ImageFormat | None:
        """Return the format in the metadata of a model.

        Parameters
        ----------
        metadata : mapping
            See ``Dataset.metadata``.
        n_inputs : int
            The number of inputs of the network.

        Returns
        -------
        ImageFormat or None
            None if the model was not trained on images.

        Raises
        ------
        ModelFileError
            If the metadata are invalid.
        """
        image = metadata.get("image")
        if image is None:
            return None
        try:
            height, width = image["shape"]
            box = max(height, width) if image["box"] is None else image["box"]
            paper, top = map(float, image.get("shades", (0, 1 / metadata["scale"])))
            sound = (
                all(type(side) is int and side > 0 for side in (height, width))
                and height * width == n_inputs
                and type(box) is int
                and 0 < box <= max(height, width)
                and math.isfinite(paper)
                and math.isfinite(top)
                and paper != top
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            sound = False
        if not sound:
            message = f"invalid metadata of the model on its images: {image!r}"
            raise ModelFileError(message)
        name = str(metadata.get("dataset"))
        strokes = image.get("centred") is True or name.startswith(HANDWRITING)
        return cls((height, width), box, top, strokes, paper)
