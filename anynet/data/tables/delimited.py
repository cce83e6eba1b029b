"""CSV and similar text files: the separator is detected, and errors have line numbers."""

from __future__ import annotations

import codecs
import contextlib
import csv
import operator
import threading
from collections.abc import Iterable, Iterator
from itertools import chain, compress, islice, takewhile
from typing import NamedTuple

import numpy as np

from anynet.data.files import one_line
from anynet.data.tables.column import as_text, is_missing
from anynet.data.tables.kinds import SHARE, index_columns
from anynet.data.tables.layout import Layout, Opened, layout_of, looks_numeric
from anynet.data.tables.table import Table, as_names, some
from anynet.data.tables.values import is_placeholder
from anynet.errors import DataError, InvalidArgumentError

#: Records that are kept as strings of Python at a time, before they become columns.
CHUNK = 16384

_LIMIT = threading.Lock()


class Record(NamedTuple):
    """The fields of one record, and the lines on which it begins and ends."""

    line: int
    fields: list[str]
    end: int


class Header(NamedTuple):
    """The names of the columns.

    Attributes
    ----------
    names : list of str
        All names; a column without one is called by its number.
    unnamed : list of str
        The first of them, if they have no name in the file.
    lines : int
        The number of lines up to the first row.
    """

    names: list[str]
    unnamed: list[str]
    lines: int


def read_delimited(opened: Opened, *, header: bool = True) -> Table:
    """Read a text file of records, the first of which names the columns.

    The encoding is UTF-8, or UTF-16 with a byte order mark. Fields are separated by commas,
    semicolons, tabs or bars, or as a first line ``sep=;`` says, and may be quoted as in RFC 4180;
    blank lines are skipped, and comment lines that begin with ``#``.

    Parameters
    ----------
    opened : Opened
        The file.
    header : bool
        Whether the first record names the columns; otherwise they are called by their numbers.

    Returns
    -------
    Table
        Columns of text, which are not converted to numbers here.

    Raises
    ------
    DataError
        If it is not such a file: the message names the line, and how to fix it.
    """
    try:
        layout = layout_of(opened)
        with opened.text(layout.encoding) as file, _long_fields():
            return _read(opened.name, file, layout, header=header)
    except UnicodeError as error:
        raise _undecodable(opened) from error


def header_of(opened: Opened, layout: Layout) -> Header:
    """Read the names of the columns only.

    Parameters
    ----------
    opened : Opened
        The file.
    layout : Layout
        Its layout.

    Returns
    -------
    Header
        The names of the columns.

    Raises
    ------
    DataError
        If there are none.
    UnicodeError
        If they are not text.
    """
    with opened.text(layout.encoding) as file, _long_fields():
        return _header(opened.name, _records(opened.name, file, layout))


def _read(path: str, file: Iterable[str], layout: Layout, *, header: bool) -> Table:
    records = _records(path, file, layout)
    if header:
        names, unnamed, _ = _header(path, records)
    else:
        first = _first(path, records)
        names, unnamed = [numbered(i) for i in range(1, len(first.fields) + 1)], []
        records = chain([first], records)
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
    marked = _comments(columns[names[0]])
    comments += compress(lines, marked)
    if marked.any():
        columns = {name: column[~marked] for name, column in columns.items()}
    notes: tuple[str, ...] = ()
    if comments:
        notes = (f"{len(comments)} comment lines ignored, the first in line {min(comments)}",)
    notes += tuple(_note_on_names(columns, header=header))
    return Table(
        name=path,
        columns=columns,
        lines=np.array(lines)[~marked],
        notes=notes,
        separator=layout.separator,
        index=tuple(index_columns(columns, unnamed)),
    )


def _comments(first: np.ndarray) -> np.ndarray:
    """Return the rows that are comments with as many fields as the header, bool (N,).

    They begin with "#" in a first column of numbers; in a column of text "#" may be data.
    """
    marked: np.ndarray = np.strings.startswith(first, "#") & ~is_placeholder(first)
    if not marked.any():
        return marked
    others = first[~marked & ~is_missing(first) & ~is_placeholder(first)]
    few = bool(np.sum(marked) <= (1 - SHARE) * first.size)
    return marked if few and all(map(looks_numeric, others.tolist())) else marked & False


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """Allow fields of any length: Python's limit, 131,072, holds for a whole process."""
    with _LIMIT:
        before = csv.field_size_limit(2**31 - 1)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _undecodable(opened: Opened) -> DataError:
    """Return the error for a file that is not text, with the line of the first wrong byte."""
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


