"""Data sets that stay on disk: a folder of arrays as a `Dataset` whose samples are sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.assemble import are_centred, ink_box, number_labels, shades_of
from anynet.data.dataset import Dataset, grey_shape
from anynet.data.files import expanded, is_file, is_folder, quoted
from anynet.data.holdout import hold_out
from anynet.data.memory import available_memory
from anynet.data.scaling import choose_scale, measure
from anynet.data.sources import Source, open_data
from anynet.errors import DataError, InvalidArgumentError

MEMORY_SHARE = 0.5  # of this machine's memory that files may take before they stay on disk
MEASURED = 10_000  # images whose ink is measured


def is_too_large(path: str | os.PathLike[str]) -> bool:
    """Whether the files of a folder are larger than half of the memory that is available."""
    folder, available = expanded(path), available_memory()
    if available is None or not is_folder(folder):
        return False
    size = sum(file.stat().st_size for file in folder.iterdir() if is_file(file))
    return size > MEMORY_SHARE * available


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Open a folder of arrays as a data set whose samples are read when they are needed.

    Parameters
    ----------
    path : str or path-like
        A folder with ``x.npy`` and ``y.npy``, and perhaps ``x_test.npy`` and ``y_test.npy``; or
        with uncompressed IDX files, named as for `anynet.data.read.read_path`.

    Returns
    -------
    Dataset
        As `load_dataset` makes it of the same arrays, but that ``train[0]`` and ``test[0]`` are
        each a `Source`. Labels are in memory.

    Raises
    ------
    InvalidArgumentError
        When it is no folder.
    DataError
        When it does not hold a data set that can be read in part.
    """
    folder = expanded(path)
    if not is_folder(folder):
        message = f"{quoted(folder)} is no folder: only folders of arrays are read in part"
        raise InvalidArgumentError(message)
    name = folder.resolve().name
    sources = [open_data(folder), *_test_set(folder)]
    targets = [source.y for source in sources if source.y is not None and len(source)]
    if len(targets) < len(sources):
        message = f"{quoted(folder)} has no labels, or no samples: expected x.npy and y.npy"
        raise DataError(message)
    for source in sources:
        if (source.shape[1], source.dtype) != (sources[0].shape[1], sources[0].dtype):
            message = f"{quoted(folder)} has training and test samples of different shape or type"
            raise DataError(message)
    classes, labels = number_labels(targets, name)
    train, test = (sources[0], labels[0]), (sources[-1], labels[-1])
    if len(sources) == 1:
        kept, held = hold_out(labels[0], repr(name))
        train, test = (sources[0][kept], labels[0][kept]), (sources[0][held], labels[0][held])
    shape: tuple[int, ...] = getattr(sources[0], "sample_shape", ())
    image = grey_shape(shape)
    some: Any = train[0].read(np.arange(min(len(train[0]), MEASURED))) if image else None
    scale, notes = _scale(train[0], image=len(shape) >= 2)
    return Dataset(
        name=name,
        train=train,
        test=test,
        classes=classes,
        scale=scale,
        image_shape=image,
        image_box=ink_box(some.reshape(len(some), *image)) if image else None,
        image_centred=image is not None and are_centred(some.reshape(len(some), *image)),
        image_shades=shades_of(some.reshape(len(some), *image), scale) if image else None,
        notes=notes,
    )


def _test_set(folder: Path) -> list[Source]:
    if is_file(folder / "x_test.npy"):
        return [open_data(folder / "x_test.npy", folder / "y_test.npy")]
    files = {
        kind: [file for name in ("t10k", "test") for file in folder.glob(f"{name}-*{kind}*")]
        for kind in ("images", "labels")
    }
    if all(len(found) == 1 for found in files.values()):
        return [open_data(files["images"][0], files["labels"][0])]
    return []


def _scale(source: Source, *, image: bool) -> tuple[float, tuple[str, ...]]:
    """Return what multiplies the samples to reach [0, 1], by the rule of ``from_arrays``."""
    windows = range(0, len(source), source.window_rows)
    blocks = (
        source.read(np.arange(start, min(start + source.window_rows, len(source))))
        for start in windows
    )
    if source.dtype == np.uint8:
        return (1 / 255 if any(block.max() > 1 for block in blocks) else 1.0), ()
    return choose_scale(measure(blocks), source.dtype, image=image)
