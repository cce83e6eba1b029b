"""NumPy's ``.npy`` files and ``.npz`` archives, read without unpickling anything.

The directory of a zip archive is not trusted, like any header. A member must be stored or deflated:
deflate expands by a factor of at most 1032, so that the size of the file bounds its content; the
other methods of zip have no such bound.
"""

import contextlib
import io
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from anynet.data.files import is_file, one_line, quoted, read_at_most, read_elements
from anynet.errors import DataError

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_MAX_HEADER = 1 << 14  # bytes; NumPy itself refuses more than 10,000 characters
_ENCRYPTED = 0x1

#: Exceptions of Python's zip reader for damaged files; RuntimeError stands for encryption.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Read an array from an ``.npy`` file.

    Parameters
    ----------
    path : Path
        A file that `numpy.save` wrote.

    Returns
    -------
    ndarray
        The array, C-contiguous and in native byte order.

    Raises
    ------
    DataError
        If the file is damaged or contains anything except plain numbers or text.
    OSError
        If it cannot be opened.
    """
    with path.open("rb") as file:
        return _read_array(file, os.fstat(file.fileno()).st_size, quoted(path))


def read_npz(path: Path, names: Iterable[str]) -> list[npt.NDArray[Any]]:
    """Read arrays of an ``.npz`` archive; its other members are not read.

    Parameters
    ----------
    path : Path
        An archive that `numpy.savez` or `numpy.savez_compressed` wrote.
    names : iterable of str
        The arrays to read.

    Returns
    -------
    list of ndarray
        The arrays in the order of `names`, C-contiguous and in native byte order.

    Raises
    ------
    DataError
        If the file is missing or damaged, or an array is missing or contains anything except
        plain numbers or text.
    """
    arrays = []
    with open_zip(path) as archive:
        for name in names:
            info = zip_member(archive, f"{name}.npy", path)
            where = f"{quoted(path)}: the array {info.filename!r}"
            with archive.open(info) as stream:
                arrays.append(_read_array(stream, info.file_size, where))
    return arrays


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays of an ``.npz`` archive, as `read_npz` takes them.

    Raises
    ------
    DataError
        If the file is missing or is not a zip archive.
    """
    with open_zip(path) as archive:
        return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array; the stream is then at its first element.

    Parameters
    ----------
    stream : binary file
        At its beginning.
    where : str
        The file, for the message.

    Returns
    -------
    shape, fortran, dtype
        The shape, whether the first axis varies fastest, and the type of the elements.

    Raises
    ------
    DataError
        If it is damaged, or the elements are anything except plain numbers or text.
    """
    try:
        version = np.lib.format.read_magic(stream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about headers that Python 2 wrote
            shape, fortran, dtype = _HEADER_READERS[version](stream)
    # NumPy parses the header as Python source: a damaged one raises whatever the parser raises.
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


def _read_array(stream: IO[bytes], size: int, where: str) -> npt.NDArray[Any]:
    """Read an array from a stream of `size` bytes that can seek."""
    head = io.BytesIO(read_at_most(stream, _MAX_HEADER))
    shape, fortran, dtype = read_header(head, where)
    stream.seek(head.tell())
    elements = read_elements(stream, shape, dtype, size - head.tell(), where)
    try:
        array = elements.reshape(shape, order="F" if fortran else "C")
    except ValueError as error:  # more axes than NumPy supports
        message = f"{where} claims {len(shape)} axes ({one_line(error)}): the file is damaged"
        raise DataError(message) from error
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive for reading, and raise `DataError` if it is damaged.

    Parameters
    ----------
    path : Path
        The archive.

    Yields
    ------
    ZipFile
        The open archive.

    Raises
    ------
    DataError
        If the file is missing, is not a zip archive, or is damaged where the block reads it.
    """
    if not is_file(path):
        message = f"{quoted(path)} is not a file: expected a zip archive"
        raise DataError(message)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        message = f"{quoted(path)} cannot be read as a zip ({one_line(error)}): fetch it again"
        raise DataError(message) from error


def zip_member(archive: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    """Return the entry of a member that is safe to read.

    Parameters
    ----------
    archive : ZipFile
        The open archive.
    name : str
        The name of the member.
    path : Path
        The file of the archive, for the message.

    Returns
    -------
    ZipInfo
        Its entry in the directory.

    Raises
    ------
    DataError
        If it is missing, encrypted, or compressed by an unusual method.
    """
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        message = f"{quoted(path)} has no member {name!r}: it is not the archive expected here"
        raise DataError(message) from error
    usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not usual or info.flag_bits & _ENCRYPTED:
        message = (
            f"{quoted(path)}: the member {name!r} is encrypted or compressed in an unusual way: "
            "expected it stored or deflated"
        )
        raise DataError(message)
    return info