def _records(path: str, file: Iterable[str], layout: Layout) -> Iterator[Record]:
    lines = islice(_lines(path, file), layout.skipped, None)
    reader = csv.reader(lines, delimiter=layout.separator, strict=True)
    line = 1 + layout.skipped
    try:
        for fields in reader:
            end = reader.line_num + layout.skipped
            if fields:
                yield Record(line, fields, end)
            line = end + 1
    except csv.Error as error:
        message = (
            f"{path}: the record that begins in line {line} is invalid "
            f'({one_line(error)}): expected fields that are quoted completely, as "a, b", with the '
            f"quotes inside them doubled"
        )
        raise DataError(message) from error


def _lines(path: str, file: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            message = f"{path} holds a zero byte in line {number}: save it as UTF-8 text"
            raise DataError(message)
        yield line


def numbered(column: int) -> str:
    """Return the name of a column that has none in its file, counted from 1."""
    return f"column {column}"


def _first(path: str, records: Iterator[Record]) -> Record:
    first = next(records, None)
    if first is None:
        message = f"{path} is empty: expected a line of column names, and rows below it"
        raise DataError(message)
    return first


def _header(path: str, records: Iterator[Record]) -> Header:
    header = _first(path, records)
    fields = [" ".join(field.split()) for field in header.fields]
    names = [field or numbered(i) for i, field in enumerate(fields, start=1)]
    if all(_is_number(name) for name in names):
        message = (
            f"{path} has no column names: line {header.line} holds numbers; put a line of "
            f"names above it, or read it with header=False"
        )
        raise DataError(message)
    try:
        unnamed = names[: len(list(takewhile(operator.not_, fields)))]
        return Header(as_names(names), unnamed, header.end)
    except InvalidArgumentError as error:
        message = (
            f"{path}, line {header.line}: {error}; if the file has no line of names, read it with "
            f"header=False"
        )
        raise DataError(message) from error


def _note_on_names(columns: dict[str, np.ndarray], *, header: bool) -> list[str]:
    """Return a note if the names of the columns look like values, or the first row like names."""
    if header:
        like_data = [name for name, cells in columns.items() if _is_value(name, cells)]
        if 2 * len(like_data) <= len(columns):
            return []
        note = f"the names of the columns look like data ({some(like_data)})"
        return [f"{note}: if the file has no line of names, read it with header=False"]
    first = {name: cells[0] for name, cells in columns.items()}
    numeric = [name for name, cells in columns.items() if _is_value("0", cells[1:])]
    if not numeric or any(map(_is_number, first.values())) or "" in first.values():
        return []
    note = f"the first row looks like names of columns ({some(list(first.values()))})"
    return [f"{note}: if it is, read the file with header=True"]


def _is_value(text: str, cells: np.ndarray) -> bool:
    """Whether a text may be a value of a column: one of its cells, or a number as most are."""
    if _is_number(text):
        cells = cells[:CHUNK]
        return 2 * sum(map(looks_numeric, cells.tolist())) > len(cells)
    return bool(np.any(cells == text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _even(
    records: Iterator[Record], width: int, separator: str, path: str, comments: list[int]
) -> Iterator[Record]:
    """Yield records with as many fields as the header; append the lines of comments."""
    for record in records:
        count = len(record.fields)
        if count == width:
            yield record
        elif record.fields[0].startswith("#"):
            comments.append(record.line)
        else:
            shown = "a tab" if separator == "\t" else repr(separator)
            message = (
                f"{path}: line {record.line} has {count} field{'s' * (count != 1)}, "
                f"separated by {shown}, and the header has {width}: give every row as many, and "
                f'put text that contains the separator into quotes (")'
            )
            raise DataError(message)
