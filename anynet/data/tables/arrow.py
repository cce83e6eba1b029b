"""Parquet and Arrow (Feather) files, and pyarrow's tables, read through pyarrow."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np

from anynet.data.files import one_line
from anynet.data.tables.column import EXACT, TEXT, UnusableColumnError, as_text
from anynet.data.tables.layout import Opened
from anynet.data.tables.table import Table, as_name, as_names, note_on_left_out, some
from anynet.errors import DataError

#: The fraction of a time without one.
_WHOLE_SECOND = re.compile(r"\.0+$")

_BYTES = ("binary", "large_binary", "binary_view", "fixed_size_binary")
_TEXT = ("boolean", "string", "large_string", "string_view", "date", "timestamp", "null")


@contextmanager
def arrow_errors(name: str) -> Iterator[None]:
    """Raise `DataError` in place of pyarrow's exceptions for a file, or if it is not installed.

    Parameters
    ----------
    name : str
        The file in quotes, for messages.
    """
    try:
        import pyarrow
    except ImportError as error:
        message = f"reading {name} needs pyarrow: pip install 'anynet-mlp[tables]'"
        raise DataError(message) from error
    try:
        yield
    # Damaged metadata raise errors of Python too, and repeated names InvalidArgumentError.
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        message = f"{name} cannot be read: {one_line(error)}"
        raise DataError(message) from error


def read_arrow(opened: Opened, *, parquet: bool) -> Table:
    """Read a Parquet file, or an Arrow file or stream.

    Parameters
    ----------
    opened : Opened
        The file.
    parquet : bool
        Whether it is a Parquet file.

    Returns
    -------
    Table
        Its columns, see `arrow_table`.

    Raises
    ------
    DataError
        If pyarrow is missing, or the file is damaged, empty, or has two columns of the same name.
    """
    with arrow_errors(opened.name):
        import pyarrow as pa
        import pyarrow.parquet

        metadata: dict[bytes, bytes] = {}
        with pa.input_stream(opened.data or str(opened.path), compression=None) as source:
            if parquet:
                file = pyarrow.parquet.ParquetFile(source)
                table, metadata = file.read(), file.metadata.metadata or {}
            else:
                table = _open(pa, source).read_all()
        table.validate(full=True)
        return arrow_table(table, opened.name, metadata)


def arrow_table(
    table: Any, name: str, metadata: Mapping[bytes, bytes] = MappingProxyType({})
) -> Table:
    """Convert a table of pyarrow.

    Numbers become float64, but text if some are whole and beyond 2^53; durations seconds. Booleans,
    text, bytes that are UTF-8 text, dates and times become text. Columns of other types are left
    out, which the table notes. The index of a data frame of pandas is marked.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    name : str
        Its name in messages.
    metadata : mapping of bytes to bytes
        Metadata of its Parquet file, if it is from one.

    Returns
    -------
    Table
        The converted columns.

    Raises
    ------
    DataError
        If nothing is left.
    InvalidArgumentError
        If two columns have the same name.
    """
    columns: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for each, column in zip(as_names(table.column_names), table.columns, strict=True):
        try:
            columns[each] = _converted(column)
        except UnusableColumnError as error:
            left_out[each] = error.reason
    if not table.num_rows or not columns:
        types = f": {some(left_out)} cannot be used" if left_out else ""
        message = f"{name} holds no rows of numbers, text, booleans or dates{types}"
        raise DataError(message)
    return Table(
        name,
        columns,
        notes=note_on_left_out(left_out),
        index=tuple(each for each in pandas_index(table.schema) if each in columns),
        left_out=left_out,
        categorical=frozenset(columns.keys() & _categorical(table.schema, metadata)),
    )


def _categorical(schema: Any, metadata: Mapping[bytes, bytes]) -> set[str]:
    """Return the columns that are dictionaries, or were before they were written as Parquet."""
    import pyarrow as pa

    schemas = [schema]
    if stored := metadata.get(b"ARROW:schema"):
        schemas.append(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(stored))))
    return {
        as_name(field.name)
        for each in schemas
        for field in each
        if pa.types.is_dictionary(field.type)
    }


def pandas_index(schema: Any) -> list[str]:
    """Return the columns of a schema that were the index of a data frame of pandas."""
    try:
        stored = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        return [as_name(each) for each in stored if isinstance(each, str)]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _open(pa: Any, source: Any) -> Any:
    """Open an Arrow file, or a stream if it is not a file."""
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def _converted(column: Any) -> np.ndarray:
    """Convert a column.

    Raises
    ------
    UnusableColumnError
        If that is impossible.
    """
    import pyarrow as pa
    import pyarrow.compute

    def is_any(*names: str) -> bool:
        return any(getattr(pa.types, f"is_{name}")(column.type) for name in names)

    if is_any("run_end_encoded") and column.num_chunks:
        chunks = map(pyarrow.compute.run_end_decode, column.chunks)
        return _converted(pa.chunked_array(list(chunks)))
    if is_any("dictionary") and column.num_chunks:
        chunks = column.unify_dictionaries().chunks
        values = _converted(pa.chunked_array([chunks[0].dictionary]))
        missing = as_text([""]) if values.dtype == TEXT else np.array([np.nan])
        index = pa.chunked_array([chunk.indices for chunk in chunks]).cast(pa.int64())
        decoded: np.ndarray = np.append(values, missing)[index.fill_null(len(values)).to_numpy()]
        return decoded
    if is_any("duration"):
        nanoseconds = column.cast(pa.duration("ns"), safe=False).cast(pa.int64())
        return _numbers(pa, nanoseconds.cast(pa.float64(), safe=False)) / 1e9
    if is_any("integer", "floating", "decimal"):
        return _numbers(pa, column)
    if is_any(*_BYTES):
        try:
            return as_text("" if cell is None else cell.decode() for cell in column.to_pylist())
        except UnicodeDecodeError as error:
            message = f"{column.type} that is not UTF-8 text"
            raise UnusableColumnError(message) from error
    if is_any(*_TEXT):
        return as_text(_strings(pa, column))
    if is_any("time"):
        return as_text(_WHOLE_SECOND.sub("", cell) for cell in _strings(pa, column))
    message = f"{column.type} is not numbers, text, booleans or dates"
    raise UnusableColumnError(message)


def _strings(pa: Any, column: Any) -> list[str]:
    return [cell or "" for cell in column.cast(pa.string()).to_pylist()]


def _numbers(pa: Any, column: Any) -> np.ndarray:
    numbers = column.cast(pa.float64(), safe=False).to_numpy()
    if not pa.types.is_floating(column.type) and np.any(np.abs(numbers) >= EXACT):
        return as_text(_strings(pa, column))
    return np.where(np.isfinite(numbers), numbers, np.nan)
