"""The files of published data sets on this machine: found, checked and read.

Below a data folder the files are in a folder of the data set's name (or in the folder that
torchvision creates) or in the data folder itself. The named folder comes first, because MNIST,
Fashion-MNIST and KMNIST use the same file names.
"""

import hashlib
import importlib.util
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from anynet.data.assemble import check_counts, flatten
from anynet.data.catalogue import CATALOGUE, Published
from anynet.data.dataset import Arrays, Dataset
from anynet.data.files import expanded, is_file, is_folder, quoted
from anynet.data.idx import encode_idx, read_idx
from anynet.errors import DataError


class FileState(NamedTuple):
    """The state of one file of a data set.

    Attributes
    ----------
    file : str
        Its path if it was found, else its published name.
    state : {"ok", "absent", "damaged"}
        Whether it can be used.
    detail : str
        One line on how that was determined, or what is wrong.
    """

    file: str
    state: Literal["ok", "absent", "damaged"]
    detail: str


def cache_folder() -> Path:
    """Return the folder for downloads, which may not exist yet.

    Returns
    -------
    Path
        ``ANYNET_CACHE_DIR``, else ``anynet`` in ``XDG_CACHE_HOME``, else in the system's folder
        for caches of the user (``~/.cache`` on Linux).

    Raises
    ------
    DataError
        If the user has no home folder and neither variable is set.
    """
    if chosen := os.environ.get("ANYNET_CACHE_DIR"):
        return expanded(chosen)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return expanded(shared) / "anynet"
    if sys.platform == "darwin":
        return expanded("~/Library/Caches/anynet")
    if sys.platform == "win32":
        return expanded(os.environ.get("LOCALAPPDATA", "~/AppData/Local")) / "anynet" / "Cache"
    return expanded("~/.cache/anynet")


def search_roots(data_dir: str | os.PathLike[str] | None) -> list[Path]:
    """Return the data folders to search, in order.

    Parameters
    ----------
    data_dir : str or path-like, optional
        The only folder to search. Without it: ``ANYNET_DATA_DIR`` if it is set, then the cache.

    Returns
    -------
    list of Path
        The folders.

    Raises
    ------
    DataError
        If `data_dir` is given and is not a folder.
    """
    if data_dir is not None:
        root = expanded(data_dir)
        if not is_folder(root):
            message = f"the data folder {quoted(root)} does not exist: expected a folder of files"
            raise DataError(message)
        return [root]
    own = os.environ.get("ANYNET_DATA_DIR")
    return [expanded(own), cache_folder()] if own else [cache_folder()]


def find_files(published: Published, roots: list[Path]) -> tuple[Path, list[Path]]:
    """Return the folder that has the most files of a data set, and its files.

    Parameters
    ----------
    published : Published
        The data set.
    roots : list of Path
        Data folders, searched in order.

    Returns
    -------
    folder : Path
        The first among folders with equally many files; the first data folder if none has any.
    files : list of Path
        Those of the four files that were found, in their order.
    """
    names = (*published.folders, ".")
    folders = [root / name for root in roots for name in names]
    found = [
        (folder, [file for name in published.files if (file := _find(folder, name))])
        for folder in folders
    ]
    folder, paths = max(found, key=lambda each: len(each[1]))
    return (folder if paths else roots[0]), paths


def _find(folder: Path, name: str) -> Path | None:
    """Return a published file under one of its names.

    ``train-images-idx3-ubyte.gz`` may be uncompressed, and called ``train-images.idx3-ubyte``, as
    some programs unpack it.
    """
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    paths = (folder / spelling for spelling in (name, plain, f"{dotted}.gz", dotted))
    return next(filter(is_file, paths), None)


def locate_digits() -> Path | None:
    """Return the folder of scikit-learn, without importing it; None if it is not installed."""
    spec = importlib.util.find_spec("sklearn")
    return Path(spec.origin).parent if spec and spec.origin else None


