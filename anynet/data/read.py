"""Reading data sets from files on this machine."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.data.assemble import check_counts, flatten, from_arrays
from anynet.data.catalogue import Source
from anynet.data.dataset import Arrays, Dataset
from anynet.data.files import is_file, is_folder, one_line, quoted, special_kind
from anynet.data.idx import read_idx
from anynet.data.locate import Paths
from anynet.data.npy import read_npy
from anynet.data.npz import array_names, read_npz
from anynet.data.verify import true_owner
from anynet.errors import DataError

_NPZ_LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("x_train", "y_train"),
    ("x", "y"),
    ("X", "y"),
)


def read_published(source: Source, paths: Paths) -> Dataset:
    """Read a data set of the catalogue from its four files.

    Parameters
    ----------
    source : Source
        The data set.
    paths : tuple of Path
        Training images, training labels, test images, test labels.

    Returns
    -------
    Dataset
        The data set: images upright, labels from 0.

    Raises
    ------
    DataError
        When a file is damaged, the files do not belong together, or belong to another data set.
    """
    images, labels, test_images, test_labels = (read_idx(path) for path in paths)
    owner = true_owner(paths[1], labels)
    if owner not in (None, source.name):
        message = (
            f"{quoted(paths[1])} belongs to {owner!r}, which names its files alike: expected "
            f"{source.name!r}; give each data set a folder of its own name"
        )
        raise DataError(message)
    if images.shape[1:] != test_images.shape[1:]:
        message = (
            f"{quoted(paths[2])} holds images of {test_images.shape[1:]}: expected "
            f"{images.shape[1:]}, as in {quoted(paths[0])}"
        )
        raise DataError(message)
    train = _published_pair(source, images, labels, paths[0], paths[1])
    test = _published_pair(source, test_images, test_labels, paths[2], paths[3])
    rows, columns = images.shape[1:]
    return Dataset(
        name=source.name,
        train=train,
        test=test,
        classes=source.classes,
        scale=1 / 255,
        image_shape=(columns, rows) if source.transposed else (rows, columns),
        image_box=source.image_box,
    )


def _published_pair(
    source: Source,
    images: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    images_path: Path,
    labels_path: Path,
) -> Arrays:
    if images.ndim != 3 or images.dtype != np.uint8:
        message = (
            f"{quoted(images_path)} holds {images.dtype.name} of shape {images.shape}: expected "
            "bytes of shape (images, rows, columns)"
        )
        raise DataError(message)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        message = (
            f"{quoted(labels_path)} holds {labels.dtype.name} of shape {labels.shape}: expected "
            "one whole number for each image"
        )
        raise DataError(message)
    check_counts(str(labels_path), images, labels)
    y = labels.astype(np.int64) - source.first_label
    if y.min() < 0 or y.max() >= len(source.classes):
        message = (
            f"{quoted(labels_path)} has labels from {labels.min()} to {labels.max()}: expected "
            f"{source.first_label} to {source.first_label + len(source.classes) - 1}"
        )
        raise DataError(message)
    return flatten(images.transpose(0, 2, 1) if source.transposed else images), y


def read_path(path: Path) -> Dataset:
    """Read a data set of the user's own.

    Parameters
    ----------
    path : Path
        An ``.npz`` archive of ``x_train, y_train[, x_test, y_test]`` or ``x, y`` or ``X, y``; or a
        folder of IDX files named as in MNIST: ``train-*images*``, ``train-*labels*`` and, from
        ``t10k-`` or ``test-``, the same for the test set; or a folder with ``x.npy``, ``y.npy`` and
        perhaps ``x_test.npy``, ``y_test.npy``.

    Returns
    -------
    Dataset
        The data set, see `anynet.data.assemble.from_arrays`.

    Raises
    ------
    DataError
        When there is no such file or folder, or it does not hold a data set.
    """
    if is_folder(path) and is_file(path / "x.npy"):
        pairs = [_npy_pair(path, "x.npy", "y.npy")]
        if is_file(path / "x_test.npy"):
            pairs.append(_npy_pair(path, "x_test.npy", "y_test.npy"))
        return from_arrays(path.resolve().name, *pairs)
    if is_folder(path):
        train, test = _folder_pair(path, ("train",)), _folder_pair(path, ("t10k", "test"))
        if train is None:
            message = (
                f"{quoted(path)} has no training files: expected train-images-idx3-ubyte and "
                "train-labels-idx1-ubyte (or .gz), and the same with t10k or test"
            )
            raise DataError(message)
        return from_arrays(path.resolve().name, train, test)
    if kind := special_kind(path):
        hint = "; of a table, say which column is the target" if kind == "pipe" else ""
        message = (
            f"{quoted(path)} is a {kind}: expected an .npz file or a folder of IDX files{hint}"
        )
        raise DataError(message)
    if not is_file(path):
        message = f"{quoted(path)} does not exist: expected an .npz file or a folder of IDX files"
        raise DataError(message)
    present = set(array_names(path))
    for layout in _NPZ_LAYOUTS:
        if present.issuperset(layout) and not (len(layout) == 2 and present & {"x_test", "y_test"}):
            x, y, *rest = read_npz(path, layout)
            return from_arrays(path.stem, (x, y), (rest[0], rest[1]) if rest else None)
    message = (
        f"{quoted(path)} holds the arrays {sorted(present)[:8]}: expected x_train and y_train, "
        "with x_test and y_test or with neither, or else x and y"
    )
    raise DataError(message)


def _npy_pair(folder: Path, x: str, y: str) -> Arrays:
    try:
        return read_npy(folder / x), read_npy(folder / y)
    except OSError as error:
        message = f"{quoted(folder)} holds no {x} and {y} that can be read ({one_line(error)})"
        raise DataError(message) from error


def _folder_pair(folder: Path, prefixes: tuple[str, ...]) -> Arrays | None:
    """Read images and labels whose file names begin with one of the prefixes and a hyphen."""
    found: list[Path] = []
    for kind in ("images", "labels"):
        paths = [path for prefix in prefixes for path in sorted(folder.glob(f"{prefix}-*{kind}*"))]
        # A file beside its own compressed copy is one file.
        distinct = {path.name.removesuffix(".gz"): path for path in paths if is_file(path)}
        if len(distinct) > 1:
            message = f"{quoted(folder)} has several files of {kind}: {sorted(distinct)}: keep one"
            raise DataError(message)
        found += distinct.values()
    if not found:
        return None
    if len(found) == 1:
        message = f"{quoted(found[0])} stands alone: expected images and labels in {quoted(folder)}"
        raise DataError(message)
    return read_idx(found[0]), read_idx(found[1])
