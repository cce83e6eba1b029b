"""Arrays in memory, or mapped into it, as a source."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from anynet.data.sources.source import Source

BLOCK_BYTES = 64 * 2**20
PIECE_BYTES = 8 * 2**20  # of a map are read before its pages are given back


class InMemory(Source):
    """The rows of a NumPy array (N, I) whose order is drawn exactly."""

    window = BLOCK_BYTES

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape = (array.shape[0], array.shape[1])
        self.dtype = array.dtype

    def read(self, rows: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = np.take(self.array, rows, axis=0)
        return chosen

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        np.take(self.array, rows, axis=0, out=out, mode="clip")


class Mapped(InMemory):
    """The rows of a memory map, whose pages are given back to the system once they were read."""

    def __init__(self, array: np.memmap[Any, Any]) -> None:
        flat = array.reshape(array.shape[0], -1)
        super().__init__(np.asarray(flat) if flat.dtype.isnative else flat)
        self.dtype = self.dtype.newbyteorder("=")
        # Of a copy-on-write map, what was written lives in those pages alone.
        self.pages = None if array.mode == "c" else _map_of(array)

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        self.read_into(rows, out)
        return out

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        step = max(1, PIECE_BYTES // max(1, self.row_bytes))
        for start in range(0, len(rows), step):
            piece = slice(start, start + step)
            if self.array.dtype.isnative:
                super().read_into(rows[piece], out[piece])
            else:
                out[piece] = self.array[rows[piece]]
            if self.pages is not None and hasattr(self.pages, "madvise"):
                self.pages.madvise(mmap.MADV_DONTNEED)


def _map_of(array: Any) -> mmap.mmap | None:
    """Return the map under an array, through all views of it."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array
