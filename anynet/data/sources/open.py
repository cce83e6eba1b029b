"""``open_source``: samples on disk that are read when they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anynet.checks import check_choice, check_whole
from anynet.data.files import expanded, is_file, is_folder, quoted, reading, special_kind
from anynet.data.idx import find_idx, read_idx
from anynet.data.npy import read_npy
from anynet.data.sources.arrays import open_array
from anynet.data.sources.csv import CsvTable
from anynet.data.sources.source import WINDOW_BYTES, Source
from anynet.data.sources.tables import ArrowTable, ParquetTable, TableFile
from anynet.data.sources.wrappers import Joined
from anynet.data.tables.load import ARROW, DELIMITED, PARQUET
from anynet.data.tables.marks import check_marks
from anynet.errors import DataError, InvalidArgumentError

SHUFFLES = ("blocks", "exact")
READERS: dict[str, Callable[..., TableFile]] = {
    **dict.fromkeys(PARQUET, ParquetTable),
    **dict.fromkeys(ARROW, ArrowTable),
    **dict.fromkeys(DELIMITED, CsvTable),
}


def open_source(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: Any = None,
    *,
    shuffle: str = "blocks",
    window: int = WINDOW_BYTES,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Source:
    """Open samples on disk that ``fit`` reads block by block; only targets are read immediately.

    Parameters
    ----------
    path : path-like, or a sequence of them
        A file: ``.npy`` or IDX, uncompressed, with a row (or an image) for each sample; or
        ``.parquet``, ``.arrow``, ``.feather``, ``.csv`` or ``.tsv`` with a numeric column for each
        input, which needs pyarrow. Or a folder with ``x.npy`` and optionally ``y.npy``, or with the
        IDX files ``train-*images*`` and ``train-*labels*``, or with tables of one kind. Several
        tables are joined in the given order, those of a folder by name.
    target : str, path-like or array, optional
        The name of a table's column; or, for an array, targets in memory or the path of an
        ``.npy`` or IDX file, which is read. By default the targets of the folder, if any.
    shuffle : {"blocks", "exact"}
        How the order of an epoch is drawn. ``"blocks"``: blocks of about a megabyte (tables: as
        they are stored) in random order, shuffled within a window, see
        `anynet.data.batches.block_order`. ``"exact"``: over all samples, each read by itself, which
        is fast only if the system caches the file in memory; for arrays only. Either way each
        sample comes once an epoch, and the order follows from the seed of ``fit``.
    window : int
        Approximate number of bytes that are read at a time. Two windows are in memory.
    decimal, thousands : str, optional
        The separators of numbers in text files, see `read_table`. By default they are inferred from
        the first megabyte; a warning reports them, and numbers that contradict them are refused.

    Returns
    -------
    Source
        It replaces ``x`` or, with targets, ``(x, y)``.

    Raises
    ------
    DataError
        If a file is absent, damaged, or not numeric.
    InvalidArgumentError
        If an argument is invalid.

    Examples
    --------
    >>> import anynet, numpy as np, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> np.save(folder / "x.npy", np.eye(4, dtype="float32"))
    >>> np.save(folder / "y.npy", np.arange(4))
    >>> source = anynet.open_source(folder)
    >>> source.shape, source.y.tolist()
    ((4, 4), [0, 1, 2, 3])
    """
    check_choice("shuffle", shuffle, SHUFFLES)
    check_whole("window", window)
    check_marks(decimal, thousands)
    exact = shuffle == "exact"
    given: Any = path
    several = isinstance(given, Iterable) and not isinstance(given, (str, bytes, os.PathLike))
    files = [expanded(each) for each in (given if several else [given])]
    if len(files) == 1 and is_folder(files[0]):
        files, target = _in_folder(files[0], target)
    if not files:
        message = "open_source needs the path of a file or folder"
        raise InvalidArgumentError(message)
    for file in files:
        if kind := special_kind(file):
            message = f"{quoted(file)} is a {kind}, which cannot be read in part: expected a file"
            raise DataError(message)
    separators = {"decimal": decimal, "thousands": thousands}
    options = {name: value for name, value in separators.items() if value is not None}
    reader = READERS.get(files[0].suffix.lower())
    if options and reader is not CsvTable:
        message = f"{quoted(files[0])} is not a text file: {', '.join(options)} cannot be used"
        raise InvalidArgumentError(message)
    if reader:
        if exact:
            message = (
                "the rows of a table cannot be read one by one: choose shuffle='blocks', or load "
                "it into an array"
            )
            raise InvalidArgumentError(message)
        if target is not None and not isinstance(target, str):
            message = f"target must be the name of a column, got {type(target).__name__}"
            raise InvalidArgumentError(message)
        return _open_tables(files, target, window, options)
    if len(files) > 1:
        message = "several files are joined only if they are tables: give one .npy or IDX file"
        raise InvalidArgumentError(message)
    source = open_array(files[0], exact, window)
    if target is not None:
        source.y = _targets(target)
        if len(source.y) != len(source):
            message = (
                f"{quoted(files[0])} has {len(source)} samples and there are {len(source.y)} "
                f"targets: they must be equal"
            )
            raise DataError(message)
    return source


def _open_tables(
    files: list[Path], target: str | None, window: int, options: dict[str, str]
) -> Source:
    reader = READERS[files[0].suffix.lower()]
    if any(READERS.get(file.suffix.lower()) is not reader for file in files):
        suffixes = sorted({file.suffix for file in files})
        message = f"expected tables of one kind, got {', '.join(suffixes)}"
        raise InvalidArgumentError(message)
    tables = [reader(file, target, window, **options) for file in files]
    for file, table in zip(files, tables, strict=True):
        if table.columns != tables[0].columns:
            message = (
                f"{quoted(file)} has other columns than {quoted(files[0])}: expected the same in "
                f"the same order"
            )
            raise DataError(message)
    return tables[0] if len(tables) == 1 else Joined(tables)


def _in_folder(folder: Path, target: Any) -> tuple[list[Path], Any]:
    """Return the files of samples in a folder, and the targets if none were given."""
    x, y = folder / "x.npy", folder / "y.npy"
    if is_file(x):
        return [x], y if target is None and is_file(y) else target
    if images := find_idx(folder, "images", ("train",)):
        return [images], find_idx(folder, "labels", ("train",)) if target is None else target
    for suffix in READERS:
        if suffix == ".txt":  # often a description of the samples
            continue
        if tables := sorted(folder.glob(f"*{suffix}")):
            return tables, target
    message = (
        f"{quoted(folder)} holds no samples: expected x.npy and y.npy, train-images-idx3-ubyte and "
        f"train-labels-idx1-ubyte, or tables ({', '.join(READERS)})"
    )
    raise DataError(message)


def _targets(target: Any) -> np.ndarray:
    if isinstance(target, np.ma.MaskedArray):
        message = "the targets are a masked array: drop the masked samples, and give a plain array"
        raise InvalidArgumentError(message)
    if not isinstance(target, (str, os.PathLike)):
        return np.asarray(target)
    return read_array(expanded(target))


def read_array(path: Path) -> np.ndarray:
    """Read an ``.npy`` or IDX file into memory.

    Parameters
    ----------
    path : Path
        The file; it is IDX unless its name ends in ``.npy``.

    Returns
    -------
    ndarray
        The array.

    Raises
    ------
    DataError
        If it is absent or damaged.
    """
    if path.suffix != ".npy":
        return read_idx(path)
    with reading(path):
        return read_npy(path)
