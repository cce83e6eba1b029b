"""Text files of numbers as sources: a block is about a megabyte of whole lines.

The blocks are located in one pass over the file when it is opened; each is parsed whenever it is
read. Parquet and ``.npy`` files are read many times faster. The layout of the file and the
separators of its numbers are inferred as for `read_table`, the latter from the first block only.
"""

from __future__ import annotations

import codecs
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from anynet.data.files import quoted
from anynet.data.sources.tables import TableFile, inputs_of, to_numpy
from anynet.data.tables.arrow import arrow_errors
from anynet.data.tables.column import as_text
from anynet.data.tables.delimited import header_of
from anynet.data.tables.kinds import index_columns
from anynet.data.tables.layout import Opened, layout_of
from anynet.data.tables.marked import marks_of
from anynet.data.tables.marks import Marks
from anynet.data.tables.table import Table
from anynet.errors import DataError

BLOCK_BYTES = 2**20
MOST_BYTES = 2**24  # of one line: a longer one is not a line of numbers


class CsvTable(TableFile):
    """The rows of a text file whose header names the columns; see `TableFile`.

    Parameters
    ----------
    path : Path
        The file.
    target : str or None
        The column to predict, if any.
    window : int
        See `Source`.
    decimal, thousands : str or None
        See `anynet.data.tables.read_table`.

    Raises
    ------
    DataError
        If the file is absent or damaged, pyarrow is missing, or a column is not numeric.
    """

    def __init__(
        self,
        path: Path,
        target: str | None,
        window: int,
        decimal: str | None = None,
        thousands: str | None = None,
    ) -> None:
        self.path = path
        self.extents: list[tuple[int, int]] = []  # offset and size of each block
        self.marks: dict[str, Marks] = {}
        self.types: dict[str, str] = {}  # of columns whose type pyarrow must not infer
        counts, targets = [], []
        with arrow_errors(quoted(path)), path.open("rb") as file:
            layout = layout_of(Opened(path))
            header = header_of(Opened(path), layout)
            self.separator, self.names = layout.separator, header.names
            self.encoding = "utf-8" if layout.encoding != "utf-16" else _byte_order(file)
            for _ in range(header.lines):
                self._line(file)
            begin = file.tell()
            first = next(self._blocks(file), b"")
            schema, index = self._infer(first, header.unnamed, decimal, thousands)
            columns, _, target = inputs_of(schema, target, path, index)
            file.seek(begin)
            for lines in self._blocks(file):
                table = self._parse(lines, [target or self.names[0]])
                if table.num_rows == 0:  # blank lines
                    continue
                self.extents.append((file.tell() - len(lines), len(lines)))
                counts.append(table.num_rows)
                if target is not None:
                    targets.append(to_numpy(self._plain(table).column(0), target, path))
        y = np.concatenate(targets) if targets else None
        if y is not None and y.dtype.kind not in "buif":
            message = f"{quoted(path)}: the column {target!r} is not numeric: encode it as numbers"
            raise DataError(message)
        super().__init__(path, columns, counts, np.dtype(np.float64), y, window)

    def decode(self, block: int) -> Any:
        """Return a block, see `TableFile.decode`."""
        offset, size = self.extents[block]
        with self.path.open("rb") as file:
            file.seek(offset)
            types = dict.fromkeys(self.columns, "float64") | self.types
            return self._plain(self._parse(file.read(size), self.columns, types))

    def _infer(
        self, lines: bytes, unnamed: Sequence[str], decimal: str | None, thousands: str | None
    ) -> tuple[Any, list[str]]:
        """Infer the separators of numbers from the first block; return its schema and its index."""
        import pyarrow

        text = self._parse(lines, self.names, dict.fromkeys(self.names, "string"))
        columns = {name: as_text(text.column(name).to_pylist()) for name in self.names}
        shown = Table(quoted(self.path), columns, separator=self.separator)
        found, notes = marks_of(shown, decimal, thousands)
        for note in notes:
            warnings.warn(f"{quoted(self.path)}: {note}", stacklevel=5)
        chosen = Marks(decimal or ("," if thousands == "." else "."), thousands or "")
        given = decimal is not None or thousands is not None
        fields = []
        for field in self._parse(lines, self.names).schema:
            marks = found.get(field.name, chosen)
            whole = pyarrow.types.is_integer(field.type)
            if marks != Marks() and (field.name in found or whole):
                self.marks[field.name] = marks
                self.types[field.name] = "string"
                field = field.with_type(pyarrow.float64())
            elif whole and self.separator != "," and not given:  # later separators are refused
                self.types[field.name] = "int64"
            fields.append(field)
        return pyarrow.schema(fields), index_columns(columns, unnamed) if lines else []

    def _plain(self, table: Any) -> Any:
        """Convert the columns whose numbers have separators."""
        import pyarrow

        for index, name in enumerate(table.column_names):
            if name not in self.marks:
                continue
            marks = self.marks[name]
            cells = as_text(table.column(name).to_pylist()).tolist()
            plain = [marks.plain(cell) if cell else "nan" for cell in cells]
            if None in plain:
                message = (
                    f"{quoted(self.path)}: the column {name!r} has the value "
                    f"{cells[plain.index(None)][:30]!r}: expected numbers with "
                    f"decimal={marks.decimal!r} and thousands={marks.thousands!r}"
                )
                raise DataError(message)
            numbers = pyarrow.array(np.array(plain, dtype=np.float64), from_pandas=True)
            table = table.set_column(index, name, numbers)
        return table

    def _blocks(self, file: BinaryIO) -> Iterator[bytes]:
        newline = "\n".encode(self.encoding)
        while lines := file.read(BLOCK_BYTES):
            yield lines if lines.endswith(newline) else lines + self._line(file)

    def _line(self, file: BinaryIO) -> bytes:
        newline = "\n".encode(self.encoding)
        line = file.readline(MOST_BYTES)
        # In UTF-16 a byte within a character may look like a line feed.
        while len(line) < MOST_BYTES and (len(line) % len(newline) or not line.endswith(newline)):
            rest = file.read(1) if len(line) % len(newline) else file.readline(MOST_BYTES)
            if not rest:
                break
            line += rest
        if len(line) >= MOST_BYTES:
            message = f"{quoted(self.path)} has a line of over {MOST_BYTES} bytes: expected CSV"
            raise DataError(message)
        return line

    def _parse(
        self, text: bytes, columns: Sequence[str], types: Mapping[str, str] | None = None
    ) -> Any:
        """Parse columns of some lines; `types` are those that pyarrow must not infer."""
        import pyarrow
        from pyarrow import csv

        if self.encoding != "utf-8":
            text = text.decode(self.encoding).encode()
        types = self.types if types is None else types
        return csv.read_csv(
            io.BytesIO(text),
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=self.names),
            csv.ParseOptions(delimiter=self.separator, invalid_row_handler=_skip_comments),
            csv.ConvertOptions(
                include_columns=columns,
                column_types={
                    name: pyarrow.type_for_alias(types[name]) for name in columns if name in types
                },
            ),
        )


def _skip_comments(row: Any) -> str:
    return "skip" if row.text.startswith("#") else "error"


def _byte_order(file: BinaryIO) -> str:
    """Return the encoding that the first two bytes of a UTF-16 file declare."""
    mark = file.read(2)
    file.seek(0)
    return "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
