"""SIGTERM and SIGHUP are handled as Ctrl-C is: what can be kept is kept; the exit code differs."""

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anynet.cli.terminal import complain

#: Sent by batch systems, and by a terminal that is closed (not on Windows).
ENDING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Terminated(KeyboardInterrupt):
    """One of the signals ENDING has come, whose number is the argument."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise ``Terminated`` in the block when such a signal comes, as Python does for Ctrl-C.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(interrupt: BaseException) -> int:
    """Return the exit code that a shell gives to a command which that signal has ended."""
    cause: BaseException | None = interrupt
    while cause is not None:
        if isinstance(cause, Terminated):
            return 128 + int(cause.args[0])
        cause = cause.__cause__
    return 128 + signal.SIGINT


def report_unraisable(lost: Any) -> None:
    """Report an exception that Python cannot raise, as in a callback of C code, in one line.

    This is a ``sys.unraisablehook``. An interrupt that was lost there is sent again, after the hook
    has returned, for it would be lost in it too.
    """
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = exit_code(lost.exc_value) - 128
        again = threading.Timer(0.01, _thread.interrupt_main, [number])
        again.daemon = True
        again.start()
    else:
        name = lost.exc_type.__name__
        complain(": ".join(filter(None, [name, str(lost.exc_value or "")])), "anynet: warning: ")


def _terminate(number: int, frame: Any) -> None:  # noqa: ARG001
    raise Terminated(number)
