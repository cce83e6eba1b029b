"""``anynet augment DATASET --out grid.png``: what training would see, drawn."""

import argparse
import os
from typing import Any

import numpy as np

from anynet.augment import as_pipeline
from anynet.backends import get_backend
from anynet.cli import kinds
from anynet.cli.augmentation import STRENGTHS, augmentations_of, preprocessed, preprocessing_of
from anynet.cli.options import TrainOptions, add_options
from anynet.cli.runs import refuse_as_data
from anynet.cli.terminal import say
from anynet.data import Dataset, load_dataset
from anynet.errors import InvalidArgumentError
from anynet.seeds import device_seed
from anynet.typing import Key

DEFAULT = ("affine", "elastic")
MOST_CLASSES = 10


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "augment",
        help="draw images beside their augmented versions",
        description="Draw an image of each class beside new versions of it, as training with these "
        f"options would see them (default: --augment {','.join(DEFAULT)}).",
    )
    names = ("preprocess", "augment", *STRENGTHS)
    add_options(parser, "dataset", "data_dir", *names, "seed", suppress=True)
    count = kinds.whole(1).from_text
    parser.add_argument(
        "--versions",
        type=count,
        default=9,
        metavar="N",
        help="number of versions of each image (default: 9)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        type=kinds.path("the path of a file").from_text,
        help="path of the PNG file to write; existing files are not overwritten",
    )
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Draw the grid."""
    from anynet.cli.plots import save_images
    from anynet.cli.progress import download_bar

    given = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("run", "usage_error", "out", "versions")
    }
    options = TrainOptions(**{"augment": DEFAULT, **given})
    if not options.dataset:
        arguments.usage_error("name a DATASET, such as mnist")
    refuse_as_data(options.dataset)
    augmentations = augmentations_of(options)  # refused before data are fetched, if they are
    out = arguments.out
    if os.path.lexists(out):
        message = f"{out} exists already: choose another --out, or remove it"
        raise InvalidArgumentError(message)
    with download_bar(options.dataset) as show:
        dataset = load_dataset(options.dataset, options.data_dir, progress=show)
    if dataset.image_shape is None:
        message = f"{dataset.name} has no images to draw: its samples are of another kind"
        raise InvalidArgumentError(message)
    dataset = preprocessed(dataset, preprocessing_of(options))
    grid = versions_of(dataset, augmentations, arguments.versions, options.seed)
    names = ", ".join(options.augment)
    save_images(out, grid, 1 / dataset.scale, f"{dataset.name}: originals, and {names}")
    say(f"{out}: {len(grid)} images, each with {arguments.versions} versions")
    return 0


def versions_of(
    dataset: Dataset, augmentations: tuple[Any, ...], n_versions: int, seed: int
) -> np.ndarray:
    """Return the first image of each class, and new versions of it.

    Returns
    -------
    ndarray of shape (classes, 1 + n_versions, H, W)
    """
    assert dataset.image_shape is not None, "there is something to draw"
    backend = get_backend("numpy")
    x, y = dataset.train
    chosen = np.unique(y, return_index=True)[1][:MOST_CLASSES]
    images, labels = np.asarray(x[chosen]), np.asarray(y[chosen], dtype=np.int32)
    shape = dataset.image_shape
    pipeline = as_pipeline(augmentations, x.shape[1], shape, backend, top=1 / dataset.scale)
    word: Any = np.asarray(device_seed(seed), dtype=np.int32)
    rows: list[Any] = [images]
    for version in range(n_versions):
        key = Key(word, np.asarray(version, dtype=np.int32))
        rows.append(pipeline(images, labels, backend=backend, key=key)[0] if pipeline else images)
    grid: np.ndarray = np.stack(rows, axis=1)
    return grid.reshape(len(chosen), 1 + n_versions, *shape)
