"""Reading Parquet and Arrow (Feather) files, and pyarrow's tables, through pyarrow."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from anynet.data.files import one_line
from anynet.data.tables.names import as_name, as_names
from anynet.data.tables.opened import Opened
from anynet.data.tables.table import EXACT, TEXT, Table, as_text, note_on_left_out, some
from anynet.errors import DataError, InvalidArgumentError

#: The fraction of a time that Python writes without one.
_WHOLE_SECOND = re.compile(r"\.0+$")


def read_arrow(opened: Opened, *, parquet: bool) -> Table:
    """Read a Parquet file, or an Arrow file or stream.

    Raises
    ------
    DataError
        If pyarrow is missing, or the file is damaged, empty, or names two columns alike.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        message = f"reading {opened.name} needs pyarrow, which is missing: pip install pyarrow"
        raise DataError(message) from error
    try:
        if parquet:
            with opened.arrow(pa) as source:
                file = pyarrow.parquet.ParquetFile(source)
                table, metadata = file.read(), file.metadata.metadata or {}
        else:
            with opened.arrow(pa) as source:
                table, metadata = _open(pa, source).read_all(), {}
        table.validate(full=True)
        return arrow_table(table, opened.name, metadata)
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        OverflowError,
        InvalidArgumentError,
    ) as error:
        kind = "a Parquet" if parquet else "an Arrow"
        message = f"{opened.name} cannot be read as {kind} file: {one_line(error)}"
        raise DataError(message) from error


def arrow_table(
    table: Any, name: str, metadata: Mapping[bytes, bytes] = MappingProxyType({})
) -> Table:
    """Convert a table of pyarrow's, given the metadata of its Parquet file if it is from one.

    Numbers become float64, but text if some are whole and beyond 2^53; durations seconds. Booleans,
    text, bytes that are UTF-8 text, dates and times become text. Columns of other types are left
    out, which the table notes. The index of a data frame of pandas is marked.

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
        made = _converted(column)
        if isinstance(made, str):
            left_out[each] = made
        else:
            columns[each] = made
    if not table.num_rows or not columns:
        types = f": {some(left_out)} cannot be used" if left_out else ""
        message = f"{name} holds no rows of numbers, text, booleans or dates{types}"
        raise DataError(message)
    index = tuple(each for each in pandas_index(table.schema) if each in columns)
    notes = note_on_left_out(left_out)
    categorical = frozenset(columns.keys() & _categorical(table.schema, metadata))
    return Table(
        name, columns, notes=notes, index=index, left_out=left_out, categorical=categorical
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
    """Open an Arrow file, or where it is none a stream."""
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def _converted(column: Any) -> np.ndarray | str:
    """Convert a column, or return why that cannot be."""
    import pyarrow as pa
    import pyarrow.compute

    of, kind = pa.types, column.type
    if of.is_run_end_encoded(kind) and column.num_chunks:
        chunks = map(pyarrow.compute.run_end_decode, column.chunks)
        return _converted(pa.chunked_array(list(chunks)))
    if of.is_dictionary(kind) and column.num_chunks:
        parts = [_decoded(pa, chunk) for chunk in column.unify_dictionaries().chunks]
        reasons = [part for part in parts if isinstance(part, str)]
        return reasons[0] if reasons else np.concatenate(parts)
    if of.is_duration(kind):
        nanoseconds = column.cast(pa.duration("ns"), safe=False).cast(pa.int64())
        return _numbers(pa, nanoseconds.cast(pa.float64(), safe=False)) / 1e9
    if of.is_integer(kind) or of.is_floating(kind) or of.is_decimal(kind):
        return _numbers(pa, column)
    if (
        of.is_binary(kind)
        or of.is_large_binary(kind)
        or of.is_binary_view(kind)
        or of.is_fixed_size_binary(kind)
    ):
        try:
            cells = ["" if cell is None else cell.decode() for cell in column.to_pylist()]
        except UnicodeDecodeError:
            return f"{kind} that is not UTF-8 text"
        return as_text(cells)
    if (
        of.is_boolean(kind)
        or of.is_string(kind)
        or of.is_large_string(kind)
        or of.is_string_view(kind)
        or of.is_date(kind)
        or of.is_timestamp(kind)
        or of.is_null(kind)
    ):
        return as_text(cell or "" for cell in _strings(pa, column))
    if of.is_time(kind):
        return as_text(_WHOLE_SECOND.sub("", cell or "") for cell in _strings(pa, column))
    return f"{kind} is not numbers, text, booleans or dates"


def _decoded(pa: Any, chunk: Any) -> np.ndarray | str:
    """Convert values that are stored once each, with an index for each row."""
    values = _converted(pa.chunked_array([chunk.dictionary]))
    if isinstance(values, str):
        return values
    missing = as_text([""]) if values.dtype == TEXT else np.array([np.nan])
    indices = chunk.indices.cast(pa.int64()).fill_null(len(values)).to_numpy()
    decoded: np.ndarray = np.concatenate([values, missing])[indices]
    return decoded


def _strings(pa: Any, column: Any) -> list[str | None]:
    cells: list[str | None] = column.cast(pa.string()).to_pylist()
    return cells


def _numbers(pa: Any, column: Any) -> np.ndarray:
    numbers = column.cast(pa.float64(), safe=False).to_numpy()
    if not pa.types.is_floating(column.type) and np.any(np.abs(numbers) >= EXACT):
        return as_text(cell or "" for cell in _strings(pa, column))
    return np.where(np.isfinite(numbers), numbers, np.nan)
