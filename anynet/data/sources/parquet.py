"""Parquet files: a block is a row group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anynet.data.sources.tables import Table, arrow_errors, index_of, inputs_of, to_numpy


class ParquetTable(Table):
    """The rows of a Parquet file; see `Table`.

    Raises
    ------
    DataError
        When the file is absent or damaged, pyarrow is missing, or a column holds no numbers.
    """

    def __init__(self, path: Path, target: str | None, window: int) -> None:
        with arrow_errors(path):
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                self.metadata = file.metadata
                schema = file.schema_arrow
                index = index_of(schema, lambda name: file.read(columns=[name]).column(0))
                columns, dtype, target = inputs_of(schema, target, path, index)
                groups = range(self.metadata.num_row_groups)
                counts = [self.metadata.row_group(group).num_rows for group in groups]
                y = None
                if target is not None:
                    y = to_numpy(file.read(columns=[target]).column(0), target, path)
        super().__init__(path, columns, counts, dtype, y, window)

    def decode(self, block: int) -> Any:
        from pyarrow import parquet

        with parquet.ParquetFile(self.path, metadata=self.metadata) as file:
            return file.read_row_group(block, columns=self.columns, use_threads=False)
