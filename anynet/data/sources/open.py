"""``open_data``: from a path to samples that are read when they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.files import is_file, is_folder, one_line, quoted, special_kind
from anynet.data.idx import read_idx
from anynet.data.locate import expanded
from anynet.data.npy import read_npy
from anynet.data.sources.arrow import ArrowTable
from anynet.data.sources.csv import CsvTable
from anynet.data.sources.idx import open_idx
from anynet.data.sources.joined import Joined
from anynet.data.sources.npy import open_npy
from anynet.data.sources.parquet import ParquetTable
from anynet.data.sources.source import WINDOW_BYTES, Source
from anynet.data.sources.tables import Table
from anynet.data.tables.read import ARROW, DELIMITED, PARQUET
from anynet.errors import DataError, InvalidArgumentError

SHUFFLES = ("blocks", "exact")
TABLES: dict[str, Callable[..., Table]] = {
    **dict.fromkeys(PARQUET, ParquetTable),
    **dict.fromkeys(ARROW, ArrowTable),
    **dict.fromkeys(DELIMITED, CsvTable),
}


def open_data(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: Any = None,
    *,
    shuffle: str = "blocks",
    window: int = WINDOW_BYTES,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Source:
    """Open samples on disk that ``fit`` reads block by block; nothing but targets is read yet.

    Parameters
    ----------
    path : path-like, or a sequence of them
        A file: ``.npy`` or IDX, uncompressed, with a row (or an image) for each sample; or
        ``.parquet``, ``.arrow``, ``.feather``, ``.csv`` or ``.tsv`` with a numeric column for each
        input, which needs pyarrow. Or a folder with ``x.npy`` and perhaps ``y.npy``, or with the
        IDX files ``train-*images*`` and ``train-*labels*``, or with tables of one kind. Several
        tables are joined in the order given, those of a folder by name.
    target : str, path-like or array, optional
        The name of a table's column; or, beside an array, targets in memory or the path of an
        ``.npy`` or IDX file, which is read. Without it, what a folder holds, or no targets.
    shuffle : {"blocks", "exact"}
        How an epoch's order is drawn. ``"blocks"``: blocks of about a megabyte (tables: as they
        are stored) in random order, shuffled within a window, see `anynet.data.shuffle`.
        ``"exact"``: over all samples, each read by itself, which is quick only where the system
        holds the file in memory; for arrays alone. Either way each sample comes once an epoch,
        and the order follows from ``fit``'s seed.
    window : int
        About how many bytes are read at a time. Two windows are held in memory.
    decimal, thousands : str, optional
        The separators of numbers in text files, see `read_table`. By default they are inferred from
        the first megabyte; a warning reports them, and numbers that contradict them are refused.

    Returns
    -------
    Source
        It stands for ``x`` or, with targets, for ``(x, y)``.

    Raises
    ------
    DataError
        When a file is absent, damaged, or does not hold numbers.
    InvalidArgumentError
        When an argument is not as documented.

    Examples
    --------
    >>> import anynet, numpy as np, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> np.save(folder / "x.npy", np.eye(4, dtype="float32"))
    >>> np.save(folder / "y.npy", np.arange(4))
    >>> source = anynet.open_data(folder)
    >>> source.shape, source.y.tolist()
    ((4, 4), [0, 1, 2, 3])
    """
    if shuffle not in SHUFFLES:
        message = f"shuffle must be one of {', '.join(SHUFFLES)}, got {shuffle!r}"
        raise InvalidArgumentError(message)
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        message = f"window must be a whole number of bytes, got {window!r}"
        raise InvalidArgumentError(message)
    exact = shuffle == "exact"
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    files = [expanded(each) for each in paths]
    if len(files) == 1 and is_folder(files[0]):
        files, target = _in_folder(files[0], target)
    if not files:
        message = "open_data needs the path of a file or folder"
        raise InvalidArgumentError(message)
    for file in files:
        if kind := special_kind(file):
            message = f"{quoted(file)} is a {kind}, which cannot be read in part: expected a file"
            raise DataError(message)
    given = {"decimal": decimal, "thousands": thousands}
    options = {name: value for name, value in given.items() if value is not None}
    if options and _reader(files[0]) is not CsvTable:
        message = f"{quoted(files[0])} is not a text file: {', '.join(options)} cannot be used"
        raise InvalidArgumentError(message)
    if _reader(files[0]):
        return _open_tables(files, target, exact, window, options)
    if len(files) > 1:
        message = "several files are joined where they are tables: give one .npy or IDX file"
        raise InvalidArgumentError(message)
    source = (open_npy if files[0].suffix == ".npy" else open_idx)(files[0], exact, window)
    if target is not None:
        source.y = _targets(target)
        if len(source.y) != len(source):
            message = (
                f"{quoted(files[0])} has {len(source)} samples and there are {len(source.y)} "
                f"targets: they must be equal"
            )
            raise DataError(message)
    return source


def _reader(file: Path) -> Callable[..., Table] | None:
    return TABLES.get(file.suffix.lower())


def _open_tables(
    files: list[Path], target: Any, exact: bool, window: int, options: dict[str, str]
) -> Source:
    if exact:
        message = (
            "the rows of a table cannot be read one by one: choose shuffle='blocks', or load it "
            "into an array"
        )
        raise InvalidArgumentError(message)
    if target is not None and not isinstance(target, str):
        message = f"target must be the name of a column, got {type(target).__name__}"
        raise InvalidArgumentError(message)
    readers = {_reader(file) for file in files}
    reader = readers.pop()
    if readers or reader is None:
        kinds = sorted({file.suffix for file in files})
        message = f"expected tables of one kind, got {', '.join(kinds)}"
        raise InvalidArgumentError(message)
    tables = [reader(file, target, window, **options) for file in files]
    for table in tables[1:]:
        if table.columns != tables[0].columns:
            message = (
                f"{quoted(table.path)} has other columns than {quoted(tables[0].path)}: expected "
                f"the same in the same order"
            )
            raise DataError(message)
    return tables[0] if len(tables) == 1 else Joined(tables)


def _in_folder(folder: Path, target: Any) -> tuple[list[Path], Any]:
    """Return the files of samples in a folder, and the targets if none were given."""
    if is_file(folder / "x.npy"):
        beside = folder / "y.npy"
        return [folder / "x.npy"], beside if target is None and is_file(beside) else target
    images, labels = (sorted(folder.glob(f"train-*{kind}*")) for kind in ("images", "labels"))
    if len(images) == 1:
        return images, labels[0] if target is None and len(labels) == 1 else target
    for suffix in TABLES:
        if suffix == ".txt":  # what lies beside the samples may explain them
            continue
        if tables := sorted(folder.glob(f"*{suffix}")):
            return tables, target
    message = (
        f"{quoted(folder)} holds no samples: expected x.npy and y.npy, train-images-idx3-ubyte and "
        f"train-labels-idx1-ubyte, or tables ({', '.join(TABLES)})"
    )
    raise DataError(message)


def _targets(target: Any) -> np.ndarray:
    if isinstance(target, np.ma.MaskedArray):
        message = "the targets are a masked array: drop the masked samples, and give a plain array"
        raise InvalidArgumentError(message)
    if not isinstance(target, (str, os.PathLike)):
        return np.asarray(target)
    path = expanded(target)
    if path.suffix != ".npy":
        return read_idx(path)
    try:
        return read_npy(path)
    except OSError as error:
        message = f"{quoted(path)} cannot be read ({one_line(error)})"
        raise DataError(message) from error
