"""Defer Ctrl-C, SIGTERM and SIGHUP until a run has written its checkpoint."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self

#: SIGHUP, which a closed terminal sends, does not exist on Windows.
DEFERRED = (signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)]))


class Deferred:
    """Defer signals within a ``with`` block; they are delivered at its end at the latest.

    After the first signal, the original handlers are restored: a second one acts at once. Only
    the main thread receives signals; in other threads, nothing is deferred.

    Attributes
    ----------
    came : int or None
        The signal that has arrived, if any.
    handlers : dict of int to handler
        The original handlers.
    """

    def __init__(self) -> None:
        self.came: int | None = None
        self.handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in DEFERRED:
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):  # None: not installed by Python
                    self.handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()
        self.deliver()

    def give_back(self) -> None:
        """Restore the original handlers."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers.clear()

    def deliver(self) -> None:
        """Raise the recorded signal, if any, for its original handler."""
        if self.came is not None:
            self.give_back()
            number, self.came = self.came, None
            signal.raise_signal(number)

    def _note(self, number: int, frame: Any) -> None:  # noqa: ARG002
        self.give_back()
        self.came = number
