"""Data sets by name or path: found on this machine, else downloaded."""

import os
from pathlib import Path

import numpy as np

from anynet.data.catalogue import CATALOGUE, DIGITS, NO_DIGITS, find_published
from anynet.data.dataset import Dataset
from anynet.data.fetch import Progress, advice, fetch_dataset
from anynet.data.files import expanded, is_file, is_folder, quoted
from anynet.data.published import (
    FileState,
    cache_folder,
    check_file,
    find_files,
    locate_digits,
    read_published,
    search_roots,
)
from anynet.data.read import read_path
from anynet.data.subset import hold_out
from anynet.data.tables.load import is_table
from anynet.errors import DataError, InvalidArgumentError


def load_dataset(
    name_or_path: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set into memory.

    The files of a named data set are searched in `data_dir`, else in the folder of
    ``ANYNET_DATA_DIR`` and then in the cache (``ANYNET_CACHE_DIR``). In each, a folder of the data
    set's name is preferred to the data folder itself. Files may be compressed or not.

    Parameters
    ----------
    name_or_path : str or path-like
        One of `dataset_names`, or the path of an ``.npz`` archive or of a folder of IDX files,
        see `anynet.data.read.read_path`. A name is preferred to a path of the same spelling.
    data_dir : str or path-like, optional
        The only folder to search. If it is given, nothing is downloaded.
    download : bool
        Whether to download what is not found.
    progress : callable, optional
        Called during the download, see `fetch_dataset`.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown and is not a path.
    DataError
        If the files are absent and cannot be downloaded, are damaged, or hold something else.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")  # of scikit-learn; needs no download
    >>> data.train[0].shape, data.test[0].shape, data.scale
    ((1438, 64), (359, 64), 0.0625)
    """
    if name_or_path == DIGITS:
        return load_digits()
    if _is_path(name_or_path) and name_or_path not in CATALOGUE:
        path = expanded(name_or_path)
        if is_table(path):
            message = (
                f"{quoted(path)} is a table: load it by anynet.load_tabular_dataset, with the "
                f"column to predict as target"
            )
            raise InvalidArgumentError(message)
        return read_path(path)
    published, roots = find_published(name_or_path), search_roots(data_dir)
    _, paths = find_files(published, roots)
    if len(paths) == len(published.files):
        return read_published(published, paths)
    if data_dir is not None or not download:
        folders = " or ".join(map(quoted, roots))
        message = f"the data set {published.name!r} is not in {folders}: {advice(published)}"
        raise DataError(message)
    fetch_dataset(published.name, progress)
    return load_dataset(published.name, cache_folder())


def load_digits() -> Dataset:
    """Load the 1,797 handwritten digits of scikit-learn: 8×8 pixels, each from 0 to 16.

    They have no test set. 20 % of each class are held out by a fixed draw, see
    `anynet.data.subset.hold_out`; writers are not kept apart.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    DataError
        If scikit-learn is not installed.

    References
    ----------
    Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998.
    """
    try:
        import sklearn.datasets
    except ImportError as error:
        raise DataError(NO_DIGITS) from error
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    x, y = x.astype(np.uint8), y.astype(np.int64)
    train, test = hold_out(y, DIGITS)
    return Dataset(
        name=DIGITS,
        train=(x[train], y[train]),
        test=(x[test], y[test]),
        classes=tuple("0123456789"),
        scale=1 / 16,
        image_shape=(8, 8),
        image_box=8,
    )


def locate_dataset(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the folder of a data set on this machine, without reading it.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    data_dir : str or path-like, optional
        The only folder to search, as for `load_dataset`.

    Returns
    -------
    Path or None
        The folder with all of its files, None if there is none.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown.
    DataError
        If `data_dir` is not a folder.
    """
    if name == DIGITS:
        return locate_digits()
    published = find_published(name)
    folder, paths = find_files(published, search_roots(data_dir))
    return folder if len(paths) == len(published.files) else None


def verify_dataset(name: str, data_dir: str | os.PathLike[str] | None = None) -> list[FileState]:
    """Check the files of a data set where `load_dataset` finds them.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    data_dir : str or path-like, optional
        The only folder to search, as for `load_dataset`.

    Returns
    -------
    list of FileState
        ``(file, state, detail)`` for each file; the state is ``ok``, ``absent`` or ``damaged``.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown.
    DataError
        If `data_dir` is not a folder.
    """
    if name == DIGITS:
        if found := locate_digits():
            return [FileState(str(found), "ok", "part of scikit-learn")]
        return [FileState("scikit-learn", "absent", NO_DIGITS)]
    published = find_published(name)
    folder, paths = find_files(published, search_roots(data_dir))
    states = [check_file(published, index, folder) for index in range(len(published.files))]
    if all(state.state == "ok" for state in states):
        try:  # each file is sound: check that they belong together
            read_published(published, paths)
        except DataError as error:
            states = [FileState(file, "damaged", str(error)) for file, _, _ in states]
    return states


def _is_path(name_or_path: object) -> bool:
    if isinstance(name_or_path, os.PathLike):
        return True
    if not isinstance(name_or_path, str) or not name_or_path:
        return False
    return (
        name_or_path.startswith("~")
        or name_or_path.endswith(".npz")
        or "/" in name_or_path
        or os.sep in name_or_path
        or is_table(name_or_path)
        or is_folder(Path(name_or_path))
        or is_file(Path(name_or_path))
    )
