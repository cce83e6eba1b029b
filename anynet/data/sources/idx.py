"""IDX files that are not compressed, read in part."""

from __future__ import annotations

from pathlib import Path

from anynet.data.files import one_line, quoted
from anynet.data.idx import read_header
from anynet.data.sources.array_file import ArrayFile
from anynet.errors import DataError


def open_idx(path: Path, exact: bool, window: int) -> ArrayFile:
    """Open an IDX file whose first axis is that of the samples; see `ArrayFile`.

    Raises
    ------
    DataError
        When the file is absent, damaged, or compressed.
    """
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                message = (
                    f"{quoted(path)} is compressed, so that it cannot be read in part: unpack it "
                    f"(gunzip), or load it as a whole with load_dataset"
                )
                raise DataError(message)
            dtype, shape = read_header(file, path)
    except OSError as error:
        message = f"{quoted(path)} cannot be read ({one_line(error)})"
        raise DataError(message) from error
    return ArrayFile(path, 4 + 4 * len(shape), shape, dtype, exact, window)
