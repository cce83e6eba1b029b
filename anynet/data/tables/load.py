"""From a table to a data set: kinds found, rows held out, the preprocessing fitted on the rest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.dataset import SPLIT, Arrays, Dataset
from anynet.data.files import expanded
from anynet.data.holdout import TEST_FRACTION, TEST_SEED, hold_out
from anynet.data.tables.kinds import infer_kinds
from anynet.data.tables.marked import infer_marks
from anynet.data.tables.marks import check_marks
from anynet.data.tables.names import as_name
from anynet.data.tables.notes import notes_on_classes, notes_on_kinds, notes_on_rare
from anynet.data.tables.preprocessing import Preprocessing
from anynet.data.tables.read import read_table
from anynet.data.tables.table import Table
from anynet.data.tables.target import (
    Classes,
    check_task,
    find_classes,
    infer_task,
    measure_values,
    usable_rows,
)
from anynet.data.tables.values import to_numbers
from anynet.errors import InvalidArgumentError, ModelFileError


def load_table(
    source: Any,
    target: str,
    *,
    task: str | None = None,
    columns: Mapping[str, str] | None = None,
    test: float | str | os.PathLike[str] = TEST_FRACTION,
    seed: int = TEST_SEED,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Dataset:
    """Load a table as a data set whose inputs are encoded and whose target is a column.

    What its columns hold is found out. Numbers are centred by the median, scaled by the distance
    of the quartiles and clipped smoothly; categories get an input each (`MOST_LEVELS` at most);
    missing values are imputed, with an indicator; text that names rows is left out.
    ``Dataset.notes`` says what was done. All of that is measured on the training rows alone.

    Parameters
    ----------
    source : path, mapping or data frame
        See `read_table`.
    target : str
        The column to predict. Rows without it are left out.
    task : {"classification", "regression"}, optional
        By default numbers are values to regress on, but a few whole numbers are classes, as is
        text.
    columns : mapping of str to str, optional
        What columns hold where the values deceive: "number", "boolean", "date", "category" or
        "ignored", by name.
    test : float or path
        The share of rows to hold out as the test set, drawn with `seed`, of each class the same
        share; or a table of test rows.
    seed : int
        Draws the rows held out, and nothing else.
    decimal : {".", ","}, optional
        The decimal separator of numbers in text. By default it is inferred from each column;
        ``Dataset.notes`` reports it. New rows are read in the same way.
    thousands : {",", ".", " ", "'", ""}, optional
        The thousands separator, likewise; "" if there is none. " " stands for non-breaking spaces
        too.

    Returns
    -------
    Dataset
        ``train`` and ``test`` hold float32 inputs, and int64 labels or standardised values;
        ``preprocessing`` and ``metadata`` bring raw rows in and predictions out.

    Raises
    ------
    DataError
        If the table cannot be read or has no such column, or nothing can be learnt from it.
    InvalidArgumentError
        If an argument is not as documented.

    Examples
    --------
    >>> import anynet
    >>> rows = {"id": range(60), "colour": ["red", "blue"] * 30, "price": range(5, 305, 5)}
    >>> data = anynet.load_table(rows, target="price")
    >>> data.preprocessing.input_names
    ['colour = blue', 'colour = red']
    >>> data.notes
    ('id is not used: its distinct whole numbers name the rows',)
    """
    wanted = check_task(task)
    share = float(test) if isinstance(test, (int, float)) else None
    if share is not None and not 0 < share < 1:
        message = f"test must be a share in (0, 1), or a table of test rows, got {test!r}"
        raise InvalidArgumentError(message)
    check_marks(decimal, thousands)
    columns = {as_name(name): kind for name, kind in (columns or {}).items()}
    read = table = read_table(source)
    target = table.require(target)
    marked: list[str] = []
    if read.marks is None:
        table, marked = infer_marks(read, decimal, thousands, columns)
    task = wanted or infer_task(table, target)
    inferred = read.marks is None and decimal is thousands is None
    if task == "classification" and inferred and target in (table.marks or {}):
        # Classes are exact: 1.000 may be another one than 1000.
        table, marked = infer_marks(read, kinds=columns | {target: "category"})
    found = infer_kinds(table, target, columns)
    table = _with_numbers(table, [name for name, each in found.items() if each.kind == "number"])
    rows, note = usable_rows(table, target, task)
    classes = find_classes(rows, target) if task == "classification" else None
    notes = [*marked, *notes_on_kinds(found), *note]
    if classes is not None:
        notes += notes_on_classes(classes, inferred=wanted is None)
    if share is None:
        test_rows = read_table(test)
    else:
        rows, test_rows = split_rows(rows, classes, share, seed)
    column = rows.columns[target]
    preprocessing = Preprocessing.fit(
        rows, found, classes or measure_values(target, column, rows.decimal)
    )
    train, told = labelled_rows(preprocessing, rows)
    notes += [*notes_on_rare(preprocessing.encoders), *told]
    held_out, told = labelled_rows(preprocessing, test_rows)
    notes += [f"test rows: {each}" for each in told if each not in notes]
    named = isinstance(source, (str, os.PathLike))
    sha256 = table.sha256 or (digest(source) if named else "")
    split = {"sha256": sha256, "share": share, "seed": seed} if named else None
    return Dataset(
        name=Path(source).stem if named else table.name,
        train=train,
        test=held_out,
        classes=classes.levels if classes else (),
        scale=1.0,
        image_shape=None,
        image_box=None,
        preprocessing=preprocessing,
        notes=tuple(notes),
        split=split,
    )


def _with_numbers(table: Table, names: list[str]) -> Table:
    """Convert the text of columns once, where each value that is present is a number."""
    columns = dict(table.columns)
    for name in names:
        values, _ = to_numbers(columns[name], table.decimal)
        if np.array_equal(np.isnan(values), table.missing(name)):
            columns[name] = values
    return replace(table, columns=columns)


def labelled_rows(preprocessing: Preprocessing, table: Table) -> tuple[Arrays, list[str]]:
    """Encode the rows whose target the preprocessing knows.

    Returns
    -------
    arrays : tuple of ndarray
        Inputs and targets, as in a `Dataset`.
    notes : list of str
        What was done about values, and about rows that were left out.

    Raises
    ------
    DataError
        If no row has a target that is known, or none of the columns is there.
    """
    y, absent = preprocessing.labels(table)
    notes = []
    if absent.any():
        row = int(np.flatnonzero(absent)[0])
        cell = str(table.columns[preprocessing.target.column][row])[:30]
        notes.append(
            f"{preprocessing.target.column}: {np.sum(absent):,} of {absent.size:,} rows have no "
            f"value that the model knows ({cell!r} in {table.where(row)}): left out"
        )
        table, y = table.take(~absent), y[~absent]
    x, more = preprocessing.encode(table)
    return (x, y), notes + more


def split_rows(
    table: Table, classes: Classes | None, share: float, seed: int
) -> tuple[Table, Table]:
    """Hold rows out as a test set: the same share of each class, or of all rows for values."""
    strata = np.zeros(table.n_rows, dtype=np.int64)
    if classes is not None:
        strata, _ = classes.encode(table.columns[classes.column], table.decimal)
    kept, held = hold_out(strata, table.name, share, seed)
    return table.take(kept), table.take(held)


def rows_to_score(model: Any, source: Any) -> tuple[Table, str]:
    """Read a table to score a model on: of the file that it was trained on, the rows held out.

    The file is recognised by its checksum, so that rows that trained are not taken for new ones.

    Returns
    -------
    rows : Table
    what : str
        What they are, in words.
    """
    table = read_table(source)
    split = model.metadata.get(SPLIT)
    if not isinstance(split, dict) or split.get("sha256") != (table.sha256 or digest(source)):
        return table, "rows"
    if split.get("share") is None:
        return table, "rows, on which it was trained"
    preprocessing = Preprocessing.of(model)
    target = preprocessing.target
    table, _ = preprocessing.read(table)
    rows, _ = usable_rows(table, target.column, target.task)
    classes = target if isinstance(target, Classes) else None
    try:
        held_out = split_rows(rows, classes, float(split["share"]), int(split["seed"]))[1]
    except (KeyError, TypeError, ValueError) as error:
        message = f"the model does not say properly which rows were held out: {split!r}"
        raise ModelFileError(message) from error
    return held_out, "rows that training held out"


def digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file."""
    with expanded(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
