"""A matrix in a file, row after row: what ``.npy`` and IDX files hold behind their headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from anynet.data.files import one_line, promised_bytes, quoted
from anynet.data.sources.source import WINDOW_BYTES, Source
from anynet.data.sources.unchanged import Unchanged
from anynet.errors import DataError

BLOCK_BYTES = 2**20  # long enough for a disk to read at full speed
GAP_BYTES = 2**14  # so much is sooner read than skipped


class ArrayFile(Source):
    """The rows of an array that lies in a file in C order.

    It is read, not mapped: pages of a map count as this process's memory, and a file that is cut
    short while it is mapped would end the process.

    Parameters
    ----------
    path : Path
    offset : int
        Where the elements begin, in bytes.
    shape : tuple of int
        (N, …); trailing axes are flattened.
    dtype : dtype
        Of the file, in its byte order.
    exact : bool
        Whether epochs are shuffled exactly, each row being read by itself.
    window : int
        See `Source`.
    whole : bool
        Whether the file must end with the array.

    Raises
    ------
    DataError
        If the file is absent or not as long as shape and dtype say.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        exact: bool = False,
        window: int = WINDOW_BYTES,
        whole: bool = True,
    ) -> None:
        if dtype.kind not in "biuf" or len(shape) < 2:
            message = (
                f"{quoted(path)} holds {dtype} of shape {shape}: expected real numbers with a row "
                f"for each sample"
            )
            raise DataError(message)
        self.path, self.offset = path, offset
        self.sample_shape = shape[1:]
        self.stored = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        self.dtype = self.stored.newbyteorder("=")
        promised = promised_bytes(shape, dtype, quoted(path))
        self.shape = (shape[0], promised // dtype.itemsize // max(1, shape[0]))
        self.window = window
        self.rows_a_block = max(1, BLOCK_BYTES // max(1, self.row_bytes))
        self.file = Unchanged(path)
        left = self.file.size - offset
        if left < promised or (whole and left > promised):
            message = (
                f"{quoted(path)} promises {promised} bytes (shape {shape}, {dtype.name}) and holds "
                f"{left}: the file is damaged"
            )
            raise DataError(message)
        if not promised:
            message = f"{quoted(path)} has the shape {shape}: expected samples, each with values"
            raise DataError(message)
        if not exact:
            self.starts = np.arange(0, shape[0], self.rows_a_block)

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        self.read_into(rows, out)
        return out

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        if out.size == 0:
            return
        self.file.check()
        scratch = np.empty((self.rows_a_block, self.shape[1]), dtype=self.dtype)
        try:
            with self.path.open("rb", buffering=0) as file:
                for first, last, low, high in self._spans(rows):
                    whole = last - first == high - low
                    target = out[low:high] if whole else scratch[: last - first]
                    self._fill(file, first, target)
                    if not whole:
                        wanted = rows[low:high] - first
                        np.take(target, wanted, axis=0, out=out[low:high], mode="clip")
        except OSError as error:
            message = f"{quoted(self.path)} cannot be read ({one_line(error)})"
            raise DataError(message) from error
        if not self.stored.isnative:
            out.byteswap(inplace=True)

    def _spans(self, rows: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """Yield what to read at once: from which row to which, and which of ``rows`` these are."""
        gap = 1 + GAP_BYTES // self.row_bytes
        new = (np.diff(rows) > gap) | (np.diff(rows // self.rows_a_block) > 0)
        ends = np.append(np.flatnonzero(new) + 1, len(rows)).tolist()
        firsts, lasts = rows[[0, *ends[:-1]]].tolist(), rows[np.array(ends) - 1].tolist()
        low = 0
        for first, last, high in zip(firsts, lasts, ends, strict=True):
            yield first, last + 1, low, high
            low = high

    def _fill(self, file: BinaryIO, first: int, target: np.ndarray) -> None:
        """Fill an array with the rows from ``first`` on."""
        file.seek(self.offset + first * self.row_bytes)
        left = memoryview(target.data).cast("B")
        while left:
            count = file.readinto(left)  # type: ignore[attr-defined]
            if not count:
                message = f"{quoted(self.path)} has become shorter while it was read"
                raise DataError(message)
            left = left[count:]
