"""Zip archives, whose directory is a claim like any header: members are read by name and bounded.

A member is accepted only stored or deflated. Deflate expands 1032 times at most, so the claims of
a directory are bounded by the size of the file; the other methods of zip know no such bound.
"""

import contextlib
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from anynet.data.files import folder_of, is_file, one_line, quoted, replacing
from anynet.errors import DataError

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What Python's zip reader makes of damage; RuntimeError stands for encryption and odd methods."""

_ENCRYPTED = 0x1


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive for reading; whatever its damage raises leaves as a DataError.

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
        When the file is missing, no zip, or damaged where it is read.
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


def member(archive: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    """Look up a member that is safe to read.

    Parameters
    ----------
    archive : ZipFile
        The open archive.
    name : str
        The member's name.
    path : Path
        The archive's file, for the message.

    Returns
    -------
    ZipInfo
        Its entry in the directory.

    Raises
    ------
    DataError
        When there is no such member, or it is encrypted or compressed in an unusual way.
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


def extract(path: Path, targets: Mapping[str, Path], max_bytes: int) -> None:
    """Extract members to places of the caller's choice, never to where the archive says.

    Parameters
    ----------
    path : Path
        The archive.
    targets : mapping of str to Path
        For each wanted member, the file to make of it. Other members are not touched.
    max_bytes : int
        A bound on the size of any one member.

    Raises
    ------
    DataError
        When a member is missing, damaged or too large. No part of it is left behind.
    """
    with open_zip(path) as archive:
        for name, target in targets.items():
            info = member(archive, name, path)
            if info.file_size > max_bytes:
                message = (
                    f"{quoted(path)}: the member {name!r} claims {info.file_size} bytes: "
                    f"expected {max_bytes} at most"
                )
                raise DataError(message)
            with (
                folder_of(target),
                archive.open(info) as content,
                replacing(target) as file,
            ):
                shutil.copyfileobj(content, file)
