"""Tables on disk as sources, whose rows are decoded in blocks; Parquet and Arrow files."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.files import quoted
from anynet.data.sources.arrays import Unchanged
from anynet.data.sources.source import Filling
from anynet.data.tables.arrow import arrow_errors, arrow_table, pandas_index
from anynet.data.tables.kinds import index_columns, may_be_index
from anynet.data.tables.table import as_name, as_names
from anynet.errors import DataError


class TableFile(Filling):
    """The numeric columns of a table except the target, each sample a row.

    The last decoded block is kept, so that one whose rows are in two windows is decoded once.

    Parameters
    ----------
    path : Path
        The file.
    columns : list of str
        The inputs.
    counts : sequence of int
        The number of rows of each block.
    dtype : dtype
        Common type of the columns.
    y : ndarray or None
        The targets.
    window : int
        See `Source`.

    Raises
    ------
    DataError
        If it has no rows or no inputs.
    """

    def __init__(
        self,
        path: Path,
        columns: list[str],
        counts: Sequence[int],
        dtype: np.dtype[Any],
        y: np.ndarray | None,
        window: int,
    ) -> None:
        ends = np.cumsum(np.asarray(counts, dtype=np.int64))
        n_samples = int(ends[-1]) if len(ends) else 0
        if n_samples == 0 or not columns:
            message = f"{quoted(path)} has no rows, or no columns besides the target"
            raise DataError(message)
        self.path, self.columns, self.dtype, self.y, self.window = path, columns, dtype, y, window
        self.starts = ends - np.asarray(counts)
        self.shape = (n_samples, len(columns))
        self.file = Unchanged(path)
        self._kept: tuple[int, np.ndarray] | None = None

    @abstractmethod
    def decode(self, block: int) -> Any:
        """Return a block as pyarrow's table or record batch, with the inputs as its columns."""

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write samples into an array, see `Source.read_into`."""
        assert self.starts is not None
        blocks = np.searchsorted(self.starts, rows, side="right") - 1
        for block in np.unique(blocks).tolist():
            low, high = np.searchsorted(blocks, (block, block + 1))
            wanted = rows[low:high] - self.starts[block]
            np.take(self._matrix(block), wanted, axis=0, out=out[low:high], mode="clip")

    def _matrix(self, block: int) -> np.ndarray:
        kept = self._kept
        if kept is not None and kept[0] == block:
            return kept[1]
        self.file.check()
        with arrow_errors(quoted(self.path)):
            table = self.decode(block)
            matrix = np.empty((table.num_rows, self.shape[1]), dtype=self.dtype)
            for index, name in enumerate(self.columns):
                matrix[:, index] = to_numpy(table.column(index), name, self.path)
        self._kept = block, matrix
        return matrix


class ParquetTable(TableFile):
    """The rows of a Parquet file, a block for each row group; see `TableFile`.

    Raises
    ------
    DataError
        If the file is absent or damaged, pyarrow is missing, or a column is not numeric.
    """

    def __init__(self, path: Path, target: str | None, window: int) -> None:
        with arrow_errors(quoted(path)):
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                self.metadata = file.metadata
                schema = file.schema_arrow

                def read(name: str) -> Any:
                    """Return samples, see `Source.read`."""
                    return file.read(columns=[name]).column(0)

                columns, dtype, target = inputs_of(schema, target, path, index_of(schema, read))
                groups = range(self.metadata.num_row_groups)
                counts = [self.metadata.row_group(group).num_rows for group in groups]
                y = None if target is None else to_numpy(read(target), target, path)
        super().__init__(path, columns, counts, dtype, y, window)

    def decode(self, block: int) -> Any:
        """Return a block, see `TableFile.decode`."""
        from pyarrow import parquet

        with parquet.ParquetFile(self.path, metadata=self.metadata) as file:
            return file.read_row_group(block, columns=self.columns, use_threads=False)


class ArrowTable(TableFile):
    """The rows of an Arrow or Feather file, a block for each record batch; see `TableFile`.

    Raises
    ------
    DataError
        If the file is absent or damaged, pyarrow is missing, or a column is not numeric.
    """

    def __init__(self, path: Path, target: str | None, window: int) -> None:
        with arrow_errors(quoted(path)):
            import pyarrow

            with pyarrow.OSFile(str(path)) as file:
                schema = pyarrow.ipc.open_file(file).schema

            def read(name: str) -> Any:
                """Return samples, see `Source.read`."""
                return pyarrow.chunked_array(_batches(path, schema, name))

            columns, dtype, target = inputs_of(schema, target, path, index_of(schema, read))
            self.fields = [schema.get_field_index(name) for name in columns]
            parts = list(_batches(path, schema, target or schema.names[0]))
            counts = [len(part) for part in parts]
            y = to_numpy(pyarrow.chunked_array(parts), target, path) if target and parts else None
        super().__init__(path, columns, counts, dtype, y, window)

    def decode(self, block: int) -> Any:
        """Return a block, see `TableFile.decode`."""
        import pyarrow

        options = pyarrow.ipc.IpcReadOptions(included_fields=self.fields, use_threads=False)
        with pyarrow.OSFile(str(self.path)) as file:
            return pyarrow.ipc.open_file(file, options=options).get_batch(block)


def _batches(path: Path, schema: Any, name: str) -> Iterator[Any]:
    """Read one column, record batch after record batch."""
    import pyarrow

    options = pyarrow.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name)])
    with pyarrow.OSFile(str(path)) as file:
        reader = pyarrow.ipc.open_file(file, options=options)
        for block in range(reader.num_record_batches):
            yield reader.get_batch(block).column(0)


def to_numpy(column: Any, name: str, path: Path) -> np.ndarray:
    """Return a column of pyarrow as an array.

    Parameters
    ----------
    column : Array or ChunkedArray
        The column.
    name : str
        Its name, for the message.
    path : Path
        Its file, for the message.

    Returns
    -------
    ndarray of shape (N,)
        The values.

    Raises
    ------
    DataError
        If values are missing.
    """
    if column.null_count:
        message = (
            f"{quoted(path)}: the column {name!r} has missing values: fill them, or drop such rows"
        )
        raise DataError(message)
    return np.asarray(column)


def inputs_of(
    schema: Any, target: str | None, path: Path, index: Collection[str] = ()
) -> tuple[list[str], np.dtype[Any], str | None]:
    """Return the columns that are inputs, their common type, and the target.

    Parameters
    ----------
    schema : Schema
        Of pyarrow.
    target : str or None
        The column to predict, if any.
    path : Path
        The file, for messages.
    index : collection of str
        Columns that are the index of a data frame, which a warning reports as unused.

    Returns
    -------
    columns : list of str
        The inputs.
    dtype : dtype
        The common type of the inputs.
    target : str or None
        As the schema spells it.

    Raises
    ------
    DataError
        If there is no such target, or a column is not numeric.
    InvalidArgumentError
        If two columns have the same name.
    """
    import pyarrow.types as types

    spelled = dict(zip(as_names(schema.names), schema.names, strict=True))
    if target is not None:
        if as_name(target) not in spelled:
            some = ", ".join(map(repr, schema.names[:20]))
            message = f"{quoted(path)} has no column {target!r}: it has {some}"
            raise DataError(message)
        target = spelled[as_name(target)]
    unused = [name for name in dict.fromkeys(index) if name != target]
    if unused:
        message = (
            f"{quoted(path)}: the column {', '.join(map(repr, unused))} is not used: it is the "
            f"index of a data frame"
        )
        warnings.warn(message, stacklevel=6)
    columns, dtypes = [], []
    for field in schema:
        if field.name in unused:
            continue
        is_bool = types.is_boolean(field.type)
        if not (is_bool or types.is_integer(field.type) or types.is_floating(field.type)):
            message = (
                f"{quoted(path)}: the column {field.name!r} holds {field.type}, and only numbers "
                f"are read in part: leave it out, or encode it as numbers"
            )
            raise DataError(message)
        if field.name != target:
            columns.append(field.name)
            dtypes.append(np.dtype(np.uint8 if is_bool else field.type.to_pandas_dtype()))
    return columns, np.result_type(*dtypes) if dtypes else np.dtype(np.float32), target


def index_of(schema: Any, read: Callable[[str], Any]) -> list[str]:
    """Return the columns of an Arrow or Parquet file that are the index of a data frame.

    Parameters
    ----------
    schema : Schema
        Of pyarrow.
    read : callable
        Returns the column of a name.

    Returns
    -------
    list of str
        Names of columns.
    """
    import pyarrow

    stored = set(pandas_index(schema))
    found = []
    for name in schema.names:
        if as_name(name) in stored:
            found.append(name)
        elif may_be_index(name):
            found += index_columns(arrow_table(pyarrow.table({name: read(name)}), name).columns)
    return found
