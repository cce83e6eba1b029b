"""Reading Parquet and Arrow (Feather) files, through pyarrow."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.files import one_line, quoted
from anynet.data.tables.table import EXACT, Table, as_text, some
from anynet.errors import DataError


def read_arrow(path: Path, *, parquet: bool) -> Table:
    """Read a Parquet file, or an Arrow file or stream.

    Numbers become float64; booleans, text and dates become text, and so do whole numbers if some
    are beyond 2^53; columns of other types are left out, which the table notes.

    Raises
    ------
    DataError
        If pyarrow is missing, or the file is damaged, empty, or names two columns alike.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        message = f"reading {quoted(path)} needs pyarrow, which is missing: pip install pyarrow"
        raise DataError(message) from error
    try:
        if parquet:
            file = pyarrow.parquet.ParquetFile(path)
            table, metadata = file.read(), file.metadata.metadata or {}
        else:
            with pa.memory_map(str(path)) as source:
                table, metadata = _open(pa, source).read_all(), {}
        table.validate(full=True)
        columns, odd = _columns(pa, table)
        categorical = columns.keys() & _categorical(pa, table.schema, metadata)
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        kind = "a Parquet" if parquet else "an Arrow"
        message = f"{quoted(path)} cannot be read as {kind} file: {one_line(error)}"
        raise DataError(message) from error
    if not table.num_rows or not columns:
        message = f"{quoted(path)} holds no rows of numbers, text, booleans or dates"
        raise DataError(message)
    notes = (f"{some(odd)} left out: no numbers, text, booleans or dates",) if odd else ()
    return Table(
        name=quoted(path), columns=columns, notes=notes, categorical=frozenset(categorical)
    )


def _categorical(pa: Any, schema: Any, metadata: dict[bytes, bytes]) -> set[str]:
    """Return the columns that are dictionaries, or were before they were written as Parquet."""
    schemas = [schema]
    if stored := metadata.get(b"ARROW:schema"):
        schemas.append(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(stored))))
    return {field.name for each in schemas for field in each if pa.types.is_dictionary(field.type)}


def _open(pa: Any, source: Any) -> Any:
    """Open an Arrow file, or where it is none a stream."""
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def _columns(pa: Any, table: Any) -> tuple[dict[str, np.ndarray], list[str]]:
    """Convert what can be; and name the rest."""
    columns: dict[str, np.ndarray] = {}
    odd: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in columns:
            message = f"two columns are named {name!r}: rename one"
            raise ValueError(message)
        of, kind = pa.types, column.type
        if of.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if of.is_integer(kind) or of.is_floating(kind) or of.is_decimal(kind):
            numbers = column.cast(pa.float64(), safe=False).to_numpy()
            columns[name] = np.where(np.isfinite(numbers), numbers, np.nan)
            if not of.is_floating(kind) and np.any(np.abs(numbers) >= EXACT):
                columns[name] = as_text(each or "" for each in column.cast(pa.string()).to_pylist())
        elif (
            of.is_boolean(kind)
            or of.is_string(kind)
            or of.is_large_string(kind)
            or of.is_date(kind)
            or of.is_timestamp(kind)
            or of.is_null(kind)
        ):
            cells = column.cast(pa.string()).to_pylist()
            columns[name] = as_text(cell or "" for cell in cells)
        else:
            odd.append(name)
    return columns, odd
