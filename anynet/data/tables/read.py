"""Tables from files, whose format is detected from their ending and first bytes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from anynet.data.files import expanded, quoted
from anynet.data.tables.arrow import read_arrow
from anynet.data.tables.delimited import read_delimited
from anynet.data.tables.kinds import index_columns
from anynet.data.tables.layout import Opened
from anynet.data.tables.marked import infer_marks
from anynet.data.tables.table import Table
from anynet.errors import DataError

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")
DELIMITED = (".csv", ".tsv", ".tab", ".txt")


def is_table(name: str | os.PathLike[str]) -> bool:
    """Return whether a path has the ending of a table."""
    return Path(name).suffix.lower() in (*PARQUET, *ARROW, *DELIMITED)


def read_table(source: Any, *, decimal: str | None = None, thousands: str | None = None) -> Table:
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
    """
    if isinstance(source, Table):
        table = source
    elif isinstance(source, (str, os.PathLike)):
        table = _read_file(expanded(source))
    else:
        table = Table.of(source)
    found = index_columns(table.columns)
    table = replace(table, index=tuple(dict.fromkeys([*table.index, *found])))
    if decimal is None and thousands is None:
        return table
    table, notes = infer_marks(table, decimal, thousands)
    return replace(table, notes=(*table.notes, *notes))


def _read_file(path: Path) -> Table:
    try:
        opened = Opened.of(path)
        with opened.open() as file:
            start = file.read(6)
        if start.startswith(b"PAR1"):
            table = read_arrow(opened, parquet=True)
        elif start == b"ARROW1" or path.suffix.lower() in ARROW:
            table = read_arrow(opened, parquet=False)
        elif start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf")):
            message = f"{quoted(path)} is compressed or a spreadsheet: save the table as CSV"
            raise DataError(message)
        else:
            table = read_delimited(opened)
    except OSError as error:
        message = f"cannot read {quoted(path)}: {error.strerror or error}"
        raise DataError(message) from error
    return replace(table, sha256=opened.sha256)
