"""Where data sets are looked for on this machine.

Under a data folder the files of a data set lie in a folder of its name (or in the folder that
torchvision makes) or directly. The named folder wins, because MNIST, Fashion-MNIST and KMNIST give
their files the same names.
"""

import os
import sys
from pathlib import Path

from anynet.data.catalogue import Source
from anynet.data.files import expanded, is_file, is_folder, quoted
from anynet.errors import DataError

Paths = tuple[Path, Path, Path, Path]
"""Training images, training labels, test images, test labels."""


def cache_folder() -> Path:
    """Return the folder that downloads go to, which need not exist.

    Returns
    -------
    Path
        ``ANYNET_CACHE_DIR``, else ``anynet`` in ``XDG_CACHE_HOME``, else in the system's usual
        place for a user's caches (``~/.cache`` on Linux).

    Raises
    ------
    DataError
        When the user has no home and neither variable is set.
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
        The one folder to search. Without it: ``ANYNET_DATA_DIR`` where it is set, then the cache.

    Returns
    -------
    list of Path
        The folders.

    Raises
    ------
    DataError
        When `data_dir` is given and is no folder.
    """
    if data_dir is not None:
        root = expanded(data_dir)
        if not is_folder(root):
            message = f"the data folder {quoted(root)} does not exist: expected a folder of files"
            raise DataError(message)
        return [root]
    own = os.environ.get("ANYNET_DATA_DIR")
    return [expanded(own), cache_folder()] if own else [cache_folder()]


def find_all(source: Source, roots: list[Path]) -> Paths | None:
    """Find the four files of a data set, all in one folder.

    Parameters
    ----------
    source : Source
        The data set.
    roots : list of Path
        Data folders, searched in order.

    Returns
    -------
    tuple of Path or None
        The files, or None when no folder has all four.
    """
    for folder in _folders(source, roots):
        images, labels, test_images, test_labels = (find(folder, name) for name in source.files)
        if images and labels and test_images and test_labels:
            return images, labels, test_images, test_labels
    return None


def find_most(source: Source, roots: list[Path]) -> Path | None:
    """Find the folder that has the most of a data set's files, the first among equals.

    Parameters
    ----------
    source : Source
        The data set.
    roots : list of Path
        Data folders, searched in order.

    Returns
    -------
    Path or None
        The folder, or None when none has any.
    """
    counts = {
        folder: sum(find(folder, name) is not None for name in source.files)
        for folder in _folders(source, roots)
    }
    best = max(counts, key=lambda folder: counts[folder])
    return best if counts[best] else None


def find(folder: Path, name: str) -> Path | None:
    """Find a published file in a folder under the names that it goes by.

    Parameters
    ----------
    folder : Path
        Where to look, not in folders below.
    name : str
        The published name, like ``train-images-idx3-ubyte.gz``. The file may be uncompressed, and
        spelled ``train-images.idx3-ubyte``, as some programs unpack it.

    Returns
    -------
    Path or None
        The file, the published name first; None when there is none.
    """
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    for spelling in (name, plain, f"{dotted}.gz", dotted):
        if is_file(folder / spelling):
            return folder / spelling
    return None


def _folders(source: Source, roots: list[Path]) -> list[Path]:
    return [folder for root in roots for folder in (*map(root.joinpath, source.folders), root)]
