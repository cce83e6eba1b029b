"""Tables from files or from memory, and data sets from tables.

For a data set the kinds of the columns are inferred, rows are held out as the test set, and the
encoders are fitted on the others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from anynet.checks import check_choice
from anynet.data.dataset import SPLIT, Arrays, Dataset
from anynet.data.files import expanded, quoted, reading
from anynet.data.subset import TEST_FRACTION, TEST_SEED, hold_out
from anynet.data.tables.arrow import read_arrow
from anynet.data.tables.delimited import read_delimited
from anynet.data.tables.encodings import Encoding
from anynet.data.tables.kinds import index_columns, infer_kinds, notes_on_kinds
from anynet.data.tables.layout import Opened
from anynet.data.tables.marked import infer_marks
from anynet.data.tables.marks import check_marks
from anynet.data.tables.preprocessing import Preprocessing, notes_on_rare
from anynet.data.tables.table import Table, as_name
from anynet.data.tables.target import (
    TASKS,
    Classes,
    find_classes,
    infer_task,
    measure_values,
    notes_on_classes,
    usable_rows,
)
from anynet.data.tables.values import to_numbers
from anynet.errors import DataError, InvalidArgumentError, ModelFileError

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")
DELIMITED = (".csv", ".tsv", ".tab", ".txt")

#: First bytes of files that hold pictures or arrays.
PICTURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"\x93NUMPY": "an array of NumPy",
    b"\0\0\x08": "an IDX file",
}


def is_table(name: str | os.PathLike[str]) -> bool:
    """Return whether a path has the ending of a table."""
    return Path(name).suffix.lower() in (*PARQUET, *ARROW, *DELIMITED)


def read_table(
    source: Any,
    *,
    decimal: str | None = None,
    thousands: str | None = None,
    header: bool = True,
) -> Table:
    """Read a table into memory.

    Parameters
    ----------
    source : path, mapping or data frame
        A CSV file (also separated by semicolons, tabs or bars), a Parquet, Arrow or Feather file,
        which need pyarrow; or columns in memory, see `Table.of`. A pipe is read once.
    decimal : {".", ","}, optional
        The decimal separator of numbers in text. By default it is inferred from each column when
        the table is used: as in the training rows, if a model predicts from it.
    thousands : {",", ".", " ", "'", ""}, optional
        The thousands separator, likewise; "" if there is none. " " stands for non-breaking spaces
        too.
    header : bool
        Whether the first line of a text file names the columns. Otherwise they are called
        "column 1", "column 2", ….

    Returns
    -------
    Table
        The table.

    Raises
    ------
    DataError
        If the file cannot be read, or is not a table.
    InvalidArgumentError
        If an argument is invalid.

    Examples
    --------
    >>> import anynet
    >>> table = anynet.read_table({"area": [62.5, None, 120.0], "town": ["Ulm", "Bonn", ""]})
    >>> list(table.columns), table.missing("area").tolist()
    (['area', 'town'], [False, True, False])
    """
    if isinstance(source, Table):
        table = source
    elif isinstance(source, (str, os.PathLike)):
        table = _read_file(expanded(source), header=header)
    else:
        table = Table.of(source)
    found = index_columns(table.columns)
    table = replace(table, index=tuple(dict.fromkeys([*table.index, *found])))
    if decimal is None and thousands is None:
        return table
    table, notes = infer_marks(table, decimal, thousands)
    return replace(table, notes=(*table.notes, *notes))


def picture_kind(path: Path) -> str:
    """Return what a file is if it holds a picture or an array, by its first bytes; otherwise ""."""
    if not path.is_file():  # of a pipe they could be read only once
        return ""
    with reading(path), path.open("rb") as file:
        return _picture_kind(file.read(6))


def _picture_kind(start: bytes) -> str:
    return next((kind for first, kind in PICTURES.items() if start.startswith(first)), "")


def _read_file(path: Path, *, header: bool) -> Table:
    with reading(path):
        opened = Opened.of(path)
        with opened.open() as file:
            start = file.read(6)
        if start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf")):
            message = f"{quoted(path)} is compressed or a spreadsheet: save the table as CSV"
            raise DataError(message)
        if kind := _picture_kind(start):
            message = f"{quoted(path)} is {kind}, not a table: expected a table, such as a CSV file"
            raise DataError(message)
        parquet = start.startswith(b"PAR1")
        if parquet or start == b"ARROW1" or path.suffix.lower() in ARROW:
            table = read_arrow(opened, parquet=parquet)
        else:
            table = read_delimited(opened, header=header)
    return replace(table, sha256=opened.sha256)


def load_tabular_dataset(
    source: Any,
    target: str,
    *,
    task: str | None = None,
    columns: Mapping[str, str] | None = None,
    test: float | str | os.PathLike[str] = TEST_FRACTION,
    seed: int = TEST_SEED,
    decimal: str | None = None,
    thousands: str | None = None,
    header: bool = True,
    encoding: str | Encoding | None = None,
) -> Dataset:
    """Load a table as a data set with encoded inputs and one column as target.

    Column types and missing values are detected. Numbers are centred by the median, scaled by the
    distance of the quartiles and clipped smoothly; categories get an input each (at most
    `MOST_LEVELS`); missing values are imputed, with an indicator; text that names rows is left out.
    ``Dataset.notes`` reports what was done. Everything is measured on the training rows only.

    Parameters
    ----------
    source : path, mapping or data frame
        See `read_table`.
    target : str
        The column to predict. Rows without a value in it are left out.
    task : {"classification", "regression"}, optional
        By default numbers are values for regression; a few whole numbers, and text, are classes.
    columns : mapping of str to str, optional
        Kinds of columns by name, which override detection: "number", "boolean", "date",
        "category" or "ignored".
    test : float or path
        The share of rows to hold out as the test set, the same for each class, drawn with `seed`;
        0 for no test set; or a table of test rows.
    seed : int
        Seed of the draw of the test rows only.
    decimal : {".", ","}, optional
        The decimal separator of numbers in text. By default it is inferred from each column;
        ``Dataset.notes`` reports it. New rows are read in the same way.
    thousands : {",", ".", " ", "'", ""}, optional
        The thousands separator, likewise; "" if there is none. " " stands for non-breaking spaces
        too.
    header : bool
        See `read_table`.
    encoding : str, Encoding or None
        How columns become inputs, see `Preprocessing.fit`.

    Returns
    -------
    Dataset
        ``train`` and ``test`` hold float32 inputs, and int64 labels or standardised values;
        ``preprocessing`` encodes raw rows and decodes predictions.

    Raises
    ------
    DataError
        If the table cannot be read or has no such column, or nothing can be learnt from it.
    InvalidArgumentError
        If an argument is invalid.

    Examples
    --------
    >>> import anynet
    >>> rows = {"id": range(60), "colour": ["red", "blue"] * 30, "price": range(5, 305, 5)}
    >>> data = anynet.load_tabular_dataset(rows, target="price")
    >>> data.preprocessing.input_names
    ['colour = blue', 'colour = red']
    >>> data.notes
    ('id is not used: its distinct whole numbers name the rows',)
    """
    if task is not None:
        check_choice("task", task, TASKS)
    share = float(test) if isinstance(test, (int, float)) else None
    if share is not None and not 0 <= share < 1:
        message = f"test must be a share in [0, 1), or a table of test rows, got {test!r}"
        raise InvalidArgumentError(message)
    check_marks(decimal, thousands)
    columns = {as_name(name): kind for name, kind in (columns or {}).items()}
    read = table = read_table(source, header=header)
    target = table.require(target)
    marked: list[str] = []
    if read.marks is None:
        table, marked = infer_marks(read, decimal, thousands, columns)
    wanted, task = task, task or infer_task(table, target)
    inferred = read.marks is None and decimal is thousands is None
    if task == "classification" and inferred and target in (table.marks or {}):
        # Classes are exact: 1.000 may be another one than 1000.
        table, marked = infer_marks(read, kinds=columns | {target: "category"})
    found = infer_kinds(table, target, columns)
    table = with_numbers(table, [name for name, each in found.items() if each.kind == "number"])
    rows, note = usable_rows(table, target, task)
    classes = find_classes(rows, target) if task == "classification" else None
    notes = [*marked, *notes_on_kinds(found), *note]
    if classes is not None:
        notes += notes_on_classes(classes, inferred=wanted is None)
    test_rows = None
    if share is None:
        test_rows = read_table(test, header=header)
    elif share:
        rows, test_rows = split_rows(rows, classes, share, seed)
    clamped = encoding is not None and Encoding.of(encoding).clamped
    values = classes or measure_values(target, rows.columns[target], clamp=clamped)
    preprocessing = Preprocessing.fit(rows, found, values, encoding)
    train, more = labelled_rows(preprocessing, rows)
    notes += [*notes_on_rare(preprocessing.encoders), *more]
    held_out = train[0][:0], train[1][:0]
    if test_rows is not None:
        held_out, more = labelled_rows(preprocessing, test_rows)
        notes += [f"test rows: {each}" for each in more if each not in notes]
    named = isinstance(source, (str, os.PathLike))
    sha256 = table.sha256 or (digest(source) if named else "")
    split = {"sha256": sha256, "share": share, "seed": seed} if named else None
    return Dataset(
        name=Path(source).stem if named else table.name,
        train=train,
        test=held_out,
        classes=classes.levels if classes else (),
        preprocessing=preprocessing,
        notes=tuple(notes),
        split=split,
    )


def with_numbers(table: Table, names: list[str]) -> Table:
    """Convert the text of columns once, if each value that is present is a number.

    Parameters
    ----------
    table : Table
        The table.
    names : list of str
        Columns of numbers.

    Returns
    -------
    Table
        With float64 in place of text.
    """
    columns = dict(table.columns)
    for name in names:
        values, _ = to_numbers(columns[name])
        if np.array_equal(np.isnan(values), table.missing(name)):
            columns[name] = values
    return replace(table, columns=columns)


def labelled_rows(preprocessing: Preprocessing, table: Table) -> tuple[Arrays, list[str]]:
    """Encode the rows with a known target.

    Parameters
    ----------
    preprocessing : Preprocessing
        That of the training rows.
    table : Table
        Raw rows with the target.

    Returns
    -------
    arrays : tuple of ndarray
        Inputs and targets, as in a `Dataset`.
    notes : list of str
        What was done about values, and about rows that were left out.

    Raises
    ------
    DataError
        If no row has a known target, or none of the columns is present.
    """
    y, absent = preprocessing.labels(table)
    notes = []
    if absent.any():
        name = preprocessing.target.column
        notes.append(
            f"{name}: {np.sum(absent):,} of {absent.size:,} rows have no value that the model "
            f"knows ({table.shown(name, absent)}): left out"
        )
        table, y = table.take(~absent), y[~absent]
    x, more = preprocessing.encode(table)
    return (x, y), notes + more


def split_rows(
    table: Table, classes: Classes | None, share: float, seed: int
) -> tuple[Table, Table]:
    """Hold rows out as a test set: the same share of each class, or of all rows for values.

    Parameters
    ----------
    table : Table
        Rows with a target.
    classes : Classes or None
        The target, if it has classes.
    share : float
        Share to hold out, in (0, 1).
    seed : int
        Seed of the draw.

    Returns
    -------
    train, test : Table
        The two parts.
    """
    strata = np.zeros(table.n_rows, dtype=np.int64)
    if classes is not None:
        strata, _ = classes.encode(table.columns[classes.column])
    kept, held = hold_out(strata, table.name, share, seed)
    return table.take(kept), table.take(held)


def rows_to_score(model: Any, source: Any, *, header: bool = True) -> tuple[Table, str]:
    """Read a table to score a model on: of the file of its training, the rows held out.

    The file is recognised by its checksum, so that training rows are not used as new ones.

    Parameters
    ----------
    model : Model
        A model that was trained on a table.
    source : path, mapping or data frame
        See `read_table`.
    header : bool
        See `read_table`.

    Returns
    -------
    rows : Table
        The rows to score on.
    description : str
        What they are.

    Raises
    ------
    ModelFileError
        If the metadata of the model are damaged.
    """
    table = read_table(source, header=header)
    split = model.metadata.get(SPLIT)
    if not isinstance(split, dict) or split.get("sha256") != (table.sha256 or digest(source)):
        return table, "rows"
    if not split.get("share"):
        return table, "rows, on which it was trained"
    preprocessing = Preprocessing.of(model)
    target = preprocessing.target
    table, _ = preprocessing.read(table)
    rows, _ = usable_rows(table, target.column, target.task)
    classes = target if isinstance(target, Classes) else None
    try:
        held_out = split_rows(rows, classes, float(split["share"]), int(split["seed"]))[1]
    except (KeyError, TypeError, ValueError) as error:
        message = f"the model does not describe correctly which rows were held out: {split!r}"
        raise ModelFileError(message) from error
    return held_out, "rows that training held out"


def digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file."""
    with expanded(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
