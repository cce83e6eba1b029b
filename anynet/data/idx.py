"""IDX, the format of the MNIST files: a type, a shape, and big-endian numbers.

The layout is: two zero bytes, one byte for the element type, one for the rank, a 32-bit extent per
axis, then the elements in C order. All numbers are big-endian.

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
    promised_bytes,
    quoted,
    read_at_most,
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
_CODES = {dtype: code for code, dtype in ELEMENT_TYPES.items()}
MAX_RANK = 64  # NumPy's own bound; the format's is 255
_GZIP_MAGIC = b"\x1f\x8b"
_MEND = "the file is damaged or is no IDX file: fetch it again"


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an IDX file, gzip-compressed or not.

    The file must hold exactly what its header promises. A promise is checked before memory is
    spent on it: against the size of a plain file, and against the bytes as they really come out of
    a compressed one, of which no more than one byte beyond the promise is ever inflated.

    Parameters
    ----------
    path : str or path-like
        The file. Compression is told by its first bytes, not by its name.

    Returns
    -------
    ndarray
        The elements in native byte order, C-contiguous and writable, in the shape of the header.

    Raises
    ------
    DataError
        When the file is missing, unreadable, not IDX, truncated, or longer than its header says.
    """
    path = expanded(path)
    if not is_file(path):
        message = f"{quoted(path)} is not a file: expected an IDX file"
        raise DataError(message)
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if not compressed:
                return _decode(file, path, size=os.fstat(file.fileno()).st_size)
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                return _decode(stream, path, size=None)
    except (OSError, EOFError, zlib.error) as error:
        message = f"{quoted(path)} cannot be read ({one_line(error)}): {_MEND}"
        raise DataError(message) from error


def write_idx(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write an array as an IDX file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Where to write; compressed with gzip if the name ends in ``.gz``. The same array always
        gives the same bytes.
    array : array_like
        Elements of type uint8, int8, int16, int32, float32 or float64, in any byte order.

    Raises
    ------
    InvalidArgumentError
        When IDX has no code for the element type, or no room for an extent.
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
    """Return the content of the (uncompressed) IDX file that holds `array`.

    Parameters
    ----------
    array : array_like
        As in `write_idx`.

    Returns
    -------
    bytes
        Header and elements: the one file that `read_idx` reads as this array.

    Raises
    ------
    InvalidArgumentError
        When IDX has no code for the element type, or no room for an extent.
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


def _decode(stream: Readable, path: Path, size: int | None) -> npt.NDArray[Any]:
    """Decode an open IDX stream; `size` is its length in bytes where that is known beforehand."""
    dtype, shape = read_header(stream, path)
    promised = promised_bytes(shape, dtype, quoted(path))

    # A plain file answers for its header before anything is read; a compressed one while it is.
    came = None if size is None else size - 4 - 4 * len(shape)
    if came is None or came == promised:
        data = read_at_most(stream, promised + 1)
        came = len(data)
    if came != promised:
        extent = "more" if came > promised else f"only {came}"
        message = (
            f"{quoted(path)} promises {promised} bytes (shape {shape}, {dtype.name}) and holds "
            f"{extent}: {_MEND}"
        )
        raise DataError(message)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_header(stream: Readable, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read element type and shape, which take 4 bytes and 4 for each axis.

    Raises
    ------
    DataError
        When the stream does not begin as IDX does.
    """
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in ELEMENT_TYPES:
        known = ", ".join(f"{code:02x}" for code in ELEMENT_TYPES)
        message = (
            f"{quoted(path)} is not IDX: expected the bytes 00 00, an element type of {known} and "
            f"the rank, found {magic.hex(' ') or 'an empty file'}: {_MEND}"
        )
        raise DataError(message)
    dtype, rank = ELEMENT_TYPES[magic[2]], magic[3]
    if rank > MAX_RANK:
        message = f"{quoted(path)} claims {rank} axes: expected {MAX_RANK} at most: {_MEND}"
        raise DataError(message)
    extents = read_at_most(stream, 4 * rank)
    if len(extents) < 4 * rank:
        message = f"{quoted(path)} ends within its header of {4 + 4 * rank} bytes: {_MEND}"
        raise DataError(message)
    return dtype, struct.unpack(f">{rank}I", extents)
