"""Ctrl-C, SIGTERM and SIGHUP, put off until a run has written its checkpoint."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

#: Of these, Windows has no SIGHUP, which a terminal sends when it is closed.
DEFERRED = (signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)]))


class Deferred:
    """The signal that has come, if one has, and the handlers that it was meant for."""

    def __init__(self) -> None:
        self.came: int | None = None
        self.handlers: dict[int, Any] = {}

    def put_off(self) -> None:
        """Note the first signal that comes; the next is for the handlers of before, at once."""
        for number in DEFERRED:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):  # None: of code that is not Python's
                self.handlers[number] = handler
                signal.signal(number, self._note)

    def give_back(self) -> None:
        """Leave the signals to the handlers of before."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers.clear()

    def deliver(self) -> None:
        """Let the signal that has come do what it would have done; nothing if none has."""
        if self.came is not None:
            number, self.came = self.came, None
            signal.raise_signal(number)

    def _note(self, number: int, frame: Any) -> None:  # noqa: ARG002
        self.give_back()
        self.came = number


@contextlib.contextmanager
def deferred_signals() -> Iterator[Deferred]:
    """Put signals off for the block; they are delivered at its end at the latest.

    Outside the main thread, which alone receives them, nothing is put off.
    """
    deferred = Deferred()
    if threading.current_thread() is threading.main_thread():
        deferred.put_off()
    try:
        yield deferred
    finally:
        deferred.give_back()
        deferred.deliver()
