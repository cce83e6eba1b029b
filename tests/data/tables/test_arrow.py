"""Parquet, Arrow and data frames give the same table as CSV."""

import contextlib
import datetime
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.data.tables import Table, read_table
from anynet.data.tables.kinds import infer_kinds
from anynet.data.tables.target import infer_task
from anynet.errors import DataError, InvalidArgumentError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

COLUMNS: dict[str, Any] = {
    "n": pa.array([1, None, 3], pa.int64()),
    "x": pa.array([0.5, float("nan"), float("inf")], pa.float32()),
    "b": pa.array([True, None, False]),
    "s": pa.array(["a", None, " NA "]),
    "d": pa.array([datetime.date(2024, 5, 31), None, datetime.date(1970, 1, 2)]),
    "t": pa.array([datetime.datetime(2024, 5, 31, 12), None, None], pa.timestamp("us", tz="UTC")),
    "c": pa.array(["u", "v", "u"]).dictionary_encode(),
    "z": pa.nulls(3),
    "m": pa.array([[1], [2], None]),
}
NAN = float("nan")


def check(table: Table) -> None:
    expected: dict[str, list[Any]] = {
        "n": [1, NAN, 3],
        "x": [0.5, NAN, NAN],
        "b": ["true", "", "false"],
        "s": ["a", "", ""],
        "d": ["2024-05-31", "", "1970-01-02"],
        "t": ["2024-05-31 12:00:00.000000Z", "", ""],
        "c": ["u", "v", "u"],
        "z": ["", "", ""],
    }
    assert list(table.columns) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(table.columns[name], values)
    (note,) = table.notes
    assert "'m' left out: list<" in note
    assert table.where(0) == "row 1"


def test_parquet_matches_csv(tmp_path: Path) -> None:
    parquet.write_table(pa.table(COLUMNS), tmp_path / "t.parquet")
    check(read_table(tmp_path / "t.parquet"))
    (tmp_path / "t.parquet").rename(tmp_path / "unnamed")
    check(read_table(tmp_path / "unnamed"))


@pytest.mark.parametrize("open_writer", [pa.ipc.new_file, pa.ipc.new_stream])
def test_arrow_matches_csv(tmp_path: Path, open_writer: Any) -> None:
    table = pa.table(COLUMNS)
    with open_writer(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    check(read_table(tmp_path / "t.arrow"))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_data_frames_match_csv(library: str) -> None:
    columns = {
        "n": [1.0, None, 3.0],
        "s": ["a", None, "b"],
        "d": [datetime.datetime(2024, 5, 31), None, datetime.datetime(1970, 1, 2)],
        "b": [True, False, True],
    }
    module = pytest.importorskip(library)
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    table = read_table(frame)
    np.testing.assert_array_equal(table.columns["n"], [1, NAN, 3])
    np.testing.assert_array_equal(table.columns["s"], ["a", "", "b"])
    assert [day[:10] for day in table.columns["d"]] == ["2024-05-31", "", "1970-01-02"]
    assert [cell.lower() for cell in table.columns["b"]] == ["true", "false", "true"]


MORE: dict[str, tuple[Any, list[Any]]] = {
    "large string": (pa.array(["a", None], pa.large_string()), ["a", ""]),
    "string view": (pa.array(["a", None], pa.string_view()), ["a", ""]),
    "binary": (pa.array([b"a", None]), ["a", ""]),
    "large binary": (pa.array([b"a", None], pa.large_binary()), ["a", ""]),
    "binary view": (pa.array([b"a", None], pa.binary_view()), ["a", ""]),
    "fixed size": (pa.array([b"ab", None], pa.binary(2)), ["ab", ""]),
    "decimal": (pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)), [1.25, NAN]),
    "date64": (pa.array([86400000, None], pa.date64()), ["1970-01-02", ""]),
    "time32": (pa.array([5, None], pa.time32("s")), ["00:00:05", ""]),
    "time64": (pa.array([5500000, None], pa.time64("us")), ["00:00:05.500000", ""]),
    "duration": (pa.array([1500, None], pa.duration("ms")), [1.5, NAN]),
    "float16": (pa.array([np.float16(1.5), None], pa.float16()), [1.5, NAN]),
    "dictionary of ints": (pa.array([5, None]).dictionary_encode(), [5, NAN]),
    "dictionary of views": (
        pa.DictionaryArray.from_arrays(pa.array([0, None]), pa.array(["k"], pa.string_view())),
        ["k", ""],
    ),
    "dictionary with null": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["k", None])),
        ["k", ""],
    ),
    "run ends": (pa.RunEndEncodedArray.from_arrays([2], ["q"]), ["q", "q"]),
}
LEFT_OUT = {
    "bytes": pa.array([b"\xff\xfe", b"a"]),
    "list": pa.array([[1], None]),
    "struct": pa.array([{"a": 1}, None]),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "interval": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
    "dictionary of lists": pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([[1]])),
}


def test_every_type_is_read_or_raises_with_its_name(tmp_path: Path) -> None:
    arrow = pa.table({name: column for name, (column, _) in MORE.items()} | LEFT_OUT)
    with pa.ipc.new_file(tmp_path / "t.arrow", arrow.schema) as writer:
        writer.write_table(arrow)
    for source in (tmp_path / "t.arrow", arrow):
        table = read_table(source)
        assert list(table.columns) == list(MORE)
        for name, (_, values) in MORE.items():
            np.testing.assert_array_equal(table.columns[name], values, err_msg=name)
        assert list(table.left_out) == list(LEFT_OUT)
        assert all(any(repr(name) in note for note in table.notes) for name in LEFT_OUT)
        with pytest.raises(DataError, match="'struct' cannot be used: struct<"):
            anynet.load_tabular_dataset(source, "struct")


