"""Tables whose rows come in blocks that are decoded as a whole: what their readers share."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.files import one_line, quoted
from anynet.data.sources.source import Source
from anynet.data.sources.unchanged import Unchanged
from anynet.data.tables.arrow import arrow_table, pandas_index
from anynet.data.tables.index import index_columns, may_be_index
from anynet.data.tables.names import as_name, as_names
from anynet.errors import DataError, InvalidArgumentError


class Table(Source):
    """The numeric columns of a table but the target, each sample a row.

    The block that was decoded last is kept, so that one whose rows lie in two windows is decoded
    once.

    Parameters
    ----------
    path : Path
    columns : list of str
        The inputs.
    counts : sequence of int
        The rows of each block.
    dtype : dtype
        Which all columns become.
    y : ndarray or None
    window : int
        See `Source`.
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

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        self.read_into(rows, out)
        return out

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
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
        with arrow_errors(self.path):
            table = self.decode(block)
            matrix = np.empty((table.num_rows, self.shape[1]), dtype=self.dtype)
            for index, name in enumerate(self.columns):
                matrix[:, index] = to_numpy(table.column(index), name, self.path)
        self._kept = block, matrix
        return matrix


def to_numpy(column: Any, name: str, path: Path) -> np.ndarray:
    """Return a column of pyarrow's as an array.

    Raises
    ------
    DataError
        When values are missing.
    """
    if column.null_count:
        message = (
            f"{quoted(path)}: the column {name!r} has missing values: fill them, or drop such rows"
        )
        raise DataError(message)
    whole = column.combine_chunks() if hasattr(column, "chunks") else column
    array: np.ndarray = whole.to_numpy(zero_copy_only=False)
    return array


def inputs_of(
    schema: Any, target: str | None, path: Path, index: Collection[str] = ()
) -> tuple[list[str], np.dtype[Any], str | None]:
    """Return the columns that are inputs, the type that holds them all, and the target.

    Parameters
    ----------
    schema : Schema
        Of pyarrow.
    target : str or None
    path : Path
        For messages.
    index : collection of str
        Columns that are the index of a data frame, which a warning reports as unused.

    Returns
    -------
    columns : list of str
    dtype : dtype
    target : str or None
        As the schema spells it.

    Raises
    ------
    DataError
        When there is no such target, two columns have one name, or one holds no numbers.
    """
    import pyarrow.types as types

    try:
        spelled = dict(zip(as_names(schema.names), schema.names, strict=True))
    except InvalidArgumentError as error:
        message = f"{quoted(path)}: {error}"
        raise DataError(message) from error
    if target is not None and as_name(target) not in spelled:
        some = ", ".join(map(repr, schema.names[:20]))
        message = f"{quoted(path)} has no column {target!r}: it has {some}"
        raise DataError(message)
    target = None if target is None else spelled[as_name(target)]
    unused = [name for name in index if name != target]
    if unused:
        message = (
            f"{quoted(path)}: the column {', '.join(map(repr, unused))} is not used: it is the "
            f"index of a data frame"
        )
        warnings.warn(message, stacklevel=6)
    dtypes = []
    for field in schema:
        if field.name in unused:
            continue
        is_number = types.is_integer(field.type) or types.is_floating(field.type)
        if not is_number and not types.is_boolean(field.type):
            message = (
                f"{quoted(path)}: the column {field.name!r} holds {field.type}, and only numbers "
                f"are read in part: leave it out, or encode it as numbers"
            )
            raise DataError(message)
        if field.name != target:
            is_bool = types.is_boolean(field.type)
            dtypes.append(np.dtype(np.uint8 if is_bool else field.type.to_pandas_dtype()))
    names = [name for name in schema.names if name != target and name not in unused]
    return names, np.result_type(*dtypes) if dtypes else np.dtype(np.float32), target


def index_of(schema: Any, read: Callable[[str], Any]) -> list[str]:
    """Return which columns of an Arrow or Parquet file are the index of a data frame.

    Parameters
    ----------
    schema : Schema
    read : callable
        Returns the column of this name.
    """
    stored = pandas_index(schema)
    found = [name for name in schema.names if as_name(name) in stored]
    for name in schema.names:
        if name not in found and may_be_index(name):
            import pyarrow

            table = arrow_table(pyarrow.table({name: read(name)}), name)
            found += index_columns(table.columns)
    return found


@contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises about a file into a `DataError`, and say so where it is missing."""
    try:
        import pyarrow
    except ImportError as error:
        message = f"reading {quoted(path)} in part needs pyarrow: pip install 'anynet[tables]'"
        raise DataError(message) from error
    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        message = f"{quoted(path)} cannot be read ({one_line(error)})"
        raise DataError(message) from error
