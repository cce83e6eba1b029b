"""``.npy`` files, read in part."""

from __future__ import annotations

from pathlib import Path

from anynet.data.files import one_line, quoted
from anynet.data.npy import read_header
from anynet.data.sources.array_file import ArrayFile
from anynet.errors import DataError


def open_npy(path: Path, exact: bool, window: int) -> ArrayFile:
    """Open an ``.npy`` file whose first axis is that of the samples; see `ArrayFile`.

    Raises
    ------
    DataError
        When the file is absent, damaged, in column order, or holds no real numbers.
    """
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = read_header(file, quoted(path))
            offset = file.tell()
    except OSError as error:
        message = f"{quoted(path)} cannot be read ({one_line(error)})"
        raise DataError(message) from error
    if fortran and len(shape) > 1:
        message = (
            f"{quoted(path)} lies column after column, so that its rows cannot be read in part: "
            f"save it again as np.ascontiguousarray(array)"
        )
        raise DataError(message)
    return ArrayFile(path, offset, shape, dtype, exact, window)
