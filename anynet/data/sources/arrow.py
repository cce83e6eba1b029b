"""Arrow's IPC files, which Feather's version 2 are too: a block is a record batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.sources.tables import Table, arrow_errors, index_of, inputs_of, to_numpy


class ArrowTable(Table):
    """The rows of an Arrow or Feather file; see `Table`.

    Raises
    ------
    DataError
        When the file is absent or damaged, pyarrow is missing, or a column holds no numbers.
    """

    def __init__(self, path: Path, target: str | None, window: int) -> None:
        counts, targets = [], []
        with arrow_errors(path):
            import pyarrow

            with pyarrow.OSFile(str(path)) as file:
                schema = pyarrow.ipc.open_file(file).schema
            index = index_of(schema, lambda name: pyarrow.chunked_array(_parts(path, schema, name)))
            columns, dtype, target = inputs_of(schema, target, path, index)
            self.fields = [schema.get_field_index(name) for name in columns]
            for column in _parts(path, schema, target or schema.names[0]):
                counts.append(len(column))
                if target is not None:
                    targets.append(to_numpy(column, target, path))
        y = np.concatenate(targets) if targets else None
        super().__init__(path, columns, counts, dtype, y, window)

    def decode(self, block: int) -> Any:
        import pyarrow

        options = pyarrow.ipc.IpcReadOptions(included_fields=self.fields, use_threads=False)
        with pyarrow.OSFile(str(self.path)) as file:
            return pyarrow.ipc.open_file(file, options=options).get_batch(block)


def _parts(path: Path, schema: Any, name: str) -> Iterator[Any]:
    """Read one column, record batch after record batch."""
    import pyarrow

    options = pyarrow.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name)])
    with pyarrow.OSFile(str(path)) as file:
        reader = pyarrow.ipc.open_file(file, options=options)
        for block in range(reader.num_record_batches):
            yield reader.get_batch(block).column(0)
