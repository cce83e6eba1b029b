"""Reading CSV and its relatives: the separator is found out, and errors have line numbers."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import operator
import re
import threading
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import NamedTuple, TextIO

import numpy as np

from anynet.data.files import one_line
from anynet.data.tables.index import index_columns
from anynet.data.tables.names import as_names
from anynet.data.tables.opened import Opened
from anynet.data.tables.table import Table, as_text
from anynet.errors import DataError, InvalidArgumentError

SEPARATORS = (",", ";", "\t", "|")

#: Records, and characters, that are looked at to find the separator.
SAMPLE, SAMPLE_SIZE = 100, 1 << 20

#: Records that are kept as Python's strings at a time, before they become columns.
CHUNK = 16384

_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*', re.IGNORECASE)
_LIMIT = threading.Lock()


class Record(NamedTuple):
    """The fields of one record, and the line on which it begins."""

    line: int
    fields: list[str]


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


def read_delimited(opened: Opened) -> Table:
    """Read a text file of records, the first of which names the columns.

    The encoding is UTF-8, or UTF-16 with a byte order mark. Fields are separated by commas,
    semicolons, tabs or bars, or as a first line ``sep=;`` says, and may be quoted as in RFC 4180;
    blank lines are skipped, and comment lines that begin with ``#``.

    Parameters
    ----------
    opened : Opened
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
    try:
        layout = layout_of(opened)
        with opened.text(layout.encoding) as file, _long_fields():
            return _read(opened.name, file, layout)
    except UnicodeError as error:
        raise _undecodable(opened) from error


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
    separator = given[1] if given else _separator(records)
    if (
        skipped
        and lines[skipped - 1][0] == "#"
        and _is_header(lines[skipped - 1], records, separator)
    ):
        skipped -= 1
    return Layout(encoding, separator, skipped)


def header_of(opened: Opened, layout: Layout) -> tuple[list[str], list[str]]:
    """Read the names of the columns.

    Returns
    -------
    names : list of str
    unnamed : list of str
        The first of them, if they have no name in the file.

    Raises
    ------
    DataError
        If there is no header.
    """
    with opened.text(layout.encoding) as file, _long_fields():
        header = next(_records(opened.name, file, layout), None)
        if header is None:
            raise _empty(opened.name)
        return _names(header, opened.name)


def _read(path: str, file: TextIO, layout: Layout) -> Table:
    records = _records(path, file, layout)
    header = next(records, None)
    if header is None:
        raise _empty(path)
    names, unnamed = _names(header, path)
    chunks: list[list[np.ndarray]] = []
    lines: list[int] = []
    comments: list[int] = []
    rows = _even(records, len(names), layout.separator, path, comments)
    while chunk := list(islice(rows, CHUNK)):
        lines += [record.line for record in chunk]
        cells = zip(*(record.fields for record in chunk), strict=True)
        chunks.append([as_text(column) for column in cells])
    if not lines:
        message = f"{path} has column names and no rows: expected one line a row below them"
        raise DataError(message)
    parts = zip(*chunks, strict=True)
    columns = dict(zip(names, map(np.concatenate, parts), strict=True))
    notes: tuple[str, ...] = ()
    if comments:
        notes = (f"{len(comments)} comment lines ignored, the first in line {comments[0]}",)
    return Table(
        name=path,
        columns=columns,
        lines=np.array(lines),
        notes=notes,
        separator=layout.separator,
        index=tuple(index_columns(columns, unnamed)),
    )


def _empty(path: str) -> DataError:
    message = f"{path} is empty: expected a line of column names, and rows below it"
    return DataError(message)


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """Let fields be of any length: Python's limit, 131,072, holds for a whole process."""
    with _LIMIT:
        before = csv.field_size_limit(2**31 - 1)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _undecodable(opened: Opened) -> DataError:
    """Find what a file holds that is no text, and name its line."""
    with opened.open() as file:
        data, line, found = file.read(), 1, "half a character"
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x}"
    message = (
        f"{opened.name} is not UTF-8 text: line {line} holds {found}; save it as UTF-8, for "
        f"instance by iconv -f latin1 -t utf-8"
    )
    return DataError(message)


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
    named, first = ([], [])
    with contextlib.suppress(csv.Error, StopIteration):
        named, first = (
            next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
            for text in (line, records)
        )
    return len(named) == len(first) > 1 and any(map(_is_number, first))


def _records(path: str, file: TextIO, layout: Layout) -> Iterator[Record]:
    lines = islice(_lines(path, file), layout.skipped, None)
    reader = csv.reader(lines, delimiter=layout.separator, strict=True)
    line = 1 + layout.skipped
    try:
        for fields in reader:
            if fields:
                yield Record(line, fields)
            line = reader.line_num + 1 + layout.skipped
    except csv.Error as error:
        message = (
            f"{path}: the record that begins in line {line} is not in order "
            f'({one_line(error)}): expected fields that are quoted whole, as "a, b", with the '
            f"quotes inside them doubled"
        )
        raise DataError(message) from error


def _lines(path: str, file: TextIO) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            message = f"{path} holds a zero byte in line {number}: save it as UTF-8 text"
            raise DataError(message)
        yield line


def _names(header: Record, path: str) -> tuple[list[str], list[str]]:
    """Return the names of the columns, and which of the first ones are called by their number."""
    fields = [" ".join(field.split()) for field in header.fields]
    names = [field or f"column {i}" for i, field in enumerate(fields, start=1)]
    if all(_is_number(name) for name in names):
        message = (
            f"{path} has no column names: line {header.line} holds numbers; put a line of "
            f"names above it"
        )
        raise DataError(message)
    try:
        return as_names(names), names[: len(list(takewhile(operator.not_, fields)))]
    except InvalidArgumentError as error:
        message = f"{path}, line {header.line}: {error}"
        raise DataError(message) from error


def _even(
    records: Iterator[Record], width: int, separator: str, path: str, comments: list[int]
) -> Iterator[Record]:
    """Pass records on that have as many fields as the header; note the lines of comments."""
    for record in records:
        count = len(record.fields)
        if count != width and record.fields[0].startswith("#"):
            comments.append(record.line)
            continue
        if count != width:
            shown = "a tab" if separator == "\t" else repr(separator)
            message = (
                f"{path}: line {record.line} has {count} field{'s' * (count != 1)}, "
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
