"""What samples on disk are to the rest of the house: rows that are read when they are needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from anynet.errors import DataError, InvalidArgumentError

WINDOW_BYTES = 128 * 2**20


class Source(ABC):
    """Samples that are read in part; subclass it for a store of your own.

    ``fit``, ``Model.predict``, ``score`` and ``evaluate`` take it in place of an array. What it
    reads must be the same each time. Reading happens in a thread of its own, and in several at once
    where a population trains.

    Attributes
    ----------
    shape : tuple of int
        (N, I): samples, and inputs of each.
    dtype : dtype
        Of the numbers that ``read`` returns, in native byte order.
    y : ndarray or None
        The targets, in memory: (N,) or (N, O).
    starts : ndarray of int64, or None
        The first row of each block of rows that is best read as a whole, beginning with 0. Epochs
        are then shuffled blockwise, see `anynet.data.shuffle`; exactly where this is None.
    window : int
        The bytes that are read, shuffled and trained on at a time. There are two such buffers.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    y: np.ndarray | None = None
    starts: np.ndarray | None = None
    window: int = WINDOW_BYTES

    @abstractmethod
    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the samples (M, I) of these indices (M,), which are distinct and increase."""

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write what ``read`` returns into ``out``, a C-contiguous array (M, I) of ``dtype``.

        Raises
        ------
        DataError
            When ``read`` returns another shape.
        """
        out[...] = read_checked(self, rows)

    @property
    def ndim(self) -> int:
        """2, as a matrix has."""
        return 2

    @property
    def nbytes(self) -> int:
        """What all samples take in memory, in bytes."""
        return self.shape[0] * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """What one sample takes in memory, in bytes."""
        return self.shape[1] * self.dtype.itemsize

    @property
    def window_rows(self) -> int:
        """How many samples a window holds."""
        return max(1, self.window // max(1, self.row_bytes))

    def __len__(self) -> int:
        """N."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Source:
        """Return some of the samples, by indices, a mask or a slice, without reading them.

        Targets and blocks come along where the indices increase.
        """
        return Selected(self, np.arange(len(self))[rows])

    def place(self, row: int) -> int:
        """Return which sample of what was opened the sample ``row`` is, to tell people of it."""
        return row


def check_source(source: Source, name: str) -> None:
    """Check the attributes of a source that anyone may have written.

    Raises
    ------
    InvalidArgumentError
        If its shape is not (N, I), or its dtype is not one of real numbers.
    """
    shape, dtype = getattr(source, "shape", None), getattr(source, "dtype", None)
    extents = shape if isinstance(shape, (tuple, list)) else ()
    if len(extents) != 2 or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in extents):
        message = (
            f"{name}: the shape of a source must be (samples, inputs), two whole numbers, and that "
            f"of {type(source).__name__} is {shape!r}"
        )
        raise InvalidArgumentError(message)
    if not isinstance(dtype, np.dtype) or dtype.kind not in "buif":
        message = f"{name} must hold real numbers, got dtype {dtype!r} of {type(source).__name__}"
        raise InvalidArgumentError(message)


def read_checked(source: Source, rows: np.ndarray) -> np.ndarray:
    """Read samples of a source that anyone may have written, and check their shape and type.

    Raises
    ------
    DataError
        When they are not real numbers of shape (M, I): NumPy would repeat or cast them.
    """
    samples = np.asarray(source.read(rows))
    expected = (len(rows), source.shape[1])
    fits = samples.dtype.kind in ("buif" if source.dtype.kind == "f" else "bui")
    if samples.shape != expected or not fits:
        message = (
            f"{type(source).__name__}.read returned {samples.dtype} of shape {samples.shape} for "
            f"{len(rows)} rows: expected {source.dtype} of shape {expected}"
        )
        raise DataError(message)
    return samples


class Wrapped(Source):
    """A source that reads another one, and shares its targets, blocks and window."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.shape, self.dtype = source.shape, source.dtype
        self.y, self.starts = source.y, source.starts

    @property
    def window_rows(self) -> int:
        """As many as in the other's window, so that both mean the same order of an epoch."""
        return self.source.window_rows

    def place(self, row: int) -> int:
        return self.source.place(row)


class Selected(Wrapped):
    """Some samples of a source, those of ``index`` (M,)."""

    def __init__(self, source: Source, index: np.ndarray) -> None:
        super().__init__(source)
        self.index = np.atleast_1d(index)
        self.shape = (self.index.size, source.shape[1])
        self.y = None if source.y is None else source.y[self.index]
        self.increases = bool(np.all(self.index[1:] > self.index[:-1]))
        self.starts = None
        if self.increases and source.starts is not None:
            self.starts = borders(source.starts, self.index)[:-1]

    def place(self, row: int) -> int:
        return self.source.place(int(self.index[row]))

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        self.read_into(rows, out)
        return out

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        wanted = self.index[rows]
        if self.increases:
            self.source.read_into(wanted, out)
        else:
            distinct, places = np.unique(wanted, return_inverse=True)
            np.take(read_checked(self.source, distinct), places, axis=0, out=out, mode="clip")


def borders(starts: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return where blocks begin among samples at increasing indices, and where the last ends."""
    return np.append(np.searchsorted(index, starts), index.size)