def test_polars_ipc_matches_its_parquet(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "t": ["u", None, "w"],
            "c": pl.Series(["k", None, "m"], dtype=pl.Categorical),
            "e": pl.Series(["k", "l", None], dtype=pl.Enum(["k", "l"])),
            "b": [b"x", None, b"y"],
            "n": [1, None, 3],
            "d": [datetime.timedelta(hours=1), None, None],
            "h": [datetime.time(1), datetime.time(2, 3, 4, 5000), None],
            "x": [[1], [2], [3]],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow")
    frame.write_ipc(tmp_path / "old.arrow", compat_level=pl.CompatLevel.oldest())
    frame.write_ipc_stream(tmp_path / "stream.arrow")
    expected = read_table(tmp_path / "t.parquet")
    assert list(expected.columns) == list("tcebndh")
    for source in ("t.arrow", "old.arrow", "stream.arrow"):
        table = read_table(tmp_path / source)
        assert list(table.columns) == list(expected.columns)
        for name, column in expected.columns.items():
            np.testing.assert_array_equal(table.columns[name], column, err_msg=name)
        assert list(table.left_out) == ["x"]
    for source in (frame, frame.lazy()):
        table = read_table(source)
        for name in "tcebnd":
            np.testing.assert_array_equal(table.columns[name], expected.columns[name])
        assert list(table.left_out) == ["x"]


CATEGORIES = {
    "integers": [10, 20, None],
    "floats": [1.5, 2.5, 3.5],
    "numerals": ["1", "2", "3"],
    "large": [2**53 + 1, 2**53 + 2, 2**53 + 3],
    "rows": list(range(30)),
}


@pytest.mark.parametrize("name", CATEGORIES)
@pytest.mark.parametrize("source", ["arrow", "parquet", "pyarrow", "pandas", "pandas parquet"])
def test_dictionary_and_categorical_columns_are_categories(
    name: str, source: str, tmp_path: Path
) -> None:
    values = (CATEGORIES[name] * 30)[:30]
    table = pa.table({"a": pa.array(values).dictionary_encode(), "y": [1, 2] * 15})
    made: Any = table
    if "pandas" in source:
        pd = pytest.importorskip("pandas")
        made = pd.DataFrame({"a": pd.Series(values).astype("category"), "y": [1, 2] * 15})
    if source == "pandas parquet":
        made.to_parquet(tmp_path / "t.parquet", index=False)
        made = tmp_path / "t.parquet"
    elif source == "parquet":
        parquet.write_table(table, tmp_path / "t.parquet")
        made = tmp_path / "t.parquet"
    elif source == "arrow":
        with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as writer:
            writer.write_table(table)
        made = tmp_path / "t.arrow"
    read = read_table(made)
    found = infer_kinds(read, "y")["a"]
    assert (found.kind, found.reason) == ("category", "")
    assert infer_task(read.take(np.arange(20)), "a") == "classification"
    data = anynet.load_tabular_dataset(made, target="y")
    assert data.preprocessing is not None
    (encoder,) = data.preprocessing.encoders
    if name != "rows":
        assert encoder.levels == tuple(str(each) for each in CATEGORIES[name] if each is not None)


@pytest.mark.parametrize("made", [bytes, bytearray, np.bytes_])
def test_utf8_bytes_are_text_and_other_bytes_raise(made: Any) -> None:
    cells = np.empty(2, dtype=object)
    cells[:] = [made("gr\u00fcn".encode()), made(b"red")]
    assert Table.of({"a": cells}).columns["a"].tolist() == ["gr\u00fcn", "red"]
    cells[1] = made(b"\xff")
    with pytest.raises(InvalidArgumentError, match=r"^a .*UTF-8 text"):
        Table.of({"a": cells})
    assert Table.of({"a": np.array([b"u", b"v"])}).columns["a"].tolist() == ["u", "v"]


def test_two_columns_with_the_same_name_raise(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="two columns are named 'a'"):
        read_table(tmp_path / "t.parquet")


def test_damaged_files_raise_with_their_name(tmp_path: Path, rng: np.random.Generator) -> None:
    table = pa.table(COLUMNS)
    parquet.write_table(table, tmp_path / "t.parquet")
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("t.parquet", "t.arrow"):
        whole = (tmp_path / name).read_bytes()
        for size in (6, len(whole) // 2, len(whole) - 1):
            (tmp_path / name).write_bytes(whole[:size])
            with pytest.raises(DataError, match=f"{name}' cannot be read"):
                read_table(tmp_path / name)
        for _ in range(60):
            flipped = bytearray(whole)
            flipped[rng.integers(8, len(whole))] ^= 1 << int(rng.integers(8))
            (tmp_path / name).write_bytes(flipped)
            with contextlib.suppress(DataError):
                read_table(tmp_path / name)


def test_an_empty_table_raises(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="holds no rows"):
        read_table(tmp_path / "t.parquet")


def test_missing_pyarrow_raises_with_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs pyarrow: pip install"):
        anynet.read_table(tmp_path / "t.parquet")
