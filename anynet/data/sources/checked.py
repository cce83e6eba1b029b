"""A source as training takes it: its numbers finite, and no wider than the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet.data.finite import first_not_finite
from anynet.data.sources.source import Source, Wrapped, read_checked
from anynet.errors import InvalidArgumentError

PIECE_BYTES = 8 * 2**20  # stays in a processor's cache between reading and checking


class Checked(Wrapped):
    """Another source, cast to ``dtype`` where its own is wider, and checked as it is read.

    Parameters
    ----------
    source : Source
    dtype : dtype
        That of the weights.
    name : str
        What errors call the samples.

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

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        self.read_into(rows, out)
        return out

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        step = max(1, PIECE_BYTES // max(1, self.source.row_bytes))
        for start in range(0, len(rows), step):
            self._read_piece(rows[start : start + step], out[start : start + step])

    def _read_piece(self, rows: np.ndarray, out: np.ndarray) -> None:
        if self.dtype == self.source.dtype:
            self.source.read_into(rows, out)
        else:
            with np.errstate(over="ignore"):  # what float32 cannot hold is told as infinity
                out[...] = read_checked(self.source, rows)
        if out.dtype.kind != "f":
            return
        place = first_not_finite(out)
        if place is not None:
            row = self.place(int(rows[place[0]]))
            message = (
                f"{self.name} holds NaN or infinity, first at row {row}, column {place[1]}: "
                f"fill or drop such values first"
            )
            raise InvalidArgumentError(message)
