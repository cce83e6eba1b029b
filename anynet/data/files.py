"""Access to files: bounded reads, atomic writes and one-line error messages.

The content of a file is not trusted: memory is allocated only for bytes that were read.
"""

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
import numpy.typing as npt

from anynet.errors import DataError, InvalidArgumentError, PathError

CHUNK = 1 << 20  # bytes that are read at a time
MAX_BYTES = 2**63 - 1  # maximum size of an array on a 64-bit machine

_KINDS = {stat.S_IFREG: "", stat.S_IFDIR: "", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


class Readable(Protocol):
    """An object that is read in pieces: a file, a decompressor, a network response."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file; False if the system cannot look it up."""
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file raises for names that are too long)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False if the system cannot look it up."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises for names that are too long)


def special_kind(path: Path) -> str:
    """Return "pipe", "device" or "socket" if a path is one of them, else an empty string."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "device")
    except (OSError, ValueError):
        return ""


def quoted(path: Path) -> str:
    """Return a path in quotes for a message, with line breaks escaped."""
    return repr(str(path))


def one_line(error: object) -> str:
    """Return the message of another library's exception in one line, or its type if it is empty."""
    return " ".join(str(error).split()) or type(error).__name__


def in_unicode(text: str) -> str:
    """Return text that can be encoded: bytes of file names that are not UTF-8 are escaped."""
    return text.encode(errors="backslashreplace").decode()


def is_unicode(text: str) -> bool:
    """Return whether text can be encoded: a file name that is not UTF-8 cannot."""
    return in_unicode(text) == text


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with a leading ``~`` replaced by the home folder.

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
        If it is of another type.
    PathError
        If it is empty or contains a NUL character.
    DataError
        If the home folder is unknown.
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
        message = f"cannot expand {text!r}: the home folder is unknown; write the full path"
        raise DataError(message) from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise `DataError` with the path in place of an ``OSError`` that the block raises."""
    try:
        yield
    except OSError as error:
        message = f"cannot read {quoted(path)}: {error.strerror or one_line(error)}"
        raise DataError(message) from error


def read_at_most(stream: Readable, limit: int) -> bytearray:
    """Read up to `limit` bytes, with memory only for the bytes that were received.

    Parameters
    ----------
    stream : Readable
        Read until it is empty or has returned `limit` bytes.
    limit : int
        Maximum number of bytes.

    Returns
    -------
    bytearray
        The bytes that were read.
    """
    data = bytearray()
    while len(data) < limit and (chunk := stream.read(min(CHUNK, limit - len(data)))):
        data += chunk
    return data


def promised_bytes(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> int:
    """Return the size in bytes of an array as a header describes it.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : dtype
        Type of the elements.
    where : str
        The file, for the message.

    Returns
    -------
    int
        The number of bytes of the elements.

    Raises
    ------
    DataError
        If NumPy cannot hold an array of this shape, not even an empty one.
    """
    # An extent of zero makes the array empty, but NumPy still refuses the others if they are large.
    if math.prod(extent for extent in shape if extent) * dtype.itemsize > MAX_BYTES:
        message = f"{where} claims the shape {shape}, which no array can have: the file is damaged"
        raise DataError(message)
    return math.prod(shape) * dtype.itemsize


def read_elements(
    stream: Readable, shape: tuple[int, ...], dtype: np.dtype[Any], left: int | None, where: str
) -> npt.NDArray[Any]:
    """Read the elements behind the header of an array, which must be exactly as many as promised.

    Parameters
    ----------
    stream : Readable
        At the first element.
    shape : tuple of int
        Shape that the header promises.
    dtype : dtype
        Type of the elements in the file.
    left : int or None
        Number of bytes behind the header; None if it is unknown, as in a compressed file.
    where : str
        The file, for the message.

    Returns
    -------
    ndarray
        The elements, of shape (N,).

    Raises
    ------
    DataError
        If there are more or fewer bytes. A wrong `left` is detected before anything is read.
    """
    promised = promised_bytes(shape, dtype, where)
    if left is None or left == promised:
        data = read_at_most(stream, promised + 1)
        left = len(data)
    if left != promised:
        found = "more" if left > promised else f"only {left}"
        message = (
            f"{where} promises {promised} bytes (shape {shape}, {dtype.name}) and holds {found}: "
            f"the file is damaged, fetch it again"
        )
        raise DataError(message)
    return np.frombuffer(data, dtype)


@contextlib.contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name only when it is complete.

    The bytes go to a temporary file in the same folder. It is renamed when the block ends, and
    removed when the block raises, for Ctrl-C too.

    Parameters
    ----------
    path : Path
        The file to write.
    new : bool
        Whether to fail if a file of that name exists when the block ends.

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
    _check_folders(path)
    if not path.parent.is_dir():
        message = (
            f"cannot write {quoted(path)}: there is no folder {quoted(path.parent)}; create it, or "
            f"choose another"
        )
        raise InvalidArgumentError(message)
    partial = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if new:
            _take_free_name(partial, path)
        else:
            partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # its folder may be gone, or read-only by now
            partial.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            if error.filename is None:  # for instance when the disk is full
                error.filename = str(path)
            elif error.filename == str(partial):  # name the file that the user knows
                raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    sync_folder(path.parent)


def _check_folders(path: Path) -> None:
    """Check that no file is where a path has a folder.

    Raises
    ------
    InvalidArgumentError
        If one is.
    """
    existing = next(filter(os.path.lexists, path.parents), None)
    if existing is not None and not is_folder(existing):
        message = f"cannot write {quoted(path)}: {quoted(existing)} is a file and not a folder"
        raise InvalidArgumentError(message)


def _take_free_name(partial: Path, path: Path) -> None:
    """Rename a file; another process cannot create `path` meanwhile, where there are hard links."""
    try:
        path.hardlink_to(partial)
    except FileExistsError as error:
        raise FileExistsError(error.errno, error.strerror, str(path)) from error
    except (OSError, NotImplementedError):
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        partial.replace(path)
    else:
        partial.unlink()


@contextlib.contextmanager
def folder_of(path: Path) -> Iterator[None]:
    """Create the folder of a file, and remove it again if the block fails and it is empty."""
    _check_folders(path)
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
    """Remove the temporary files that `replacing` left in a process that was killed.

    Only the process that holds the folder may call it: another one may be writing such a file.
    """
    for partial in folder.glob(f".{name}.{'[0-9a-f]' * 16}.part"):
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system supports it."""
    if os.name == "nt":  # Windows cannot open a folder
        return
    with contextlib.suppress(OSError):  # some network drives refuse it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
