"""Handling files that nobody vouches for: bounded reads, whole writes, one-line messages."""

import contextlib
import errno
import math
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from anynet.errors import DataError, InvalidArgumentError, PathError

CHUNK = 1 << 20  # bytes asked for at a time
MAX_BYTES = 2**63 - 1  # what an array may span on a 64-bit machine


class Readable(Protocol):
    """Whatever can be read in pieces: a file, a decompressor, a network response."""

    def read(self, size: int, /) -> bytes: ...


def read_at_most(stream: Readable, limit: int) -> bytearray:
    """Read up to `limit` bytes, holding no more memory than bytes really came.

    A header may promise terabytes in four bytes; only data that exists is paid for.

    Parameters
    ----------
    stream : Readable
        Read until it is empty or has given `limit` bytes.
    limit : int
        The most bytes to take.

    Returns
    -------
    bytearray
        What came, `limit` bytes at most.
    """
    data = bytearray()
    while len(data) < limit and (chunk := stream.read(min(CHUNK, limit - len(data)))):
        data += chunk
    return data


def promised_bytes(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> int:
    """Return the size in bytes of an array as a header describes it, if NumPy can hold it at all.

    Parameters
    ----------
    shape : tuple of int
        The extents.
    dtype : dtype
        The element type.
    where : str
        What it is of, to begin the message with.

    Returns
    -------
    int
        The number of bytes of the elements.

    Raises
    ------
    DataError
        When no array of this shape can exist, even an empty one.
    """
    # An extent of zero makes the array empty but does not excuse the others: NumPy refuses those.
    if math.prod(extent for extent in shape if extent) * dtype.itemsize > MAX_BYTES:
        message = f"{where} claims the shape {shape}, which no array can have: the file is damaged"
        raise DataError(message)
    return math.prod(shape) * dtype.itemsize


@contextlib.contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is whole.

    The bytes go to a temporary neighbour, which takes the name when the block ends well and is
    removed when it does not, for Ctrl-C too.

    Parameters
    ----------
    path : Path
        The name to take.
    new : bool
        Whether to fail if something has that name when the block ends, and leave it as it is.

    Yields
    ------
    BinaryIO
        The open temporary file.

    Raises
    ------
    InvalidArgumentError
        If its folder does not exist, or it is a folder itself.
    OSError
        If it cannot be written.
    """
    if not path.name or is_folder(path):
        message = f"cannot write {quoted(path)}: it is a folder; expected the path of a file"
        raise InvalidArgumentError(message)
    if not path.parent.is_dir():
        message = (
            f"cannot write {quoted(path)}: there is no folder {quoted(path.parent)}; create it, or "
            f"choose another"
        )
        raise InvalidArgumentError(message)
    partial = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        opened = partial.open("xb")
    except OSError as error:  # name the file that was asked for
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with opened as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            if new:
                _take_free_name(partial, path)
            else:
                partial.replace(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException as error:
        with contextlib.suppress(OSError):  # its folder may be gone, or read-only by now
            partial.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # of a disk that is full, say
        raise
    sync_folder(path.parent)


def _take_free_name(partial: Path, path: Path) -> None:
    """Rename a file; another process cannot create `path` meanwhile, where there are hard links."""
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        partial.replace(path)
    else:
        partial.unlink()


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path as the user wrote it, with a leading ``~`` replaced by the home folder.

    Parameters
    ----------
    path : str or path-like
        The path as the user wrote it.

    Returns
    -------
    Path
        The path to open.

    Raises
    ------
    InvalidArgumentError
        When it is of another type.
    PathError
        When it is empty or holds a NUL character.
    DataError
        When the home is not known.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        message = f"expected the path of a file or folder, got the type {type(path).__name__}"
        raise InvalidArgumentError(message) from error
    if not text or "\0" in text:
        message = f"expected the path of a file or folder, got {text!r}: such a path does not exist"
        raise PathError(message)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        message = f"cannot expand {text!r}: the home folder is not known; write the whole path"
        raise DataError(message) from error


@contextlib.contextmanager
def folder_of(path: Path) -> Iterator[None]:
    """Create the folder of a file, and remove it again if the block fails and it is empty."""
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # it is not empty, or gone
            for folder in made:
                folder.rmdir()
        raise


def clear_parts(folder: Path, name: str = "*") -> None:
    """Remove what `replacing` has left of files of that name in a process that was killed.

    Only for the process that holds the folder: another one may be writing such a file.
    """
    for partial in folder.glob(f".{name}.{'[0-9a-f]' * 16}.part"):
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut, where the system can do that."""
    if os.name == "nt":  # no folder can be opened there
        return
    with contextlib.suppress(OSError):  # some network drives refuse it, and folders not to be read
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_unicode(text: str) -> bool:
    """Whether text can be encoded: a file name that is not UTF-8 becomes text that cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_unicode(text: str) -> str:
    """Return text that can be encoded: bytes of file names that are not UTF-8 are escaped."""
    return text.encode(errors="backslashreplace").decode()


def one_line(error: object) -> str:
    """Say in one line what another library's exception says, or its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def quoted(path: Path) -> str:
    """Quote a path for a message; escapes keep a name with line breaks on one line."""
    return repr(str(path))


def is_file(path: Path) -> bool:
    """Whether a regular file is there; a name that the system cannot look up is not there."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there; a name that the system cannot look up is not there."""
    try:
        return path.is_dir()
    except OSError:
        return False


def special_kind(path: Path) -> str:
    """Return "pipe", "device" or "socket" if a path is one of them, else an empty string."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
