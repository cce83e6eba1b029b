"""NumPy's ``.npz`` archives, read without trust: no pickles, and no memory on a header's word."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from anynet.data.archives import member, open_zip
from anynet.data.files import quoted
from anynet.data.npy import read_array


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
        return read_array(stream, info.file_size, f"{quoted(path)}: the array {name!r}")
