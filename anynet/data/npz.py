"""NumPy's ``.npz`` archives, read without trust: no pickles, and no memory on a header's word."""

import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from anynet.data.archives import member, open_zip
from anynet.data.files import one_line, promised_bytes, quoted, read_at_most
from anynet.errors import DataError

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def array_names(path: Path) -> list[str]:
    """List the arrays of an ``.npz`` archive.

    Parameters
    ----------
    path : Path
        The archive.

    Returns
    -------
    list of str
        Their names, as `read_npz` takes them.

    Raises
    ------
    DataError
        When the file is missing or no zip.
    """
    with open_zip(path) as archive:
        return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def read_npz(path: Path, names: Iterable[str]) -> list[npt.NDArray[Any]]:
    """Read arrays of an ``.npz`` archive; what else is in it costs nothing.

    Parameters
    ----------
    path : Path
        The archive, as `numpy.savez` or `numpy.savez_compressed` writes it.
    names : iterable of str
        The arrays to read.

    Returns
    -------
    list of ndarray
        The arrays in the order of `names`, C-contiguous and in native byte order.

    Raises
    ------
    DataError
        When the file is missing or damaged, or an array is missing or holds anything but plain
        numbers or text.
    """
    with open_zip(path) as archive:
        return [_read_member(archive, f"{name}.npy", path) for name in names]


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> npt.NDArray[Any]:
    info = member(archive, name, path)
    with archive.open(info) as stream:
        shape, fortran, dtype = _read_header(stream, name, path)
        promised = promised_bytes(shape, dtype, path)
        # The directory's size of the member is a second claim; both must agree before we read.
        claimed = info.file_size - stream.tell()
        if claimed == promised:
            data = read_at_most(stream, promised)
            claimed = len(data)
        if claimed != promised:
            message = (
                f"{quoted(path)}: the array {name!r} promises {promised} bytes (shape {shape}, "
                f"{dtype.name}) and holds {claimed}: the file is damaged"
            )
            raise DataError(message)
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


def _read_header(
    stream: IO[bytes], name: str, path: Path
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # headers that Python 2 wrote are welcome
            shape, fortran, dtype = _HEADER_READERS[version](stream)
    # NumPy parses the header as Python source: damage raises whatever Python's parsers raise.
    except Exception as error:
        message = f"{quoted(path)}: the array {name!r} has a damaged header ({one_line(error)})"
        raise DataError(message) from error
    if dtype.kind not in "biufU" or not dtype.itemsize or any(extent < 0 for extent in shape):
        message = (
            f"{quoted(path)}: the array {name!r} has elements of type {dtype} and shape {shape}: "
            "expected plain numbers or text; objects are never unpickled"
        )
        raise DataError(message)
    return shape, fortran, dtype
