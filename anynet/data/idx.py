"""IDX, the format of the MNIST files: a type, a shape, and big-endian numbers.

The layout is: two zero bytes, one byte for the element type, one for the number of axes, a 32-bit
extent for each axis, then the elements in C order. All numbers are big-endian.

References
----------
LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section "The IDX file format".
"""

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.data.files import (
    Readable,
    expanded,
    is_file,
    one_line,
    quoted,
    read_at_most,
    read_elements,
    replacing,
)
from anynet.errors import DataError, InvalidArgumentError

ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_MAGIC = b"\x1f\x8b"
_CODES = {dtype: code for code, dtype in ELEMENT_TYPES.items()}
_MAX_AXES = 64  # of NumPy; the format allows 255
_ADVICE = "the file is damaged or is not an IDX file: fetch it again"


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an IDX file, gzip-compressed or not.

    The file must contain exactly what its header promises. The promise is checked before memory is
    allocated: against the size of an uncompressed file, and while a compressed one is inflated,
    which stops one byte after the promised size.

    Parameters
    ----------
    path : str or path-like
        The file. Compression is detected from its first bytes, not from its name.

    Returns
    -------
    ndarray
        The elements in native byte order, C-contiguous and writable, in the shape of the header.

    Raises
    ------
    DataError
        If the file is missing, unreadable, not IDX, truncated, or longer than its header says.
    """
    path = expanded(path)
    if not is_file(path):
        message = f"{quoted(path)} is not a file: expected an IDX file"
        raise DataError(message)
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not compressed:
                return _read(file, path, os.fstat(file.fileno()).st_size)
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                return _read(stream, path, None)
    except (OSError, EOFError, zlib.error) as error:
        message = f"{quoted(path)} cannot be read ({one_line(error)}): {_ADVICE}"
        raise DataError(message) from error


def write_idx(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write an array as an IDX file, completely or not at all.

    Parameters
    ----------
    path : str or path-like
        The file to write; compressed with gzip if the name ends in ``.gz``. The same array always
        gives the same bytes.
    array : array_like
        Elements of type uint8, int8, int16, int32, float32 or float64, in any byte order.

    Raises
    ------
    InvalidArgumentError
        If IDX has no code for the element type, or cannot store an extent.
    """
    path = expanded(path)
    content = encode_idx(array)
    with replacing(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as stream:
                stream.write(content)
        else:
            file.write(content)


def encode_idx(array: npt.ArrayLike) -> bytes:
    """Return the content of the uncompressed IDX file of an array.

    Parameters
    ----------
    array : array_like
        As in `write_idx`.

    Returns
    -------
    bytes
        Header and elements.

    Raises
    ------
    InvalidArgumentError
        If IDX has no code for the element type, or cannot store an extent.
    """
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder(">")
    code = _CODES.get(dtype)
    if code is None:
        message = (
            f"IDX cannot hold elements of type {array.dtype}: expected uint8, int8, int16, int32, "
            "float32 or float64; convert the array with astype"
        )
        raise InvalidArgumentError(message)
    if any(extent >= 2**32 for extent in array.shape):
        message = f"IDX cannot hold the shape {array.shape}: an extent must be below 2**32"
        raise InvalidArgumentError(message)
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(dtype, copy=False).tobytes()


def read_header(stream: Readable, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read the element type and the shape, which take 4 bytes and 4 for each axis.

    Parameters
    ----------
    stream : Readable
        At its beginning.
    path : Path
        The file, for the message.

    Returns
    -------
    dtype, shape
        The type of the elements in the file, and the shape of the array.

    Raises
    ------
    DataError
        If the stream does not begin like an IDX file.
    """
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in ELEMENT_TYPES:
        known = ", ".join(f"{code:02x}" for code in ELEMENT_TYPES)
        message = (
            f"{quoted(path)} is not IDX: expected the bytes 00 00, an element type of {known} and "
            f"the number of axes, got {magic.hex(' ') or 'an empty file'}: {_ADVICE}"
        )
        raise DataError(message)
    dtype, n_axes = ELEMENT_TYPES[magic[2]], magic[3]
    if n_axes > _MAX_AXES:
        message = f"{quoted(path)} claims {n_axes} axes: expected {_MAX_AXES} at most: {_ADVICE}"
        raise DataError(message)
    extents = read_at_most(stream, 4 * n_axes)
    if len(extents) < 4 * n_axes:
        message = f"{quoted(path)} ends within its header of {4 + 4 * n_axes} bytes: {_ADVICE}"
        raise DataError(message)
    return dtype, struct.unpack(f">{n_axes}I", extents)


def find_idx(folder: Path, kind: str, prefixes: tuple[str, ...]) -> Path | None:
    """Return the IDX file of a folder whose name begins with a prefix and contains `kind`.

    Parameters
    ----------
    folder : Path
        The folder to search, without the folders below it.
    kind : {"images", "labels"}
        What the file contains.
    prefixes : tuple of str
        Possible beginnings of the name, before a hyphen: ``("train",)`` or ``("t10k", "test")``.

    Returns
    -------
    Path or None
        The file; an uncompressed one is preferred to its own compressed copy.

    Raises
    ------
    DataError
        If there are several.
    """
    paths = [path for prefix in prefixes for path in folder.glob(f"{prefix}-*{kind}*")]
    paths = sorted(filter(is_file, paths), reverse=True)  # a file comes after its name with .gz
    distinct = {path.name.removesuffix(".gz"): path for path in paths}
    if len(distinct) > 1:
        message = f"{quoted(folder)} has several files of {kind}: {sorted(distinct)}: keep one"
        raise DataError(message)
    return next(iter(distinct.values()), None)


def _read(stream: Readable, path: Path, size: int | None) -> npt.NDArray[Any]:
    """Read a stream of `size` bytes, None if that is unknown."""
    dtype, shape = read_header(stream, path)
    left = None if size is None else size - 4 - 4 * len(shape)
    elements = read_elements(stream, shape, dtype, left, quoted(path))
    return elements.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
