"""``anynet explain`` for images: which pixels speak for a class, and the nearest examples."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anynet.augment import preprocess
from anynet.cli.explain import picture_path
from anynet.cli.job import load_samples
from anynet.cli.models import (
    AnyModel,
    check_fit,
    classes_of,
    first_of,
    image_format,
    preprocessing_in,
)
from anynet.cli.recipe import preprocessed
from anynet.cli.records import Record
from anynet.cli.runs import refuse_as_data, trained_from
from anynet.cli.terminal import complain, percent, say, say_json, say_text, table
from anynet.data import Dataset, Source, dataset_names
from anynet.data.datasets import locate_dataset
from anynet.data.image_format import ImageFormat
from anynet.errors import AnynetError, DataError, InvalidArgumentError
from anynet.inspect import nearest_examples, saliency

#: Classes whose mean is drawn, pictures that are drawn, and likely classes and nearest examples.
MOST_CLASSES, MOST_PICTURES, MOST_LIKELY, NEAREST = 10, 8, 5, 5

SPACES = {"hidden": "last hidden layer", "inputs": "pixels"}


@dataclass(frozen=True, eq=False)
class Explained:
    """An image, and what its pixels contribute to a class.

    Attributes
    ----------
    image, saliency : ndarray of shape (H, W)
    title : str
    """

    image: np.ndarray
    saliency: np.ndarray
    title: str


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training example near a picture.

    Attributes
    ----------
    image : ndarray of shape (H, W)
    name : str
        Of its class.
    index : int
        Its row in the training set.
    distance : float
    """

    image: np.ndarray
    name: str
    index: int
    distance: float


def explain_dataset(model: AnyModel, source: str, arguments: argparse.Namespace) -> int:
    """Draw test images with their saliency: correct predictions, mistakes, and class means."""
    from anynet.cli.saliency_plots import save_dataset

    wanted = image_format(model)
    assert wanted is not None, "checked before"
    refuse_as_data(source)
    data_dir = arguments.data_dir or trained_from(arguments.model, source)
    dataset = load_samples(source, data_dir)
    check_fit(model, dataset)
    if dataset.image_shape != wanted.shape:
        message = f"{dataset.name} has no images of {wanted.shape[0]} × {wanted.shape[1]} pixels"
        raise InvalidArgumentError(message)
    x, y = preprocessed(dataset, preprocessing_in(model)).test
    x = x.read(np.arange(len(y))) if isinstance(x, Source) else x
    names = dataset.classes
    likely = np.asarray(model.predict_proba(x))
    predicted = likely.argmax(axis=1)
    right, wrong = _choose(y, predicted, likely, arguments.images)
    parts = {"correct": right, "mistakes": wrong}
    drawn: dict[str, list[Explained]] = {}
    for part, rows in parts.items():
        images, found = _images(x[rows], wanted), _saliencies(model, x[rows], None, wanted)
        titles = [
            f"{names[y[at]]} → {names[predicted[at]]} ({percent(float(likely[at].max()))})"
            for at in rows
        ]
        drawn[part] = list(map(Explained, images, found, titles))
    means = []
    for label in range(min(len(names), MOST_CLASSES)):
        own = x[y == label]
        if len(own):
            contributions = _saliencies(model, own, label, wanted).mean(axis=0)
            image = _images(own, wanted).mean(axis=0)
            means.append(Explained(image, contributions, f"{names[label]}"))
    out = picture_path(arguments)
    accuracy = float(np.mean(predicted == y))
    title = f"{dataset.name}: test accuracy {accuracy:.4f} ({len(y):,} rows)"
    save_dataset(out, drawn["correct"], drawn["mistakes"], means, wanted, title)
    if arguments.json:
        listed = [
            {
                "index": int(at),
                "class": names[y[at]],
                "predicted": names[predicted[at]],
                "probability": float(likely[at].max()),
            }
            for rows in parts.values()
            for at in rows
        ]
        about = {"dataset": dataset.name, "accuracy": accuracy}
        say_json({**about, "images": listed, "picture": str(out)})
        return 0
    say(
        f"{title}",
        f"{out}: {len(right)} correct predictions, the {len(wrong)} surest mistakes, and the mean "
        f"of each class, each with the contribution of its pixels to the predicted class (gradient "
        f"times input): red for it, blue against it",
    )
    return 0


def _choose(
    y: np.ndarray, predicted: np.ndarray, likely: np.ndarray, count: int
) -> tuple[list[int], list[int]]:
    """Return rows that are predicted correctly, of as many classes as there are, and mistakes.

    The mistakes are those with the largest probability of the predicted class.
    """
    correct = np.flatnonzero(y == predicted)
    turn = np.zeros(len(correct), dtype=int)  # the how many-th of its class each row is
    for label in np.unique(y):
        own = y[correct] == label
        turn[own] = np.arange(np.sum(own))
    right = correct[np.lexsort((y[correct], turn))][:count]
    wrong = np.flatnonzero(y != predicted)
    surest = np.argsort(-likely[wrong].max(axis=1), kind="stable")[:count]
    return right.tolist(), wrong[surest].tolist()


def _images(x: np.ndarray, wanted: ImageFormat) -> np.ndarray:
    return x.reshape(-1, *wanted.shape).astype(np.float64)


