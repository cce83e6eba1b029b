"""Locks between processes, which the system releases even if their holder is killed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anynet.data.files import quoted
from anynet.errors import InvalidArgumentError

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # following a link would create or lock a file elsewhere
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Hold the lock file `path`, which is created if necessary, until the block ends.

    A file system without locks, such as some network drives, is used without them.

    Parameters
    ----------
    path : Path
        A file that has no other purpose.
    taken : str
        The message if another process, or another block in this one, holds it.

    Raises
    ------
    InvalidArgumentError
        If it is already held, or cannot be created.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
    except OSError as error:
        if path.is_symlink():
            message = f"{quoted(path)} is a symbolic link: expected a file, remove the link"
        else:
            message = f"cannot write to the folder {quoted(path.parent)}: {error.strerror or error}"
        raise InvalidArgumentError(message) from error
    with _held(handle, taken):
        yield


@contextmanager
def locked_folder(folder: Path, taken: str) -> Iterator[None]:
    """Hold a folder until the block ends, without a file in it; not on Windows, which cannot.

    Parameters
    ----------
    folder : Path
    taken : str
        The message if another process, or another block in this one, holds it.

    Raises
    ------
    InvalidArgumentError
        If it is already held.
    """
    if sys.platform == "win32":
        yield
    else:
        with _held(os.open(folder, os.O_RDONLY), taken):
            yield


@contextmanager
def _held(handle: int, taken: str) -> Iterator[None]:
    """Lock an open file or folder for the block, and close it."""
    try:
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in _TAKEN:
                raise InvalidArgumentError(taken) from error
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
