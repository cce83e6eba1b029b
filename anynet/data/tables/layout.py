"""How a text file of records is laid out: its encoding, its separator, and where its header is."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from itertools import islice
from typing import NamedTuple

from anynet.data.tables.opened import Opened

SEPARATORS = (",", ";", "\t", "|")

#: Records, and characters, that are looked at to find the separator.
SAMPLE, SAMPLE_SIZE = 100, 1 << 20

_NUMERIC = re.compile("[+-]?[0-9.,]*[0-9][0-9.,]*([eE][+-]?[0-9]+)?")
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*', re.IGNORECASE)


class Layout(NamedTuple):
    """How a text file of records is laid out.

    Attributes
    ----------
    encoding : str
    separator : str
    skipped : int
        The lines above the header: ``sep=;`` of spreadsheets, and comments that begin with ``#``.
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
    if len(sample) == SAMPLE_SIZE:  # the last record may be cut
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
    """Find the separator that splits the first records into the most fields, all into as many.

    Where none does, it is the one that splits the header into most.
    """

    def score(separator: str) -> tuple[bool, int]:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
        widths = []
        with contextlib.suppress(csv.Error):  # it is told when the file is read
            widths = [len(fields) for fields in islice(reader, SAMPLE) if fields]
        even = len(set(widths)) == 1 and widths[0] > 1
        return even, widths[0] if widths else 0

    return max(SEPARATORS, key=score)


def _is_header(line: str, records: str, separator: str) -> bool:
    """Whether a line that begins with "#" names the columns of the records below it."""
    named: list[str] = []
    first: list[str] = []
    with contextlib.suppress(csv.Error):
        named, first = (
            next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
            for text in (line, records)
        )
    return len(named) == len(first) > 1 and any(map(looks_numeric, first))


def looks_numeric(text: str) -> bool:
    """Whether a text is a number with any decimal and thousands separators."""
    return bool(_NUMERIC.fullmatch(text.strip()))


def is_number(text: str) -> bool:
    """Whether Python reads a text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
