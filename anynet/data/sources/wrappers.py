"""Sources that read others: checked for training, and joined one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anynet.data.finite import first_not_finite
from anynet.data.sources.source import Filling, Source, Wrapped, read_cast
from anynet.errors import DataError, InvalidArgumentError

PIECE_BYTES = 8 * 2**20  # stays in a processor's cache between reading and checking


class Checked(Wrapped):
    """Another source, cast to ``dtype`` if its own is wider, and checked while it is read.

    Parameters
    ----------
    source : Source
        What to read.
    dtype : dtype
        That of the weights.
    name : str
        Name of the samples in messages.

    Raises
    ------
    InvalidArgumentError
        On reading NaN or infinity.
    """

    def __init__(self, source: Source, dtype: Any, name: str = "x") -> None:
        super().__init__(source)
        self.name = name
        if source.dtype.itemsize > np.dtype(dtype).itemsize:
            self.dtype = np.dtype(dtype)

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write samples into an array, see `Source.read_into`."""
        step = max(1, PIECE_BYTES // max(1, self.source.row_bytes))
        for start in range(0, len(rows), step):
            piece = out[start : start + step]
            read_cast(self.source, rows[start : start + step], piece)
            if piece.dtype.kind == "f" and (bad := first_not_finite(piece)):
                row = self.original_row(int(rows[start + bad[0]]))
                message = (
                    f"{self.name} holds NaN or infinity, first at row {row}, column {bad[1]}: fill "
                    f"or drop such values first"
                )
                raise InvalidArgumentError(message)


class Joined(Filling):
    """The samples of several sources, such as the files of a table, one after another.

    Parameters
    ----------
    sources : sequence of Source
        Sources with equally many inputs.

    Raises
    ------
    DataError
        If they have different numbers of inputs, or only some have targets.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        widths = {source.shape[1] for source in sources}
        if len(widths) != 1:
            message = f"expected sources with equally many inputs, got {sorted(widths)}"
            raise DataError(message)
        targets = [source.y for source in sources if source.y is not None]
        if targets and len(targets) < len(sources):
            message = f"only {len(targets)} of {len(sources)} sources have targets: expected all"
            raise DataError(message)
        self.sources = list(sources)
        self.ends = np.cumsum([len(source) for source in sources])
        self.shape = (int(self.ends[-1]), widths.pop())
        self.dtype = np.result_type(*(source.dtype for source in sources))
        self.y = np.concatenate(targets) if targets else None
        self.window = min(source.window for source in sources)
        blocks = [
            source.starts + (end - len(source))
            for source, end in zip(sources, self.ends, strict=True)
            if source.starts is not None
        ]
        if len(blocks) == len(self.sources):
            self.starts = np.concatenate(blocks)

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write samples into an array, see `Source.read_into`."""
        low = 0
        for source, end in zip(self.sources, self.ends.tolist(), strict=True):
            high = int(np.searchsorted(rows, end))
            if low < high:
                read_cast(source, rows[low:high] - (end - len(source)), out[low:high])
            low = high
