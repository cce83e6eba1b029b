"""A file that must stay as it is while it is read again and again."""

from __future__ import annotations

from pathlib import Path

from anynet.data.files import one_line, quoted
from anynet.errors import DataError


class Unchanged:
    """The size of a file, and when it was written, at first and whenever it is checked.

    Raises
    ------
    DataError
        When there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size, self.written = self._look()

    def _look(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError as error:
            message = f"{quoted(self.path)} cannot be read ({one_line(error)})"
            raise DataError(message) from error
        return status.st_size, status.st_mtime_ns

    def check(self) -> None:
        """Check that the file is still the same.

        Raises
        ------
        DataError
            When it is not.
        """
        if self._look() != (self.size, self.written):
            message = f"{quoted(self.path)} was changed since it was opened: open it again"
            raise DataError(message)
