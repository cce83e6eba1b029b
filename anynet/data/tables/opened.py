"""A file that is read more than once: a regular one by its path, a pipe from memory."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from anynet.data.files import quoted, special_kind
from anynet.errors import DataError


@dataclass(frozen=True)
class Opened:
    """The content of a file.

    Attributes
    ----------
    path : Path
    data : bytes or None
        What came out of a pipe, which gives it only once.
    """

    path: Path
    data: bytes | None = None

    @classmethod
    def of(cls, path: Path) -> Opened:
        """Look at what a path is, and read it if it is a pipe.

        Raises
        ------
        DataError
            If it is a folder, a device or a socket.
        OSError
            If it cannot be read.
        """
        kind = "folder" if path.is_dir() else special_kind(path)
        if kind in ("", "pipe"):
            return cls(path, path.read_bytes() if kind else None)
        message = f"{quoted(path)} is a {kind}: expected a table, such as a CSV file"
        raise DataError(message)

    @property
    def name(self) -> str:
        """The path in quotes, for messages."""
        return quoted(self.path)

    @property
    def sha256(self) -> str:
        """The checksum of what came out of a pipe, else ""."""
        return "" if self.data is None else hashlib.sha256(self.data).hexdigest()

    def open(self) -> BinaryIO:
        """Open it for reading from the beginning."""
        return self.path.open("rb") if self.data is None else io.BytesIO(self.data)

    def text(self, encoding: str) -> TextIO:
        """Open it as text, whose line ends stay as they are."""
        return io.TextIOWrapper(self.open(), encoding, newline="")

    def arrow(self, pa: Any) -> AbstractContextManager[Any]:
        """Open it as pyarrow's input."""
        source: AbstractContextManager[Any] = (
            pa.OSFile(os.fspath(self.path)) if self.data is None else pa.BufferReader(self.data)
        )
        return source
