"""``anynet augment DATASET --out grid.png``: draw images as training would see them."""

import argparse
from typing import Any

import numpy as np

from anynet.augment import as_pipeline
from anynet.backends import get_backend
from anynet.cli import kinds
from anynet.cli.options import STRENGTHS, TrainOptions, add_options, add_value, given_options
from anynet.cli.recipe import augmentations_of, preprocessed, preprocessing_of
from anynet.cli.runs import refuse_as_data, refuse_existing
from anynet.cli.terminal import say
from anynet.data import Dataset, load_dataset
from anynet.errors import InvalidArgumentError
from anynet.seeds import device_seed
from anynet.typing import Key

DEFAULT = ("affine", "elastic")
MOST_CLASSES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Draw an image of each class beside new versions of it, as training with these options "
        f"would see them (default: --augment {','.join(DEFAULT)})."
    )
    add_options(parser, "dataset", "data_dir", "preprocess", "augment", *STRENGTHS, "seed")
    what = "number of versions of each image (default: 9)"
    add_value(parser, "--versions", kinds.whole(1), default=9, metavar="N", help=what)
    what = "path of the PNG file to write; existing files are not overwritten"
    add_value(parser, "--out", kinds.FILE, metavar="FILE", required=True, help=what)


def run(arguments: argparse.Namespace) -> int:
    """Draw a grid of images and their versions."""
    from anynet.cli.plots import save_images
    from anynet.cli.progress import download_bar

    options = TrainOptions(**{"augment": DEFAULT, **given_options(arguments)})
    if not options.dataset:
        arguments.usage_error("name a DATASET, such as mnist")
    refuse_as_data(options.dataset)
    augmentations = augmentations_of(options)  # its errors are reported before data are fetched
    out = arguments.out
    refuse_existing(out)
    with download_bar(options.dataset) as show:
        dataset = load_dataset(options.dataset, options.data_dir, progress=show)
    if dataset.image_shape is None:
        message = f"{dataset.name} has no images to draw"
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
    """Return the first image of each of at most MOST_CLASSES classes, and new versions of it.

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
