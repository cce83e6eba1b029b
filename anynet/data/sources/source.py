"""Samples that are read when they are needed, such as those on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from anynet.checks import is_whole
from anynet.data.display import Described
from anynet.errors import DataError, InvalidArgumentError, printable

WINDOW_BYTES = 128 * 2**20


class Source(Described, ABC):
    """Samples that are read in part; subclass it for a store of your own.

    ``fit``, ``Model.predict``, ``score`` and ``evaluate`` take it in place of an array. It must
    return the same samples each time. It is read in a separate thread, and in several threads at
    once when a population trains.

    Attributes
    ----------
    shape : tuple of int
        (N, I): samples, and inputs of each.
    dtype : dtype
        Type of the numbers that ``read`` returns, in native byte order.
    y : ndarray or None
        The targets, in memory: (N,) or (N, O).
    starts : ndarray of int64, or None
        The first row of each block of rows that is best read at once, beginning with 0. Epochs are
        then shuffled blockwise, see `anynet.data.batches.block_order`; exactly if this is None.
    window : int
        Bytes that are read, shuffled and trained on at a time. There are two such buffers.
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

        Parameters
        ----------
        rows : ndarray of int, (M,)
            Distinct increasing indices.
        out : ndarray of shape (M, I)
            Where to write.

        Raises
        ------
        DataError
            If ``read`` returns another shape.
        """
        out[...] = read_checked(self, rows)

    @property
    def ndim(self) -> int:
        """The number of axes of a matrix, 2."""
        return 2

    @property
    def nbytes(self) -> int:
        """The memory of all samples in bytes."""
        return self.shape[0] * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """The memory of one sample in bytes."""
        return self.shape[1] * self.dtype.itemsize

    @property
    def window_rows(self) -> int:
        """The number of samples in a window."""
        return max(1, self.window // max(1, self.row_bytes))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Source:
        """Return some of the samples, by indices, a mask or a slice, without reading them.

        Targets are selected too, and blocks if the indices increase.
        """
        return Selected(self, np.arange(len(self))[rows])

    def original_row(self, row: int) -> int:
        """Return the index of the sample ``row`` in what was opened, for messages."""
        return row

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return the title and the facts that ``print`` shows."""
        path = getattr(self, "path", None)
        facts = {} if path is None else {"path": printable(str(path))}
        facts["x"] = f"{self.shape[0]:,} rows, {self.shape[1]:,} features, {self.dtype}"
        facts["y"] = "none" if self.y is None else f"{self.y.dtype} of shape {self.y.shape}"
        facts["size"] = f"{self.nbytes:,} bytes"
        return f"{type(self).__name__}, read in part", facts


class Filling(Source):
    """A source that is defined by ``read_into``."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return samples, see `Source.read`."""
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        self.read_into(rows, out)
        return out

    @abstractmethod
    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write samples into an array, see `Source.read_into`."""


def check_source(source: Source, name: str) -> None:
    """Check the attributes of a source, which may be the user's own.

    Parameters
    ----------
    source : Source
        What to check.
    name : str
        Its name in messages.

    Raises
    ------
    InvalidArgumentError
        If its shape is not (N, I), or its dtype is not one of real numbers.
    """
    shape, dtype = getattr(source, "shape", None), getattr(source, "dtype", None)
    extents = shape if isinstance(shape, (tuple, list)) else ()
    if len(extents) != 2 or not all(is_whole(extent) and extent >= 0 for extent in extents):
        message = (
            f"{name}: the shape of a source must be (samples, inputs), two whole numbers, and that "
            f"of {type(source).__name__} is {shape!r}"
        )
        raise InvalidArgumentError(message)
    if not isinstance(dtype, np.dtype) or dtype.kind not in "buif":
        message = f"{name} must hold real numbers, got dtype {dtype!r} of {type(source).__name__}"
        raise InvalidArgumentError(message)


def read_checked(source: Source, rows: np.ndarray) -> np.ndarray:
    """Read samples of a source, and check their shape and type.

    Parameters
    ----------
    source : Source
        It may be the user's own.
    rows : ndarray of int, (M,)
        Distinct increasing indices.

    Returns
    -------
    ndarray of shape (M, I)
        The samples.

    Raises
    ------
    DataError
        If they are not real numbers of that shape: NumPy would repeat or cast them.
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


def read_cast(source: Source, rows: np.ndarray, out: np.ndarray) -> None:
    """Read samples of a source into an array that may have another type than the source.

    Parameters
    ----------
    source : Source
        It may be the user's own.
    rows : ndarray of int, (M,)
        Distinct increasing indices.
    out : ndarray of shape (M, I)
        Where to write; numbers that are too large for its type become infinity.

    Raises
    ------
    DataError
        If the source returns samples of another shape.
    """
    if out.dtype == source.dtype:
        source.read_into(rows, out)
    else:
        with np.errstate(over="ignore"):
            out[...] = read_checked(source, rows)


class Wrapped(Filling):
    """A source that reads another one, and shares its targets, blocks and window."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.shape, self.dtype = source.shape, source.dtype
        self.y, self.starts = source.y, source.starts

    @property
    def window_rows(self) -> int:
        """That of the other source, so that the order of an epoch is the same."""
        return self.source.window_rows

    def original_row(self, row: int) -> int:
        """Return the index of a sample in what was opened, for messages."""
        return self.source.original_row(row)


class Selected(Wrapped):
    """The samples ``index`` (M,) of a source."""

    def __init__(self, source: Source, index: np.ndarray) -> None:
        super().__init__(source)
        self.index = np.atleast_1d(index)
        self.shape = (self.index.size, source.shape[1])
        self.y = None if source.y is None else source.y[self.index]
        self.increases = bool(np.all(self.index[1:] > self.index[:-1]))
        self.starts = None
        if self.increases and source.starts is not None:
            self.starts = borders(source.starts, self.index)[:-1]

    def original_row(self, row: int) -> int:
        """Return the index of a sample in what was opened, for messages."""
        return self.source.original_row(int(self.index[row]))

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write samples into an array, see `Source.read_into`."""
        wanted = self.index[rows]
        if self.increases:
            self.source.read_into(wanted, out)
        else:
            distinct, inverse = np.unique(wanted, return_inverse=True)
            np.take(read_checked(self.source, distinct), inverse, axis=0, out=out, mode="clip")


def borders(starts: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the first sample of each block among increasing indices, and the end of the last."""
    return np.append(np.searchsorted(index, starts), index.size)