def _saliencies(model: AnyModel, x: np.ndarray, target: Any, wanted: ImageFormat) -> np.ndarray:
    """Return the contribution of each pixel, (N, H, W); that of the background is 0."""
    found = saliency(model, x, target, baseline=wanted.paper)
    return np.asarray(found, dtype=np.float64).reshape(-1, *wanted.shape)


def explain_pictures(model: AnyModel, paths: Sequence[Path], arguments: argparse.Namespace) -> int:
    """Draw pictures as the network sees them, with prediction, saliency and nearest examples."""
    from anynet.cli.pictures import read_rows
    from anynet.cli.saliency_plots import save_pictures

    wanted, names = image_format(model), classes_of(model)
    assert wanted is not None, "checked before"
    found: list[tuple[str, Any]] = []
    code = 0
    for path in paths:
        try:
            rows = read_rows(path, first_of(model).network.n_inputs, wanted)
        except DataError as error:
            complain(str(error))
            code = 1
            continue
        for index, row in enumerate(rows):
            if isinstance(row, DataError):
                complain(str(row))
                code = 1
            else:
                found.append((str(path) + (f" image {index}" if len(rows) > 1 else ""), row))
    if not found:
        return 1
    if len(found) > MOST_PICTURES:
        complain(f"the first {MOST_PICTURES} of {len(found)} pictures are explained", "anynet: ")
        found = found[:MOST_PICTURES]
    x = preprocess(np.stack([row for _, row in found]), preprocessing_in(model), wanted.shape)
    likely = np.asarray(model.predict_proba(x))
    order = np.argsort(-likely, axis=1, kind="stable")[:, :MOST_LIKELY]
    neighbours, space = _neighbours(model, x, wanted, arguments)
    images, contributions = _images(x, wanted), _saliencies(model, x, None, wanted)
    explained = list(map(Explained, images, contributions, [name for name, _ in found]))
    tops = [
        [(names[i], float(row[i])) for i in some] for row, some in zip(likely, order, strict=True)
    ]
    out = picture_path(arguments)
    save_pictures(out, explained, tops, neighbours, wanted, SPACES.get(space, ""))
    if arguments.json:
        answers = [
            {
                "file": each.title,
                "top": [{"class": name, "probability": p} for name, p in top],
                "nearest": [
                    {"row": one.index, "class": one.name, "distance": one.distance} for one in near
                ],
                "space": space or None,
            }
            for each, top, near in zip(explained, tops, neighbours, strict=True)
        ]
        say_json({"pictures": answers, "picture": str(out)})
        return code
    lines = [["file", "class", "probability", "then", "nearest training rows"]]
    for each, top, near in zip(explained, tops, neighbours, strict=True):
        then = ", ".join(f"{name} {p:.4f}" for name, p in top[1:3])
        rows_near = ", ".join(f"{one.index} ({one.name})" for one in near)
        lines.append([each.title, top[0][0], f"{top[0][1]:.4f}", then, rows_near or "–"])
    say_text(table(lines, left=5))
    if space:
        say(f"distances are measured in the {SPACES[space]}")
    say("", f"{out}: input as the network sees it, contribution of its pixels, prediction")
    return code


def _neighbours(
    model: AnyModel, x: np.ndarray, wanted: ImageFormat, arguments: argparse.Namespace
) -> tuple[list[list[Neighbour]], str]:
    """Return the nearest training examples of each row, and where distances are measured.

    There are none if the training data are not at hand; nothing is downloaded.
    """
    nothing: list[list[Neighbour]] = [[] for _ in x]
    try:
        dataset = _training_data(arguments)
        check_fit(model, dataset)
        examples, y = preprocessed(dataset, preprocessing_in(model)).train
    except (AnynetError, OSError) as error:
        complain(f"no nearest training examples: {error}", "anynet: note: ")
        return nothing, ""
    if isinstance(examples, Source) or len(examples) < NEAREST:
        complain("no nearest training examples: they are not in memory", "anynet: note: ")
        return nothing, ""
    found = nearest_examples(model, x, examples, k=NEAREST)
    neighbours = [
        [
            Neighbour(
                examples[at].reshape(wanted.shape).astype(np.float64),
                dataset.classes[y[at]],
                int(at),
                float(distance),
            )
            for at, distance in zip(indices, distances, strict=True)
        ]
        for indices, distances in zip(found.indices, found.distances, strict=True)
    ]
    return neighbours, found.space


def _training_data(arguments: argparse.Namespace) -> Dataset:
    """Return the data of training, if they are on this machine.

    Raises
    ------
    AnynetError
        If they are not, or cannot be read.
    """
    record = Record.read(arguments.model)
    source = record.dataset or ""
    given = arguments.data_dir or record.options.get("data-dir")
    data_dir = None if given is None else Path(given)
    named = source in dataset_names()
    if named and locate_dataset(source, data_dir) is None:
        message = f"the training data, {source}, are not on this machine: --data-dir names a folder"
        raise DataError(message)
    if not named and not Path(source).exists():
        message = f"the training data, {source or 'whose name is not recorded'}, are not at hand"
        raise DataError(message)
    return load_samples(source, data_dir)
