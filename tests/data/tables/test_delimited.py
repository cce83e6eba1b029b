"""CSV and its relatives: what is read, and what is refused in which words."""

import contextlib
import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anynet.data.tables.delimited import read_delimited
from anynet.data.tables.opened import Opened
from anynet.data.tables.table import MISSING, Table
from anynet.errors import AnynetError, DataError


def read(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Table:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_delimited(Opened.of(path))


def cells(table: Table) -> dict[str, list[str]]:
    return {name: column.tolist() for name, column in table.columns.items()}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(tmp_path: Path, separator: str, end: str) -> None:
    lines = ["a b", "1 x", "2 y", ""]
    text = end.join(line.replace(" ", separator) for line in lines)
    assert cells(read(tmp_path, text)) == {"a": ["1", "2"], "b": ["x", "y"]}


def test_decimal_commas_do_not_separate(tmp_path: Path) -> None:
    table = read(tmp_path, "a;b\n1,5;2,5\n3,5;4,5\n")
    assert cells(table) == {"a": ["1,5", "3,5"], "b": ["2,5", "4,5"]}
    assert table.separator == ";"
    assert read(tmp_path, "a,b\n1,2\n").separator == ","


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    table = read(tmp_path, "größe,名前\n1,é\n".encode(encoding))
    assert cells(table) == {"größe": ["1"], "名前": ["é"]}


def test_quotes_and_the_lines_on_which_rows_begin(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,"b\n c"\n\n"1,5","say ""hi""\nand go"\n\n 2 ,y\n')
    assert cells(table) == {"a": ["1,5", "2"], "b c": ['say "hi"\nand go', "y"]}
    assert [table.where(row) for row in range(2)] == ["line 4", "line 7"]


def test_what_stands_for_a_missing_value(tmp_path: Path) -> None:
    words = [*sorted(MISSING), "NaN", "NULL", " N/A "]
    table = read(tmp_path, "a,b\n" + "".join(f"{word},1\n" for word in words) + "nano,1\n")
    assert cells(table)["a"] == [*[""] * len(words), "nano"]
    assert table.missing("a").sum() == len(words)


def test_columns_without_a_name(tmp_path: Path) -> None:
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
def test_what_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert says in str(caught.value)
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@settings(max_examples=200)
@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=8))
def test_what_was_written_is_read(rows: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    table = read(tmp_path_factory.getbasetemp(), text.getvalue())
    expected = [["" if w.strip().lower() in MISSING else w.strip() for w in row] for row in rows]
    assert [list(row) for row in zip(*cells(table).values(), strict=True)] == expected


@settings(max_examples=200)
@given(content=st.binary(max_size=60) | st.text('a1,;\t"\n\r. -', max_size=60).map(str.encode))
def test_any_bytes_are_a_table_or_an_error_of_ours(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with contextlib.suppress(AnynetError):
        table = read(tmp_path_factory.getbasetemp(), content)
        assert {len(column) for column in table.columns.values()} == {table.n_rows}


def test_chunks_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anynet.data.tables.delimited.CHUNK", 3)
    table = read(tmp_path, "a,b\n" + "".join(f"{i},{i * i}\n" for i in range(8)))
    np.testing.assert_array_equal(table.columns["b"], [str(i * i) for i in range(8)])
    assert table.lines is not None
    assert table.lines.tolist() == list(range(2, 10))
