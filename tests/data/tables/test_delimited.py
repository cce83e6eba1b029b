"""CSV and similar formats: parsing, and errors for invalid files."""

import contextlib
import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anynet.data.tables.column import MISSING
from anynet.data.tables.delimited import read_delimited
from anynet.data.tables.layout import Opened
from anynet.data.tables.table import Table
from anynet.errors import AnynetError, DataError


def read(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Table:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_delimited(Opened.of(path))


def cells(table: Table) -> dict[str, list[str]]:
    return {name: column.tolist() for name, column in table.columns.items()}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_endings_are_detected(tmp_path: Path, separator: str, end: str) -> None:
    lines = ["a b", "1 x", "2 y", ""]
    text = end.join(line.replace(" ", separator) for line in lines)
    assert cells(read(tmp_path, text)) == {"a": ["1", "2"], "b": ["x", "y"]}


def test_decimal_commas_do_not_separate(tmp_path: Path) -> None:
    table = read(tmp_path, "a;b\n1,5;2,5\n3,5;4,5\n")
    assert cells(table) == {"a": ["1,5", "3,5"], "b": ["2,5", "4,5"]}
    assert table.separator == ";"
    assert read(tmp_path, "a,b\n1,2\n").separator == ","


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_are_detected(tmp_path: Path, encoding: str) -> None:
    table = read(tmp_path, "größe,名前\n1,é\n".encode(encoding))
    assert cells(table) == {"größe": ["1"], "名前": ["é"]}


def test_quoted_cells_and_the_line_numbers_of_rows(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,"b\n c"\n\n"1,5","say ""hi""\nand go"\n\n 2 ,y\n')
    assert cells(table) == {"a": ["1,5", "2"], "b c": ['say "hi"\nand go', "y"]}
    assert [table.where(row) for row in range(2)] == ["line 4", "line 7"]


def test_words_for_missing_values_are_missing(tmp_path: Path) -> None:
    words = [*sorted(MISSING), "NaN", "NULL", " N/A "]
    table = read(tmp_path, "a,b\n" + "".join(f"{word},1\n" for word in words) + "nano,1\n")
    assert cells(table)["a"] == [*[""] * len(words), "nano"]
    assert table.missing("a").sum() == len(words)


def test_columns_without_a_name_get_one(tmp_path: Path) -> None:
    assert list(read(tmp_path, ",a,\n0,1,2\n").columns) == ["column 1", "a", "column 3"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: expected a line of column names"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "has column names and no rows"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 field, separated by ',', and the header has 2"),
        (b"a\tb\n1\t2\n1\t2\t3\n", "line 3 has 3 fields, separated by a tab"),
        (b'a,b\n1,"x\ny"\n1,2,3\n', "line 4 has 3 fields"),
        (b'a,b\n1,2\n3,"x\n5,6\n7,8\n', "the record that begins in line 3"),
        (b'a,b\n1,"x"y\n', "the record that begins in line 2"),
        (b"a,a\n1,2\n", "line 1: two columns are named 'a', number 1 and number 2: rename one"),
        (b"1,2\n3,4\n", "has no column names: line 1 holds numbers"),
        (b"a,b\n1,2\n\xe9,3\n", "line 3 holds the byte 0xe9; save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "holds a zero byte in line 1"),
    ],
)
def test_invalid_files_raise(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert says in str(caught.value)
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_long_cells_are_read(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    table = read(tmp_path, f"a,{'b' * 150_000}\n1,{'x' * 140_000}\n")
    assert table.columns["b" * 150_000].tolist() == ["x" * 140_000]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "expected", "line"),
    [
        ("sep=;\na;b\n1;2,5\n", {"a": ["1"], "b": ["2,5"]}, 3),
        ('"sep=\t"\r\na\tb\r\n1\t2\r\n', {"a": ["1"], "b": ["2"]}, 3),
        ("SEP=:\na:b\n1:2\n", {"a": ["1"], "b": ["2"]}, 3),
        ("# made by x, on a day\n#\na,b\n1,2\n", {"a": ["1"], "b": ["2"]}, 4),
        ('# "half a quote\n\na;b\n1;2\n', {"a": ["1"], "b": ["2"]}, 4),
        ("# a, comment\nname,kind\nx,y\n", {"name": ["x"], "kind": ["y"]}, 3),
        ("#id\tpos\nx\t100\n", {"#id": ["x"], "pos": ["100"]}, 2),
        ("# note\n#id,pos\nx,100\n", {"#id": ["x"], "pos": ["100"]}, 3),
        ("a,b\n# first\n1,2\n#3,4\n# last\n", {"a": ["1", "#3"], "b": ["2", "4"]}, 3),
    ],
)
def test_separator_declarations_and_comments_are_skipped(
    tmp_path: Path, content: str, expected: dict[str, list[str]], line: int
) -> None:
    table = read(tmp_path, content)
    assert cells(table) == expected
    assert table.where(0) == f"line {line}"


def test_comments_among_the_rows_are_counted(tmp_path: Path) -> None:
    (note,) = read(tmp_path, "a,b\n# first\n1,2\n# last\n").notes
    assert "2 comment lines" in note
    assert "line 2" in note


def test_each_name_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"n{i}" for i in range(20_000)]
    seen = []
    monkeypatch.setattr(
        "anynet.data.tables.table.as_name", lambda name: seen.append(name) or str(name)
    )
    table = read(tmp_path, ",".join(names) + "\n" + ",".join("1" * 20_000) + "\n")
    assert len(table.columns) == len(seen) == 20_000


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@settings(max_examples=200)
@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=8))
def test_written_tables_round_trip(rows: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    table = read(tmp_path_factory.getbasetemp(), text.getvalue())
    expected = [["" if w.strip().lower() in MISSING else w.strip() for w in row] for row in rows]
    assert [list(row) for row in zip(*cells(table).values(), strict=True)] == expected


@settings(max_examples=200)
@given(content=st.binary(max_size=60) | st.text('a1,;\t"\n\r. -', max_size=60).map(str.encode))
def test_arbitrary_bytes_give_a_table_or_an_error_of_anynet(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with contextlib.suppress(AnynetError):
        table = read(tmp_path_factory.getbasetemp(), content)
        assert {len(column) for column in table.columns.values()} == {table.n_rows}


def test_chunks_are_concatenated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anynet.data.tables.delimited.CHUNK", 3)
    table = read(tmp_path, "a,b\n" + "".join(f"{i},{i * i}\n" for i in range(8)))
    np.testing.assert_array_equal(table.columns["b"], [str(i * i) for i in range(8)])
    assert table.lines is not None
    assert table.lines.tolist() == list(range(2, 10))


@pytest.mark.parametrize("above", ["", "# a note, with commas\n", "sep=;\n"])
def test_a_header_after_a_hash_is_used_with_decimal_commas(tmp_path: Path, above: str) -> None:
    table = read(tmp_path, f"{above}#a;b\n10,38;x\n2,5;y\n")
    assert cells(table) == {"#a": ["10,38", "2,5"], "b": ["x", "y"]}


def test_comments_as_wide_as_the_header_are_not_data(tmp_path: Path) -> None:
    rows = [f"{i},5;x" for i in range(20)]
    table = read(tmp_path, "\n".join(["a;b", *rows, "# end; total", "#DIV/0!;x", "#N/A;x"]))
    assert cells(table)["a"] == [*(f"{i},5" for i in range(20)), "#DIV/0!", ""]
    assert len(table.lines) == 22
    assert "1 comment" in table.notes[0]
    assert "line 22" in table.notes[0]
    for first in (["#a", "b", "c"], ["1", "2", "#3"]):
        names = [*first * 10]
        table = read(tmp_path, "\n".join(["a;b", *(f"{name};x" for name in names)]))
        assert cells(table)["a"] == names
        assert table.notes == ()
