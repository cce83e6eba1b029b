"""SIGTERM is taken as Ctrl-C is: what can be kept is kept, and the exit code tells which it was."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM has come."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise ``Terminated`` in the block when SIGTERM comes, as Python does for Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(interrupt: BaseException) -> int:
    """Return the exit code that a shell gives to a command which that signal has ended."""
    cause: BaseException | None = interrupt
    while cause is not None:
        if isinstance(cause, Terminated):
            return 128 + signal.SIGTERM
        cause = cause.__cause__
    return 128 + signal.SIGINT


def _terminate(number: int, frame: Any) -> None:  # noqa: ARG001
    raise Terminated
