"""The file of a table, and its layout if it is text: encoding, separator, header."""

from __future__ import annotations

import codecs
import contextlib
import csv
import hashlib
import io
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from anynet.data.files import quoted, special_kind
from anynet.errors import DataError

SEPARATORS = (",", ";", "\t", "|")

#: Maximum numbers of records and of characters that are examined to detect the separator.
SAMPLE, SAMPLE_SIZE = 100, 1 << 20

_NUMERIC = re.compile("[+-]?[0-9.,]*[0-9][0-9.,]*([eE][+-]?[0-9]+)?")
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*', re.IGNORECASE)


@dataclass(frozen=True)
class Opened:
    """A file that is read more than once: a regular one from its path, a pipe from memory.

    Attributes
    ----------
    path : Path
        Its path.
    data : bytes or None
        The content of a pipe, which can be read only once.
    """

    path: Path
    data: bytes | None = None

    @classmethod
    def of(cls, path: Path) -> Opened:
        """Return the file of a path, read into memory if it is a pipe.

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
        """The checksum of the content of a pipe, else ""."""
        return "" if self.data is None else hashlib.sha256(self.data).hexdigest()

    def open(self) -> BinaryIO:
        """Open it for reading from the beginning."""
        return self.path.open("rb") if self.data is None else io.BytesIO(self.data)

    def text(self, encoding: str) -> TextIO:
        """Open it as text, with its line ends unchanged."""
        return io.TextIOWrapper(self.open(), encoding, newline="")


class Layout(NamedTuple):
    """The layout of a text file of records.

    Attributes
    ----------
    encoding : str
        ``utf-8-sig`` or ``utf-16``.
    separator : str
        Between the fields of a record.
    skipped : int
        The number of lines above the header: ``sep=;`` of spreadsheets, and comments that begin
        with ``#``.
    """

    encoding: str
    separator: str
    skipped: int


def layout_of(opened: Opened) -> Layout:
    """Detect the layout of a text file.

    Raises
    ------
    UnicodeError
        If it is not text.
    """
    with opened.open() as binary:
        wide = binary.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if wide else "utf-8-sig"
    with opened.text(encoding) as text:
        sample = text.read(SAMPLE_SIZE)
    if len(sample) == SAMPLE_SIZE:  # the last record may be incomplete
        sample = sample[: sample.rfind("\n") + 1]
    lines = list(io.StringIO(sample, newline=""))
    given = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    skipped = 1 if given else 0
    while skipped < len(lines) and (lines[skipped][0] == "#" or lines[skipped].isspace()):
        skipped += 1
    records = "".join(lines[skipped:])
    if skipped and lines[skipped - 1][0] == "#":
        header = lines[skipped - 1]
        separator = given[1] if given else _separator(header + records)
        if _is_header(header, records, separator):
            return Layout(encoding, separator, skipped - 1)
    return Layout(encoding, given[1] if given else _separator(records), skipped)


def _separator(sample: str) -> str:
    """Return the separator that splits the first records into the most fields, equally many each.

    If there is none, it is the one that splits the header into the most.
    """

    def score(separator: str) -> tuple[bool, int]:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
        widths = []
        with contextlib.suppress(csv.Error):  # reported when the file is read
            widths = [len(fields) for fields in islice(reader, SAMPLE) if fields]
        even = len(set(widths)) == 1 and widths[0] > 1
        return even, widths[0] if widths else 0

    return max(SEPARATORS, key=score)


def _is_header(line: str, records: str, separator: str) -> bool:
    """Return whether a line that begins with "#" names the columns of the records below it."""
    try:
        named, first = (
            next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
            for text in (line, records)
        )
    except csv.Error:
        return False
    return len(named) == len(first) > 1 and any(map(looks_numeric, first))


def looks_numeric(text: str) -> bool:
    """Return whether a text is a number with any decimal and thousands separators."""
    return bool(_NUMERIC.fullmatch(text.strip()))
