"""Tables from files, told apart by their endings and first bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from anynet.data.files import expanded, quoted
from anynet.data.tables.arrow import read_arrow
from anynet.data.tables.delimited import read_delimited
from anynet.data.tables.table import Table
from anynet.errors import DataError

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")
DELIMITED = (".csv", ".tsv", ".tab", ".txt")


def is_table(name: str | os.PathLike[str]) -> bool:
    """Whether a path has the ending of a table."""
    return Path(name).suffix.lower() in (*PARQUET, *ARROW, *DELIMITED)


def read_table(source: Any) -> Table:
    """Read a table.

    Parameters
    ----------
    source : path, mapping or data frame
        A CSV file (also separated by semicolons, tabs or bars), a Parquet, Arrow or Feather file,
        which need pyarrow; or columns in memory, see `Table.of`.

    Returns
    -------
    Table
        The table.

    Raises
    ------
    DataError
        If the file cannot be read, or is no table.
    """
    if isinstance(source, Table):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return Table.of(source)
    path = expanded(source)
    try:
        if path.is_dir():
            message = f"{quoted(path)} is a folder: expected a table, such as a CSV file"
            raise DataError(message)
        with path.open("rb") as file:
            start = file.read(6)
        if start.startswith(b"PAR1"):
            return read_arrow(path, parquet=True)
        if start == b"ARROW1" or path.suffix.lower() in ARROW:
            return read_arrow(path, parquet=False)
        if start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf")):
            message = f"{quoted(path)} is compressed or a spreadsheet: save the table as CSV"
            raise DataError(message)
        return read_delimited(path)
    except OSError as error:
        message = f"cannot read {quoted(path)}: {error.strerror or error}"
        raise DataError(message) from error
