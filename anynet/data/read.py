"""Data sets of the user's own: ``.npz`` archives and folders of arrays, in memory or on disk."""

import os
from pathlib import Path

from anynet.data.assemble import assemble, from_arrays
from anynet.data.dataset import Arrays, Dataset
from anynet.data.files import expanded, is_file, is_folder, quoted, special_kind
from anynet.data.idx import find_idx
from anynet.data.memory import available_memory
from anynet.data.npy import array_names, read_npz
from anynet.data.sources.open import open_source, read_array
from anynet.errors import DataError, InvalidArgumentError

MEMORY_SHARE = 0.5  # share of the available memory beyond which files stay on disk
_NPZ_LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("x_train", "y_train"),
    ("x", "y"),
    ("X", "y"),
)


def read_path(path: Path) -> Dataset:
    """Read a data set of the user's own into memory.

    Parameters
    ----------
    path : Path
        An ``.npz`` archive of ``x_train, y_train[, x_test, y_test]`` or ``x, y`` or ``X, y``; or a
        folder of IDX files named as in MNIST: ``train-*images*``, ``train-*labels*`` and, with
        ``t10k-`` or ``test-``, the same for the test set; or a folder with ``x.npy``, ``y.npy`` and
        optionally ``x_test.npy``, ``y_test.npy``.

    Returns
    -------
    Dataset
        The data set, see `anynet.data.assemble.from_arrays`.

    Raises
    ------
    DataError
        If there is no such file or folder, or it does not contain a data set.
    """
    return from_arrays(*read_pairs(path))


def read_pairs(path: Path) -> tuple[str, Arrays, Arrays | None]:
    """Read the arrays of a data set of the user's own, whose targets may be of any kind.

    Parameters
    ----------
    path : Path
        See `read_path`.

    Returns
    -------
    name : str
        Name of the file or folder.
    train, test : tuple of ndarray
        Samples and targets; without a test set, the second pair is None.

    Raises
    ------
    DataError
        If there is no such file or folder, or it does not contain a data set.
    """
    if is_folder(path):
        train, *tests = [(read_array(x), read_array(y)) for x, y in _array_files(path)]
        return path.resolve().name, train, tests[0] if tests else None
    expected = "expected an .npz file or a folder of IDX files"
    if kind := special_kind(path):
        hint = "; a table needs the name of its target column" if kind == "pipe" else ""
        message = f"{quoted(path)} is a {kind}: {expected}{hint}"
        raise DataError(message)
    if not is_file(path):
        message = f"{quoted(path)} does not exist: {expected}"
        raise DataError(message)
    present = set(array_names(path))
    for layout in _NPZ_LAYOUTS:
        if present.issuperset(layout) and not (len(layout) == 2 and present & {"x_test", "y_test"}):
            x, y, *rest = read_npz(path, layout)
            return path.stem, (x, y), (rest[0], rest[1]) if rest else None
    message = (
        f"{quoted(path)} holds the arrays {sorted(present)[:8]}: expected x_train and y_train, "
        "with x_test and y_test or without both, or else x and y"
    )
    raise DataError(message)


def is_too_large(path: str | os.PathLike[str]) -> bool:
    """Return whether the files of a folder exceed half of the memory that is available."""
    folder, available = expanded(path), available_memory()
    if available is None or not is_folder(folder):
        return False
    size = sum(file.stat().st_size for file in folder.iterdir() if is_file(file))
    return size > MEMORY_SHARE * available


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Open a folder of arrays as a data set whose samples stay on disk until they are needed.

    Parameters
    ----------
    path : str or path-like
        A folder as for `read_path`; IDX files must not be compressed.

    Returns
    -------
    Dataset
        The same as from `load_dataset`, except that ``train[0]`` and ``test[0]`` are each a
        `Source`. Labels are in memory.

    Raises
    ------
    InvalidArgumentError
        If it is not a folder.
    DataError
        If it does not contain a data set that can be read in part.
    """
    folder = expanded(path)
    if not is_folder(folder):
        message = f"{quoted(folder)} is not a folder: only folders of arrays are read in part"
        raise InvalidArgumentError(message)
    sources = [open_source(x, y) for x, y in _array_files(folder)]
    pairs = [(source, source.y) for source in sources if source.y is not None]
    sample_shape: tuple[int, ...] = getattr(sources[0], "sample_shape", ())
    return assemble(folder.resolve().name, pairs, sample_shape)


def _array_files(folder: Path) -> list[tuple[Path, Path]]:
    """Return the files of samples and labels of the training set, and of the test set if any."""
    if is_file(folder / "x.npy"):
        pairs = [(folder / "x.npy", folder / "y.npy")]
        if is_file(folder / "x_test.npy"):
            pairs.append((folder / "x_test.npy", folder / "y_test.npy"))
        return pairs
    pairs = []
    for prefixes in (("train",), ("t10k", "test")):
        images, labels = (find_idx(folder, kind, prefixes) for kind in ("images", "labels"))
        if images and labels:
            pairs.append((images, labels))
        elif single := images or labels:
            message = f"{quoted(single)} is alone: expected images and labels in {quoted(folder)}"
            raise DataError(message)
        elif not pairs:
            message = (
                f"{quoted(folder)} has no training files: expected train-images-idx3-ubyte and "
                "train-labels-idx1-ubyte (or .gz), and the same with t10k or test"
            )
            raise DataError(message)
    return pairs
