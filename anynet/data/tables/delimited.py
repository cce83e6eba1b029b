"""Reading CSV and its relatives: the separator is found out, and errors have line numbers."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anynet.data.files import one_line, quoted
from anynet.data.tables.table import Table, as_text
from anynet.errors import DataError

SEPARATORS = (",", ";", "\t", "|")

#: Records, and characters, that are looked at to find the separator.
SAMPLE, SAMPLE_SIZE = 100, 1 << 20

#: Records that are kept as Python's strings at a time, before they become columns.
CHUNK = 16384


class Record(NamedTuple):
    """The fields of one record, and the line on which it begins."""

    line: int
    fields: list[str]


def read_delimited(path: Path) -> Table:
    """Read a text file of records, the first of which names the columns.

    The encoding is UTF-8, or UTF-16 with a byte order mark. Fields are separated by commas,
    semicolons, tabs or bars and may be quoted as in RFC 4180; blank lines are skipped.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Table
        Columns of text; what a column of numbers is, is not decided here.

    Raises
    ------
    DataError
        If it is no such file: the message says the line, and how to mend it.
    """
    text = _decoded(path)
    separator = _separator(text)
    records = _records(text, separator, path)
    header = next(records, None)
    if header is None:
        message = f"{quoted(path)} is empty: expected a line of column names, and rows below it"
        raise DataError(message)
    names = _names(header, path)
    chunks: list[list[np.ndarray]] = []
    lines: list[int] = []
    while chunk := list(islice(records, CHUNK)):
        for record in chunk:
            if len(record.fields) != len(names):
                raise _ragged(record, len(names), separator, path)
        lines += [record.line for record in chunk]
        cells = zip(*(record.fields for record in chunk), strict=True)
        chunks.append([as_text(column) for column in cells])
    if not lines:
        message = f"{quoted(path)} has column names and no rows: expected one line a row below them"
        raise DataError(message)
    columns = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    return Table(
        name=quoted(path),
        columns=dict(zip(names, columns, strict=True)),
        lines=np.array(lines),
        decimal="." if separator == "," else ",",
    )


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = (
            f"{quoted(path)} is not UTF-8 text: line {line} holds the byte "
            f"0x{data[error.start]:02x}; save it as UTF-8, for instance by "
            f"iconv -f latin1 -t utf-8"
        )
        raise DataError(message) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        message = f"{quoted(path)} holds a zero byte in line {line}: save it as text in UTF-8"
        raise DataError(message)
    return text


def _separator(text: str) -> str:
    """Find the separator that splits the first records into the most fields, all into as many.

    Where none does, it is the one that splits the header into most.
    """

    sample = text[:SAMPLE_SIZE]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1]

    def score(separator: str) -> tuple[bool, int]:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
        widths = []
        with contextlib.suppress(csv.Error):  # it is told when the file is read
            widths = [len(fields) for fields in islice(reader, SAMPLE) if fields]
        even = len(set(widths)) == 1 and widths[0] > 1
        return even, widths[0] if widths else 0

    return max(SEPARATORS, key=score)


def _records(text: str, separator: str, path: Path) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield Record(line, fields)
            line = reader.line_num + 1
    except csv.Error as error:
        message = (
            f"{quoted(path)}: the record that begins in line {line} is not in order "
            f'({one_line(error)}): expected fields that are quoted whole, as "a, b", with the '
            f"quotes inside them doubled"
        )
        raise DataError(message) from error


def _names(header: Record, path: Path) -> list[str]:
    """Return the names of the columns; one without is called by its number."""
    fields = [" ".join(field.split()) for field in header.fields]
    names = [field or f"column {i}" for i, field in enumerate(fields, start=1)]
    if all(_is_number(name) for name in names):
        message = (
            f"{quoted(path)} has no column names: line {header.line} holds numbers; put a line of "
            f"names above it"
        )
        raise DataError(message)
    for i, name in enumerate(names):
        if name in names[:i]:
            message = (
                f"{quoted(path)} has two columns named {name!r}, the {names.index(name) + 1}. and "
                f"the {i + 1}.: rename one in line {header.line}"
            )
            raise DataError(message)
    return names


def _ragged(record: Record, expected: int, separator: str, path: Path) -> DataError:
    count = len(record.fields)
    shown = "a tab" if separator == "\t" else repr(separator)
    message = (
        f"{quoted(path)}: line {record.line} has {count} field{'s' * (count != 1)}, separated by "
        f"{shown}, and the header has {expected}: give every row as many, and put text that holds "
        f'the separator into quotes (")'
    )
    return DataError(message)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