def check_file(published: Published, index: int, folder: Path) -> FileState:
    """Check one file of a data set.

    A file with the published checksum is ok. One that was compressed again, or not at all, is
    judged by the checksum of its content if that is known, else by whether it can be read.

    Parameters
    ----------
    published : Published
        The data set.
    index : int
        Which of its four files, from 0.
    folder : Path
        The folder to search.

    Returns
    -------
    FileState
        The state of the file.
    """
    path = _find(folder, published.files[index])
    if path is None:
        return FileState(published.files[index], "absent", "not found")
    try:
        if published.archive is None and _md5_of(path) == published.md5[index]:
            return FileState(str(path), "ok", "has the published checksum")
        content = read_idx(path)
    except (DataError, OSError) as error:
        return FileState(str(path), "damaged", str(error))
    shape = f"{content.dtype.name} of shape {content.shape}"
    if published.content_sha256 is None:
        return FileState(str(path), "ok", f"can be read completely: {shape}; no known checksum")
    if _sha256_of(content) == published.content_sha256[index]:
        return FileState(str(path), "ok", f"has the published content, {shape}")
    return FileState(str(path), "damaged", f"differs from the published content, holds {shape}")


def read_published(published: Published, paths: list[Path]) -> Dataset:
    """Read a published data set from its four files.

    Parameters
    ----------
    published : Published
        The data set.
    paths : list of Path
        Training images, training labels, test images, test labels.

    Returns
    -------
    Dataset
        The data set: images upright, labels from 0.

    Raises
    ------
    DataError
        If a file is damaged, the files do not belong together, or belong to another data set.
    """
    images, labels, test_images, test_labels = map(read_idx, paths)
    owner = _owner(paths[1], labels)
    if owner not in (None, published.name):
        message = (
            f"{quoted(paths[1])} belongs to {owner!r}, which uses the same file names: expected "
            f"{published.name!r}; put each data set into a folder of its own name"
        )
        raise DataError(message)
    if images.shape[1:] != test_images.shape[1:]:
        message = (
            f"{quoted(paths[2])} holds images of {test_images.shape[1:]}: expected "
            f"{images.shape[1:]}, as in {quoted(paths[0])}"
        )
        raise DataError(message)
    train = _pair(published, images, labels, paths[:2])
    test = _pair(published, test_images, test_labels, paths[2:])
    rows, columns = images.shape[1:]
    return Dataset(
        name=published.name,
        train=train,
        test=test,
        classes=published.classes,
        scale=1 / 255,
        image_shape=(columns, rows) if published.transposed else (rows, columns),
        image_box=published.image_box,
    )


def _pair(
    published: Published, images: npt.NDArray[Any], labels: npt.NDArray[Any], paths: list[Path]
) -> Arrays:
    """Check images and labels, and return them as samples and labels from 0."""
    if images.ndim != 3 or images.dtype != np.uint8:
        message = (
            f"{quoted(paths[0])} holds {images.dtype.name} of shape {images.shape}: expected "
            "bytes of shape (images, rows, columns)"
        )
        raise DataError(message)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        message = (
            f"{quoted(paths[1])} holds {labels.dtype.name} of shape {labels.shape}: expected "
            "one whole number for each image"
        )
        raise DataError(message)
    check_counts(str(paths[1]), images, labels)
    first, last = published.first_label, published.first_label + len(published.classes) - 1
    y = labels.astype(np.int64) - first
    if y.min() < 0 or y.max() > last - first:
        message = (
            f"{quoted(paths[1])} has labels from {labels.min()} to {labels.max()}: expected "
            f"{first} to {last}"
        )
        raise DataError(message)
    return flatten(images.transpose(0, 2, 1) if published.transposed else images), y


def _owner(path: Path, labels: npt.NDArray[Any]) -> str | None:
    """Return the name of the data set that training labels belong to, None if it is unknown.

    Three data sets use the same file names, so that they are easily mixed up.
    """
    md5, sha256 = _md5_of(path), _sha256_of(labels)
    for published in CATALOGUE.values():
        same_file = published.archive is None and md5 == published.md5[1]
        if same_file or (published.content_sha256 and sha256 == published.content_sha256[1]):
            return published.name
    return None


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def _sha256_of(array: npt.NDArray[Any]) -> str:
    """Return the checksum of the uncompressed IDX file of an array."""
    return hashlib.sha256(encode_idx(array)).hexdigest()
