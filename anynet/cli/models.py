"""What the command line keeps in a model's metadata, and how it opens a model again."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anynet.augment.preprocess import from_config
from anynet.backends import set_threads
from anynet.cli.runs import model_file, refuse_swapped
from anynet.data import Dataset
from anynet.data.dataset import IMAGE_STEPS, TABLE
from anynet.errors import InvalidArgumentError, ModelFileError
from anynet.training import Ensemble, Model, load

#: How the names of published data sets of handwriting begin.
HANDWRITING = ("digits", "mnist", "kmnist", "emnist-")


@dataclass(frozen=True)
class ImageFormat:
    """What the pictures of a training set look like.

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
        Whether they show characters, of which only the ink matters: those of handwriting do, and
        those that are centred as MNIST's. In others, such as garments, place and size may matter.
    """

    shape: tuple[int, int]
    box: int
    top: float
    strokes: bool = True
    paper: float = 0.0


def open_model(arguments: argparse.Namespace, *others: Path) -> Model:
    """Load the model of RUN on the backend that the options name.

    Parameters
    ----------
    arguments : Namespace
    others : Path
        The command's other paths, one of which may be the RUN that was meant.

    Raises
    ------
    InvalidArgumentError
        The model does not tell classes apart, and was not trained on a table.
    """
    if arguments.threads is not None:
        set_threads(arguments.threads)
    refuse_swapped(arguments.model, *others)
    path = model_file(arguments.model)
    model = single_model(path, arguments.backend, arguments.device, arguments.dtype)
    if model.loss.task != "classes" and not knows_tables(model):
        message = (
            f"{path} predicts {model.loss.task}: this command is for models that tell classes, or "
            f"were trained on a table"
        )
        raise InvalidArgumentError(message)
    return model


def single_model(path: Path, *where: str | None) -> Model:
    """Load a model; refuse an ensemble, which the commands cannot use."""
    model = load(path, *where)  # type: ignore[arg-type]
    if isinstance(model, Ensemble):
        message = f"{path} is an ensemble of {len(model.models)} models: expected a single model"
        raise ModelFileError(message)
    return model


def knows_tables(model: Model) -> bool:
    """Whether a model was trained on a table, and takes its raw rows."""
    return model.metadata.get(TABLE) is not None


def preprocessing_in(model: Model) -> tuple[Any, ...]:
    """Return the preprocessing that images must go through before the model takes them.

    Raises
    ------
    ModelFileError
        The metadata names what this version does not know.
    """
    try:
        return from_config(model.metadata.get(IMAGE_STEPS, ()))
    except InvalidArgumentError as error:
        message = f"the model does not say properly how its pictures are prepared: {error}"
        raise ModelFileError(message) from error


def classes_of(model: Model) -> tuple[str, ...]:
    """Return the names of the classes; their numbers if the model was trained without names."""
    names, n = model.metadata.get("classes"), model.network.n_outputs
    if not isinstance(names, list) or len(names) != n:
        names = list(range(n))
    return tuple(map(str, names))


def image_format(model: Model) -> ImageFormat | None:
    """Return what the pictures that the model knows look like; None if it knows none.

    Raises
    ------
    ModelFileError
        The metadata is not what ``Dataset.metadata`` is.
    """
    image = model.metadata.get("image")
    if image is None:
        return None
    try:
        height, width = image["shape"]
        box = max(height, width) if image["box"] is None else image["box"]
        paper, top = map(float, image.get("shades", (0, 1 / model.metadata["scale"])))
        sound = (
            all(type(side) is int and side > 0 for side in (height, width))
            and height * width == model.network.n_inputs
            and type(box) is int
            and 0 < box <= max(height, width)
            and math.isfinite(paper)
            and math.isfinite(top)
            and paper != top
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        sound = False
    if not sound:
        message = f"the model does not say properly what its pictures look like: {image!r}"
        raise ModelFileError(message)
    name = str(model.metadata.get("dataset"))
    strokes = image.get("centred") is True or name.startswith(HANDWRITING)
    return ImageFormat((height, width), box, top, strokes, paper)


def check_fit(model: Model, dataset: Dataset) -> None:
    """Check that the rows of a data set can go into a model, and its labels come out.

    Raises
    ------
    InvalidArgumentError
        They have other numbers of features or classes.
    """
    features, classes = dataset.test[0].shape[1], len(dataset.classes)
    network = model.network
    if (features, classes) != (network.n_inputs, network.n_outputs):
        message = (
            f"the model takes {network.n_inputs} features and tells {network.n_outputs} classes, "
            f"but {dataset.name} has {features} features and {classes} classes"
        )
        raise InvalidArgumentError(message)
