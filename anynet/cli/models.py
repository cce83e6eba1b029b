"""Open the model of a run, and read what its metadata say about its inputs and classes."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from anynet.augment.preprocess import from_config
from anynet.backends import set_threads
from anynet.cli.runs import model_file, refuse_swapped
from anynet.data import Dataset
from anynet.data.dataset import IMAGE_STEPS, TABLE
from anynet.data.image_format import ImageFormat
from anynet.data.tables.load import picture_kind
from anynet.errors import DataError, InvalidArgumentError, ModelFileError
from anynet.training import Ensemble, History, Model, load

#: A single network, or several that predict together.
AnyModel: TypeAlias = Model | Ensemble


def first_of(model: AnyModel) -> Model:
    """Return the model, or the first one of an ensemble: all have the same inputs and outputs."""
    return model.models[0] if isinstance(model, Ensemble) else model


def histories_of(model: AnyModel) -> list[History]:
    """Return the history of a model that was just trained, or of each one of an ensemble."""
    models = model.models if isinstance(model, Ensemble) else (model,)
    return [one.history for one in models if one.history is not None]


def open_model(
    arguments: argparse.Namespace, *others: Path, tasks: Sequence[str] = ("classes",)
) -> AnyModel:
    """Load the model of RUN on the backend of the options.

    Parameters
    ----------
    arguments : Namespace
    others : Path
        The other paths of the command, one of which may be RUN if the order is wrong.
    tasks : sequence of str
        What the model may predict, unless it was trained on a table.

    Raises
    ------
    InvalidArgumentError
        If the model predicts something else, and was not trained on a table.
    DataError
        If the model was trained on a table, and one of the others is a picture.
    """
    if arguments.threads is not None:
        set_threads(arguments.threads)
    refuse_swapped(arguments.model, *others)
    path = model_file(arguments.model)
    model = load(path, arguments.backend, arguments.device, arguments.dtype)
    task = first_of(model).loss.task
    if task not in tasks and not knows_tables(model):
        message = f"{path} predicts {task}: this command needs a model of classes, or of a table"
        raise InvalidArgumentError(message)
    if knows_tables(model):
        _refuse_pictures(others)
    return model


def knows_tables(model: AnyModel) -> bool:
    """Whether a model was trained on a table, and predicts raw rows of it."""
    return model.metadata.get(TABLE) is not None


def preprocessing_in(model: AnyModel) -> tuple[Any, ...]:
    """Return the preprocessing that the model needs for its images.

    Raises
    ------
    ModelFileError
        If the metadata are invalid.
    """
    try:
        return from_config(model.metadata.get(IMAGE_STEPS, ()))
    except InvalidArgumentError as error:
        message = f"invalid metadata of the model on the preprocessing of images: {error}"
        raise ModelFileError(message) from error


def classes_of(model: AnyModel) -> tuple[str, ...]:
    """Return the names of the classes, or their numbers if the model has no names."""
    names, n = model.metadata.get("classes"), first_of(model).network.n_outputs
    if not isinstance(names, list) or len(names) != n:
        names = list(range(n))
    return tuple(map(str, names))


def image_format(model: AnyModel) -> ImageFormat | None:
    """Return the format of the images that the model was trained on; None if there were none.

    Raises
    ------
    ModelFileError
        If the metadata are invalid.
    """
    return ImageFormat.of(model.metadata, first_of(model).network.n_inputs)


def check_fit(model: AnyModel, dataset: Dataset) -> None:
    """Check that a data set has the features and classes of a model.

    Raises
    ------
    InvalidArgumentError
        If their numbers differ.
    """
    features, classes = dataset.test[0].shape[1], len(dataset.classes)
    network = first_of(model).network
    if (features, classes) != (network.n_inputs, network.n_outputs):
        message = (
            f"the model has {network.n_inputs} features and {network.n_outputs} classes, "
            f"but {dataset.name} has {features} features and {classes} classes"
        )
        raise InvalidArgumentError(message)


def _refuse_pictures(paths: Iterable[Path]) -> None:
    """Check that no file for a model of tables is a picture.

    Raises
    ------
    DataError
        If one is.
    """
    for path in paths:
        if kind := picture_kind(path):
            message = (
                f"the model was trained on a table, and {path} is {kind}: expected a table, such "
                f"as a CSV file"
            )
            raise DataError(message)
