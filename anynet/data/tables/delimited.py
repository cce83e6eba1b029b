"""Reading CSV and its relatives: the separator is found out, and errors have line numbers."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

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
    encoding = _encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            separator = _separator(file.read(SAMPLE_SIZE))
            file.seek(0)
            return _read(path, file, separator)
    except UnicodeError as error:
        raise _undecodable(path, encoding) from error


def _read(path: Path, file: TextIO, separator: str) -> Table:
    records = _records(path, file, separator)
    header = next(records, None)
    if header is None:
        message = f"{quoted(path)} is empty: expected a line of column names, and rows below it"
        raise DataError(message)
    names = _names(header, path)
    chunks: list[list[np.ndarray]] = []
    lines: list[int] = []
    rows = _even(records, len(names), separator, path)
    while chunk := list(islice(rows, CHUNK)):
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


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _undecodable(path: Path, encoding: str) -> DataError:
    """Find what a file holds that is no text, and name its line."""
    data, line, found = path.read_bytes(), 1, "half a character"
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x}"
    message = (
        f"{quoted(path)} is not UTF-8 text: line {line} holds {found}; save it as UTF-8, for "
        f"instance by iconv -f latin1 -t utf-8"
    )
    return DataError(message)


def _separator(sample: str) -> str:
    """Find the separator that splits the first records into the most fields, all into as many.

    Where none does, it is the one that splits the header into most.
    """
    if len(sample) == SAMPLE_SIZE:  # the last record may be cut
        sample = sample[: sample.rfind("\n") + 1]

    def score(separator: str) -> tuple[bool, int]:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
        widths = []
        with contextlib.suppress(csv.Error):  # it is told when the file is read
            widths = [len(fields) for fields in islice(reader, SAMPLE) if fields]
        even = len(set(widths)) == 1 and widths[0] > 1
        return even, widths[0] if widths else 0

    return max(SEPARATORS, key=score)


def _records(path: Path, file: TextIO, separator: str) -> Iterator[Record]:
    reader = csv.reader(_lines(path, file), delimiter=separator, strict=True)
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


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            message = f"{quoted(path)} holds a zero byte in line {number}: save it as UTF-8 text"
            raise DataError(message)
        yield line


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


def _even(records: Iterator[Record], width: int, separator: str, path: Path) -> Iterator[Record]:
    """Pass records on that have as many fields as the header."""
    for record in records:
        count = len(record.fields)
        if count != width:
            shown = "a tab" if separator == "\t" else repr(separator)
            message = (
                f"{quoted(path)}: line {record.line} has {count} field{'s' * (count != 1)}, "
                f"separated by {shown}, and the header has {width}: give every row as many, and "
                f'put text that holds the separator into quotes (")'
            )
            raise DataError(message)
        yield record


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
