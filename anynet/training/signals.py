"""Defer Ctrl-C, SIGTERM and SIGHUP until a run has written its checkpoint."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

#: SIGHUP, which a closed terminal sends, does not exist on Windows.
DEFERRED = (signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)]))


class Deferred:
    """The signal that has arrived, if any, and the original handlers."""

    def __init__(self) -> None:
        self.came: int | None = None
        self.handlers: dict[int, Any] = {}

    def put_off(self) -> None:
        """Install handlers that record the first signal and restore the original handlers."""
        for number in DEFERRED:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):  # None: not installed by Python
                self.handlers[number] = handler
                signal.signal(number, self._note)

    def give_back(self) -> None:
        """Restore the original handlers."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers.clear()

    def deliver(self) -> None:
        """Raise the recorded signal, if any, for its original handler."""
        if self.came is not None:
            number, self.came = self.came, None
            signal.raise_signal(number)

    def _note(self, number: int, frame: Any) -> None:  # noqa: ARG002
        self.give_back()
        self.came = number


@contextlib.contextmanager
def deferred_signals() -> Iterator[Deferred]:
    """Defer signals within the block; they are delivered at its end at the latest.

    Only the main thread receives signals; in other threads, nothing is deferred.
    """
    deferred = Deferred()
    if threading.current_thread() is threading.main_thread():
        deferred.put_off()
    try:
        yield deferred
    finally:
        deferred.give_back()
        deferred.deliver()
