"""Arrays in memory, and those that are mapped into it, as sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from anynet.data.sources.array_file import ArrayFile
from anynet.data.sources.source import Source
from anynet.errors import DataError

BLOCK_BYTES = 64 * 2**20


class InMemory(Source):
    """The rows of a NumPy array (N, I), whose order is drawn exactly."""

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


def open_map(array: Any) -> ArrayFile | None:
    """Return what a memory map shows as a source that reads the file itself, in exact order.

    Pages of a map count as this process's memory for as long as the system likes. None for an
    array that is no map, whose rows do not lie together in the file, or in which something else may
    stand than there: one that is copied on writing.
    """
    if not isinstance(array, np.memmap) or array.ndim < 2 or array.size == 0:
        return None
    root: Any = array
    while isinstance(root.base, np.memmap):
        root = root.base
    if root.mode == "c" or root.filename is None or not array.flags.c_contiguous:
        return None
    offset = root.offset + array.ctypes.data - root.ctypes.data
    try:
        path = Path(os.fspath(root.filename))
        source = ArrayFile(path, offset, array.shape, array.dtype, exact=True, whole=False)
        for row in (0, len(source) - 1):  # the name may be another file's by now
            shown = np.asarray(array[row], dtype=source.dtype)
            if source.read(np.array([row])).tobytes() != shown.tobytes():
                return None
    except DataError:
        return None
    return source
