"""Standard output and error that cannot end a command: closed, full, or of another encoding."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Guarded:
    """A text stream whose writes never fail: after the first error, the rest is dropped.

    Attributes
    ----------
    stream : text stream
        Where text goes. Characters that its encoding lacks are written as escapes.
    error : OSError, ValueError or None
        The first error of writing.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.error: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        if self.error is None:
            try:
                try:
                    self.stream.write(text)
                except UnicodeEncodeError:
                    encoding = self.stream.encoding
                    self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except (OSError, ValueError) as error:  # a ValueError: the stream is closed
                self.error = error
        return len(text)

    def flush(self) -> None:
        """Send what is buffered, or drop it."""
        if self.error is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def guarded_streams() -> Iterator[Guarded]:
    """Guard both standard streams for the block, and give that of standard output.

    A stream that was closed when the process began is replaced by one that drops everything, so
    that no other file takes its place. What could not be written is not tried again at exit.
    """
    before = sys.stdout, sys.stderr
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        out, err = (Guarded(nowhere if stream is None else stream) for stream in before)
        sys.stdout, sys.stderr = out, err
        try:
            yield out
        finally:
            for stream in (out, err):
                stream.flush()
                if stream.error is not None:
                    _drop(stream)
            sys.stdout, sys.stderr = before


@contextmanager
def harmless_warnings() -> Iterator[None]:
    """Print warnings for the block even where ``-W error`` or PYTHONWARNINGS makes them errors."""
    actions = [option.partition(":")[0] for option in sys.warnoptions]
    with warnings.catch_warnings():
        if any(action and "error".startswith(action) for action in actions):
            warnings.simplefilter("default")
        yield


def _drop(stream: Guarded) -> None:
    """Lead a broken stream nowhere: Python flushes it again at exit, and would fail again."""
    with contextlib.suppress(OSError, ValueError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
