"""What a command shares with its shell: standard streams, warnings, signals and exit codes.

Everything that the command line prints goes through this module, and nothing that it prints can
control a terminal. Names of columns, classes and files come from data and models of unknown
origin: an escape sequence in one could recolour, retitle or overwrite the terminal, and a line
break could forge a line of anynet's own.
"""

import _thread
import contextlib
import json
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from anynet.errors import printable

#: Signals of batch systems, and of a terminal that is closed (not on Windows).
ENDING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


def say(*lines: str, file: TextIO | None = None) -> None:
    """Print each argument as one line, on standard output by default."""
    out = sys.stdout if file is None else file
    print("\n".join(map(printable, lines)), file=out, flush=True)


def say_text(text: str) -> None:
    """Print text of several lines, in which ``table`` has escaped all names from data."""
    say(*text.split("\n"))


def say_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON in ASCII; dates become text."""
    text = json.dumps(value, indent=indent, default=str)
    print(text.replace("\x7f", "\\u007f"), flush=True)


def complain(message: str, prefix: str = "anynet: error: ") -> None:
    """Print a message as one line on standard error."""
    say(prefix + re.sub(r"\s*[\r\n]\s*", " ", message.strip()), file=sys.stderr)


def warn(message: str) -> None:
    """Print a warning as one line on standard error; print nothing for an empty one."""
    if message:
        complain(message, "anynet: warning: ")


def percent(probability: float) -> str:
    """Return a probability with one decimal, without rounding it to 0 % or 100 %."""
    if 0 < probability < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= probability < 1 else f"{probability:.1%}"


def table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Align the columns of cells: the first `left` to the left, the others to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print Python's warnings in the block as lines of the command, without the place in the code.

    They are printed even where ``-W error`` or PYTHONWARNINGS turns warnings into errors.
    """

    def one_line(message: Any, *_: Any, **__: Any) -> str:
        return printable(f"anynet: warning: {message}") + "\n"

    actions = [option.partition(":")[0] for option in sys.warnoptions]
    before, warnings.formatwarning = warnings.formatwarning, one_line
    try:
        with warnings.catch_warnings():
            if any(action and "error".startswith(action) for action in actions):
                warnings.simplefilter("default")
            yield
    finally:
        warnings.formatwarning = before


class Guarded:
    """A text stream whose writes never fail: after the first error, further text is dropped.

    Attributes
    ----------
    stream : text stream
        The stream that is written to. Characters that its encoding lacks are escaped.
    error : OSError, ValueError or None
        The first error of writing.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.error: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Write text, or drop it after an error."""
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
        """Send buffered text, or drop it after an error."""
        if self.error is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def guarded_streams(*, silent: bool = False) -> Iterator[Guarded]:
    """Guard both standard streams for the block, and yield that of standard output.

    A stream that was closed when the process began is replaced by one that drops its text, so
    that no file which is opened later gets its number. If ``silent``, both drop their text.
    """
    before = sys.stdout, sys.stderr
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        out, err = (Guarded(nowhere if silent or stream is None else stream) for stream in before)
        sys.stdout, sys.stderr = out, err
        try:
            yield out
        finally:
            for stream in (out, err):
                stream.flush()
                if stream.error is not None:
                    _redirect_to_null(stream)
            sys.stdout, sys.stderr = before


def _redirect_to_null(stream: Guarded) -> None:
    """Prevent a second failure of a broken stream when Python flushes it at exit."""
    with contextlib.suppress(OSError, ValueError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


class Terminated(KeyboardInterrupt):
    """One of the signals ENDING; its number is the argument."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise ``Terminated`` in the block on one of the signals ENDING, as Python does for Ctrl-C.

    What can be kept is then kept as after Ctrl-C; the exit code differs. A signal that is ignored,
    as SIGHUP is under nohup, stays ignored.
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
    """Return the exit code that shells give to a command which a signal has ended."""
    cause: BaseException | None = interrupt
    while cause is not None:
        if isinstance(cause, Terminated):
            return 128 + int(cause.args[0])
        cause = cause.__cause__
    return 128 + signal.SIGINT


def report_unraisable(lost: Any) -> None:
    """Report an exception that Python cannot raise, as in a callback of C code, in one line.

    This is a ``sys.unraisablehook``. An interrupt that was lost there is sent again after the hook
    has returned, since it would be lost in the hook too.
    """
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = exit_code(lost.exc_value) - 128
        again = threading.Timer(0.01, _thread.interrupt_main, [number])
        again.daemon = True
        again.start()
    else:
        name = lost.exc_type.__name__
        warn(": ".join(filter(None, [name, str(lost.exc_value or "")])))


def _terminate(number: int, frame: Any) -> None:  # noqa: ARG001
    raise Terminated(number)
