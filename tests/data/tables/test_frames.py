"""Data frames and mappings: names of any type, and cells of every kind."""

import datetime
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.data.tables import Table, read_table
from anynet.errors import DataError, InvalidArgumentError

pd = pytest.importorskip("pandas")
NAN = float("nan")


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2]], columns=[1, "1"]),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        {1: [1], "1": [2]},
        {"e\u0301": [1], "\u00e9": [2]},
        {b"a": [1], "a": [2]},
    ],
)
def test_equal_column_names_raise(frame: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="two columns are named"):
        read_table(frame)


def test_column_names_of_any_type_can_be_targets(rng: np.random.Generator) -> None:
    values = rng.normal(size=(30, 3))
    assert anynet.load_tabular_dataset(pd.DataFrame(values), 2).preprocessing.input_names == [
        "0",
        "1",
    ]
    names = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")])
    data = anynet.load_tabular_dataset(pd.DataFrame(values, columns=names), ("b", "x"))
    assert data.preprocessing.input_names == ["('a', 'x')", "('a', 'y')"]
    with pytest.raises(DataError, match="has no column '7'"):
        anynet.load_tabular_dataset(pd.DataFrame(values), 7)
    with pytest.raises(DataError, match="did you mean"):
        anynet.load_tabular_dataset(pd.DataFrame(values, columns=names), ("b", "z"))


def test_composed_and_decomposed_unicode_names_are_equal() -> None:
    rows = {"e\u0301": range(0, 60, 2), "u\u0308": [1, 2.5, 5] * 10}
    data = anynet.load_tabular_dataset(rows, "\u00fc", columns={"\u00e9": "number"})
    assert data.preprocessing.encode({"\u00e9": [1, 2]})[1] == []
    assert data.preprocessing.encode({"e\u0301": [1, 2]})[1] == []


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"\ud800": [1]}, "name '\\ud800' is not valid Unicode"),
        ({"a": ["x", "\ud800"]}, "a: row 2 is not valid Unicode"),
        ({"a": ["x", b"\xff"]}, "a holds bytes that are not UTF-8 text in row 2"),
        ({"a": [[1], [2, 3]]}, "a must hold one value for each row, got nested"),
        ({"a": [1, (2, 3)]}, "a must hold one value for each row, got nested"),
        ({"a": [1], "b": [1, 2]}, "1 in 'a', 2 in 'b'"),
        ({"a": 5}, "a must be numbers, booleans, text or dates, one a row"),
    ],
)
def test_invalid_cells_and_names_raise(columns: Any, says: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_table(columns)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.ma.masked_invalid([1.0, np.nan, 3.0]), [1, NAN, 3]),
        (np.ma.array([1, 2, 3], mask=[0, 1, 0]), [1, NAN, 3]),
        (np.ma.array(["x", "y", "z"], mask=[0, 0, 1]), ["x", "y", ""]),
        (np.ma.array([True, False, True], mask=[1, 0, 0]), ["", "False", "True"]),
        (np.ma.array([1, 2, 3]), [1, 2, 3]),
        (pd.array([1, None, 3], dtype="Int64"), [1, NAN, 3]),
        (pd.array([True, None, False], dtype="boolean"), ["True", "", "False"]),
        (pd.array(["x", None, "y"], dtype="string"), ["x", "", "y"]),
        (pd.Categorical([5, None, 6]), [5, NAN, 6]),
        (pd.to_timedelta([1, None, 3], unit="h"), [3600, NAN, 10800]),
        ([datetime.timedelta(seconds=2), None, datetime.timedelta(0)], [2, NAN, 0]),
        ([b"x", b"y", None], ["x", "y", ""]),
        (np.array([b"x", b"yy", b""]), ["x", "yy", ""]),
    ],
)
def test_missing_values_bytes_and_durations_are_read(values: Any, expected: list[Any]) -> None:
    np.testing.assert_array_equal(Table.of({"a": values}).columns["a"], expected)
    frame = pd.DataFrame({"a": values, "n": [1, 2, 3]})
    if not isinstance(values, np.ma.MaskedArray):
        np.testing.assert_array_equal(read_table(frame).columns["a"], expected)


def test_unusable_columns_of_a_frame_raise_with_their_name() -> None:
    frame = pd.DataFrame({"a": [[1], [2, 3]], "b": [b"\xff", b"x"], "c": [1, 2]})
    table = read_table(frame)
    assert list(table.columns) == ["c"]
    assert [note.split(" left out")[0] for note in table.notes] == ["'a'", "'b'"]
    with pytest.raises(DataError, match="'a' cannot be used: nested values"):
        anynet.load_tabular_dataset(frame, "a")


def test_half_precision_is_read_without_warnings(recwarn: pytest.WarningsRecorder) -> None:
    table = Table.of({"v": np.array([1.5, np.inf, -65504], dtype=np.float16)})
    np.testing.assert_array_equal(table.columns["v"], [1.5, NAN, -65504])
    assert not recwarn.list


def test_columns_that_numpy_cannot_convert_raise_with_their_name() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(InvalidArgumentError, match=r"v cannot be converted .*grad"):
        Table.of({"v": torch.ones(3, requires_grad=True)})
    with pytest.raises(InvalidArgumentError, match=r"\(3, 1\).*ravel"):
        Table.of({"v": np.ones((3, 1))})


def test_a_wide_table_without_inputs_raises_with_some_column_names() -> None:
    columns = {f"c{i}": [1] * 10 for i in range(1000)} | {"y": ["a", "b"] * 5}
    with pytest.raises(DataError, match=r"'c5' is ignored.*994 more") as caught:
        anynet.load_tabular_dataset(columns, "y")
    assert "'c6'" not in str(caught.value)


def test_numpy_scalars_in_object_columns_are_not_nested_values() -> None:
    frame = pd.DataFrame({"a": pd.Series([np.float64(1), np.int64(2)], dtype=object), "y": [0, 1]})
    table = anynet.Table.of(frame)
    assert table.left_out == {}
    np.testing.assert_array_equal(table.columns["a"], [1, 2])


def test_a_column_of_an_unknown_type_raises() -> None:
    with pytest.raises(InvalidArgumentError, match="complex128"):
        anynet.Table.of(pd.DataFrame({"a": np.array([1j, 2j])}))
