"""The only writer of the command line: nothing that it prints can control a terminal.

Names of columns, classes and files come from data and models that strangers made. An escape
sequence in one could recolour, retitle or overwrite the terminal, and a line break could forge a
line of anynet's own.
"""

import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from anynet.errors import printable


def say(*lines: str, file: TextIO | None = None) -> None:
    """Print each argument as one line, on standard output if no file is given."""
    out = sys.stdout if file is None else file
    print("\n".join(map(printable, lines)), file=out, flush=True)


def say_text(text: str) -> None:
    """Print text of several lines; names from data in it went through `table`, or are none."""
    say(*text.split("\n"))


def say_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON, dates as text; all but ASCII is escaped, as JSON escapes it."""
    text = json.dumps(value, indent=indent, default=str)
    print(text.replace("\x7f", "\\u007f"), flush=True)


def complain(message: str, prefix: str = "anynet: error: ") -> None:
    """Print a message as one line on standard error."""
    say(prefix + re.sub(r"\s*[\r\n]\s*", " ", message.strip()), file=sys.stderr)


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
    """Print Python's warnings as lines of the command's own, without the place in the code."""

    def one_line(message: Any, *_: Any, **__: Any) -> str:
        return printable(f"anynet: warning: {message}") + "\n"

    before, warnings.formatwarning = warnings.formatwarning, one_line
    try:
        yield
    finally:
        warnings.formatwarning = before
