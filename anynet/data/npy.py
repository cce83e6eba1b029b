"""NumPy's ``.npy`` format, read without trust: no pickles, and no memory on a header's word."""

import io
import os
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from anynet.data.files import one_line, promised_bytes, quoted, read_at_most
from anynet.errors import DataError

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_MOST_HEADER = 1 << 14  # bytes; NumPy itself refuses a text of more than 10,000


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Read an array from a ``.npy`` file.

    Parameters
    ----------
    path : Path
        The file, as `numpy.save` writes it.

    Returns
    -------
    ndarray
        The array, C-contiguous and in native byte order.

    Raises
    ------
    DataError
        When the file is damaged or holds anything but plain numbers or text.
    OSError
        When it cannot be opened.
    """
    with path.open("rb") as file:
        return read_array(file, os.fstat(file.fileno()).st_size, quoted(path))


def read_array(stream: IO[bytes], size: int, where: str) -> npt.NDArray[Any]:
    """Read an array from an open stream.

    Parameters
    ----------
    stream : binary file
        It can seek.
    size : int
        How many bytes it is said to have: a claim beside that of the header, with which it must
        agree before anything is read.
    where : str
        What it is, to begin a message with.

    Returns
    -------
    ndarray
        The array, C-contiguous and in native byte order.

    Raises
    ------
    DataError
        When it is damaged or holds anything but plain numbers or text.
    """
    head = io.BytesIO(read_at_most(stream, _MOST_HEADER))
    shape, fortran, dtype = read_header(head, where)
    promised = promised_bytes(shape, dtype, where)
    claimed = size - head.tell()
    if claimed == promised:
        stream.seek(head.tell())
        data = read_at_most(stream, promised)
        claimed = len(data)
    if claimed != promised:
        message = (
            f"{where} promises {promised} bytes (shape {shape}, {dtype.name}) and holds {claimed}: "
            f"the file is damaged"
        )
        raise DataError(message)
    try:
        array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    except ValueError as error:  # more axes than NumPy has
        message = f"{where} claims {len(shape)} axes ({one_line(error)}): the file is damaged"
        raise DataError(message) from error
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


def read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array; the stream is then at its first element.

    Parameters
    ----------
    stream : binary file
    where : str
        What it is, to begin a message with.

    Returns
    -------
    shape, fortran, dtype
        The shape, whether the first axis varies fastest, and the type of the elements.

    Raises
    ------
    DataError
        When it is damaged, or the elements are anything but plain numbers or text.
    """
    try:
        version = np.lib.format.read_magic(stream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # headers that Python 2 wrote are welcome
            shape, fortran, dtype = _HEADER_READERS[version](stream)
    # NumPy parses the header as Python source: damage raises whatever Python's parsers raise.
    except Exception as error:
        message = f"{where} has a damaged header ({one_line(error)})"
        raise DataError(message) from error
    if dtype.kind not in "biufU" or not dtype.itemsize or any(extent < 0 for extent in shape):
        message = (
            f"{where} has elements of type {dtype} and shape {shape}: expected plain numbers or "
            f"text; objects are never unpickled"
        )
        raise DataError(message)
    return shape, fortran, dtype
