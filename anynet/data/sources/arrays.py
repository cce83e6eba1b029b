"""Arrays as sources: in memory, mapped into it, or in ``.npy`` and IDX files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from anynet.data.files import promised_bytes, quoted, reading
from anynet.data.idx import GZIP_MAGIC
from anynet.data.idx import read_header as read_idx_header
from anynet.data.npy import read_header as read_npy_header
from anynet.data.sources.source import WINDOW_BYTES, Filling
from anynet.errors import DataError

MEMORY_WINDOW = 64 * 2**20
BLOCK_BYTES = 2**20  # long enough for a disk to read at full speed
GAP_BYTES = 2**14  # gaps up to this are read rather than skipped


class InMemory(Filling):
    """The rows of a NumPy array (N, I), in an order that is drawn exactly."""

    window = MEMORY_WINDOW

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape = (array.shape[0], array.shape[1])
        self.dtype = array.dtype

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write samples into an array, see `Source.read_into`."""
        np.take(self.array, rows, axis=0, out=out, mode="clip")


class Unchanged:
    """A file that must not change while it is read again and again.

    Parameters
    ----------
    path : Path
        The file, whose size and time of writing are remembered.

    Raises
    ------
    DataError
        If there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size, self.written = self._look()

    def _look(self) -> tuple[int, int]:
        with reading(self.path):
            status = self.path.stat()
        return status.st_size, status.st_mtime_ns

    def check(self) -> None:
        """Raise `DataError` if the file was changed."""
        if self._look() != (self.size, self.written):
            message = f"{quoted(self.path)} was changed since it was opened: open it again"
            raise DataError(message)


class ArrayFile(Filling):
    """The rows of an array in a file in C order, behind a header.

    The file is read, not mapped: pages of a map count as memory of the process, and a file that is
    truncated while it is mapped would end the process.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Position of the first element, in bytes.
    shape : tuple of int
        (N, …); trailing axes are flattened.
    dtype : dtype
        Type of the elements, in the byte order of the file.
    exact : bool
        Whether epochs are shuffled exactly, each row being read by itself.
    window : int
        See `Source`.
    whole : bool
        Whether the file must end with the array.

    Raises
    ------
    DataError
        If the file is absent, does not hold real numbers, or has another size than shape and dtype
        imply.
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
        self.block_rows = max(1, BLOCK_BYTES // max(1, self.row_bytes))
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
            self.starts = np.arange(0, shape[0], self.block_rows)

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write samples into an array, see `Source.read_into`."""
        if out.size == 0:
            return
        self.file.check()
        scratch = np.empty((self.block_rows, self.shape[1]), dtype=self.dtype)
        with reading(self.path), self.path.open("rb", buffering=0) as file:
            for first, last, low, high in self._spans(rows):
                gapless = last - first == high - low
                target = out[low:high] if gapless else scratch[: last - first]
                self._fill(file, first, target)
                if not gapless:
                    np.take(target, rows[low:high] - first, axis=0, out=out[low:high], mode="clip")
        if not self.stored.isnative:
            out.byteswap(inplace=True)

    def _spans(self, rows: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """Yield the rows [first, last) to read at once, which contain rows[low:high]."""
        gap = 1 + GAP_BYTES // self.row_bytes
        new = (np.diff(rows) > gap) | (np.diff(rows // self.block_rows) > 0)
        ends = np.append(np.flatnonzero(new) + 1, len(rows)).tolist()
        low = 0
        for high in ends:
            yield int(rows[low]), int(rows[high - 1]) + 1, low, high
            low = high

    def _fill(self, file: BinaryIO, first: int, target: np.ndarray) -> None:
        """Fill an array with the rows from ``first`` on."""
        file.seek(self.offset + first * self.row_bytes)
        left = memoryview(target.data).cast("B")
        while left:
            count = file.readinto(left)  # type: ignore[attr-defined]
            if not count:
                message = f"{quoted(self.path)} was truncated while it was read"
                raise DataError(message)
            left = left[count:]


def open_array(path: Path, exact: bool, window: int) -> ArrayFile:
    """Open an ``.npy`` or uncompressed IDX file whose first axis is that of the samples.

    Parameters
    ----------
    path : Path
        The file; it is IDX unless its name ends in ``.npy``.
    exact, window
        See `ArrayFile`.

    Returns
    -------
    ArrayFile
        Its rows.

    Raises
    ------
    DataError
        If the file is absent, damaged, compressed, in column order, or does not hold real numbers.
    """
    fortran = False
    with reading(path), path.open("rb") as file:
        if path.suffix == ".npy":
            shape, fortran, dtype = read_npy_header(file, quoted(path))
        elif file.peek(2)[:2] == GZIP_MAGIC:
            message = (
                f"{quoted(path)} is compressed, so that it cannot be read in part: decompress it "
                f"(gunzip), or load all of it with load_dataset"
            )
            raise DataError(message)
        else:
            dtype, shape = read_idx_header(file, path)
        offset = file.tell()
    if fortran and len(shape) > 1:
        message = (
            f"{quoted(path)} is stored in column order, so that its rows cannot be read in part: "
            f"save it again as np.ascontiguousarray(array)"
        )
        raise DataError(message)
    return ArrayFile(path, offset, shape, dtype, exact, window)


def open_map(array: Any) -> ArrayFile | None:
    """Return a source that reads the file of a memory map, in exact order.

    Pages of a map may count as memory of the process.

    Parameters
    ----------
    array : object
        Perhaps a memory map.

    Returns
    -------
    ArrayFile or None
        None for another array, one whose rows are not contiguous in the file, or one that may
        differ from the file because it is copied on writing.
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
        for row in (0, len(source) - 1):  # the name may belong to another file by now
            shown = np.asarray(array[row], dtype=source.dtype)
            if source.read(np.array([row])).tobytes() != shown.tobytes():
                return None
    except DataError:
        return None
    return source
