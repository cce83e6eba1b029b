"""Data sets by name or by path: looked for on this machine, then fetched."""

import os
from pathlib import Path

from anynet.data.catalogue import CATALOGUE
from anynet.data.dataset import Dataset
from anynet.data.digits import MISSING, load_digits, locate_digits
from anynet.data.digits import NAME as DIGITS
from anynet.data.download import Progress
from anynet.data.fetch import advice, fetch_dataset
from anynet.data.files import expanded, is_file, is_folder, quoted
from anynet.data.locate import cache_folder, find_all, find_most, search_roots
from anynet.data.names import find_source, unknown_name
from anynet.data.read import read_path, read_published
from anynet.data.tables.read import is_table
from anynet.data.verify import FileState, check_file
from anynet.errors import DataError, InvalidArgumentError


def load_dataset(
    name_or_path: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set.

    A named data set is looked for in `data_dir`, or else in the folder that ``ANYNET_DATA_DIR``
    names and then in the cache (``ANYNET_CACHE_DIR``). In each, a folder of the data set's name
    comes before files that lie there directly. Files may be compressed or not.

    Parameters
    ----------
    name_or_path : str or path-like
        One of `dataset_names`, or the path of an ``.npz`` archive or of a folder of IDX files,
        see `anynet.data.read.read_path`. A name comes before a path of the same spelling.
    data_dir : str or path-like, optional
        The one folder to look in. When it is given, nothing is fetched.
    download : bool
        Whether to fetch what is not found.
    progress : callable, optional
        Told of the download, see `fetch_dataset`.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    InvalidArgumentError
        When the name is not known and is no path.
    DataError
        When the files are absent and cannot be fetched, damaged, or not what they claim to be.
    """
    if name_or_path == DIGITS:
        return load_digits()
    if not isinstance(name_or_path, str) or name_or_path not in CATALOGUE:
        if isinstance(name_or_path, (str, os.PathLike)) and is_table(name_or_path):
            message = (
                f"{quoted(Path(name_or_path))} is a table: load it by anynet.load_table, with the "
                f"column to predict as target"
            )
            raise InvalidArgumentError(message)
        if _looks_like_path(name_or_path):
            return read_path(expanded(name_or_path))
        raise unknown_name(name_or_path)
    source, roots = find_source(name_or_path), search_roots(data_dir)
    if paths := find_all(source, roots):
        return read_published(source, paths)
    if data_dir is not None or not download:
        places = " or ".join(map(quoted, roots))
        message = f"the data set {source.name!r} is not in {places}: {advice(source)}"
        raise DataError(message)
    fetch_dataset(source.name, progress)
    return load_dataset(source.name, cache_folder())


def locate_dataset(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Find a data set on this machine, without reading it.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    data_dir : str or path-like, optional
        The one folder to look in, as for `load_dataset`.

    Returns
    -------
    Path or None
        The folder with all of its files, None when there is none.

    Raises
    ------
    InvalidArgumentError
        When the name is not known.
    DataError
        When `data_dir` is no folder.
    """
    if name == DIGITS:
        return locate_digits()
    paths = find_all(find_source(name), search_roots(data_dir))
    return paths[0].parent if paths else None


def verify_dataset(name: str, data_dir: str | os.PathLike[str] | None = None) -> list[FileState]:
    """Check the files of a data set where `load_dataset` would find them.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    data_dir : str or path-like, optional
        The one folder to look in, as for `load_dataset`.

    Returns
    -------
    list of FileState
        ``(file, state, detail)`` for each file; the state is ``ok``, ``absent`` or ``damaged``.

    Raises
    ------
    InvalidArgumentError
        When the name is not known.
    DataError
        When `data_dir` is no folder.
    """
    if name == DIGITS:
        found = locate_digits()
        if found:
            return [FileState(str(found), "ok", "part of scikit-learn")]
        return [FileState("scikit-learn", "absent", MISSING)]
    source, roots = find_source(name), search_roots(data_dir)
    paths = find_all(source, roots)
    folder = paths[0].parent if paths else find_most(source, roots) or roots[0]
    states = [check_file(source, index, folder) for index in range(len(source.files))]
    if paths and all(state.state == "ok" for state in states):
        try:  # each is sound: now whether they belong together
            read_published(source, paths)
        except DataError as error:
            states = [FileState(file, "damaged", str(error)) for file, _, _ in states]
    return states


def _looks_like_path(name_or_path: object) -> bool:
    if isinstance(name_or_path, os.PathLike):
        return True
    if not isinstance(name_or_path, str) or not name_or_path:
        return False
    if name_or_path.startswith("~") or name_or_path.endswith(".npz"):
        return True
    if "/" in name_or_path or os.sep in name_or_path:
        return True
    return is_folder(Path(name_or_path)) or is_file(Path(name_or_path))
