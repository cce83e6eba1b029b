"""CSV files of numbers: a block is about a megabyte of whole lines.

Where the blocks lie is found in one pass over the file when it is opened; each is parsed whenever
it is read. Parquet and ``.npy`` files are read many times faster.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from anynet.data.files import quoted
from anynet.data.sources.tables import Table, arrow_errors, inputs_of, to_numpy
from anynet.errors import DataError

BLOCK_BYTES = 2**20
MOST_BYTES = 2**24  # of one line: a longer one is none of numbers


class CsvTable(Table):
    """The rows of a CSV file whose first line names the columns; see `Table`.

    Raises
    ------
    DataError
        When the file is absent or damaged, pyarrow is missing, or a column holds no numbers.
    """

    def __init__(self, path: Path, target: str | None, window: int) -> None:
        self.path = path
        self.places: list[tuple[int, int]] = []
        counts, targets = [], []
        with arrow_errors(path), path.open("rb") as file:
            header = self._line(file)
            begin = file.tell()
            some = next(self._blocks(file), b"")
            schema = _parse(header + some).schema
            self.names = schema.names
            columns, _ = inputs_of(schema, target, path)
            file.seek(begin)
            for lines in self._blocks(file):
                column = _parse(lines, self.names, [target or self.names[0]]).column(0)
                if len(column) == 0:  # blank lines
                    continue
                self.places.append((file.tell() - len(lines), len(lines)))
                counts.append(len(column))
                if target is not None:
                    targets.append(to_numpy(column, target, path))
        y = np.concatenate(targets) if targets else None
        if y is not None and y.dtype.kind not in "buif":
            message = f"{quoted(path)}: the column {target!r} holds more than numbers: number them"
            raise DataError(message)
        super().__init__(path, columns, counts, np.dtype(np.float64), y, window)

    def decode(self, block: int) -> Any:
        offset, size = self.places[block]
        with self.path.open("rb") as file:
            file.seek(offset)
            return _parse(file.read(size), self.names, self.columns, "float64")

    def _blocks(self, file: BinaryIO) -> Iterator[bytes]:
        while lines := file.read(BLOCK_BYTES):
            yield lines if lines.endswith(b"\n") else lines + self._line(file)

    def _line(self, file: BinaryIO) -> bytes:
        line = file.readline(MOST_BYTES)
        if len(line) == MOST_BYTES:
            message = f"{quoted(self.path)} has a line of over {MOST_BYTES} bytes: expected CSV"
            raise DataError(message)
        return line


def _parse(
    text: bytes,
    names: list[str] | None = None,
    columns: list[str] | None = None,
    kind: str | None = None,
) -> Any:
    """Parse some lines.

    Parameters
    ----------
    text : bytes
    names : list of str, optional
        Of the columns; in the first line if not given.
    columns : list of str, optional
        Which to return; all if not given.
    kind : str, optional
        The type of these; inferred if not given.
    """
    import pyarrow
    from pyarrow import csv

    return csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
        convert_options=csv.ConvertOptions(
            include_columns=columns or [],
            column_types=dict.fromkeys(columns, pyarrow.type_for_alias(kind))
            if kind and columns
            else None,
        ),
    )
