"""Decimal and thousands separators: detected or given, and kept for new rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import anynet
from anynet.data.tables import Preprocessing, Table
from anynet.data.tables.marks import CANDIDATES, Marks, judge
from anynet.errors import InvalidArgumentError, ModelFileError


def grouped(values: Any, thousands: str, decimal: str = ".", places: int = 0) -> list[str]:
    """Format numbers with the given separators."""
    marks = {",": thousands, ".": decimal}
    return ["".join(marks.get(c, c) for c in f"{value:,.{places}f}") for value in values]


AMOUNTS = [*range(1016, 250_000, 12_345), 999, 850, 17, *range(1_000_000, 9_000_000, 1_234_567)]
SMALL = [1016, 999, 2350, 850, 70_400, 17]


def write(path: Path, cells: list[str], separator: str, others: list[str] | None = None) -> Path:
    rows = [separator.join(("amount", "other", "y"))]
    for i, cell in enumerate(cells):
        quoted = f'"{cell}"' if separator in cell else cell
        rows.append(separator.join((quoted, others[i] if others else "ab"[i % 2], str(i % 2))))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def load(path: Any, **options: Any) -> tuple[Any, tuple[str, ...]]:
    """Load a table, and return the data set and its notes."""
    data = anynet.load_tabular_dataset(path, target="y", task="classification", **options)
    return data, data.notes


def amounts(preprocessing: Preprocessing, source: Any) -> tuple[list[float], list[str]]:
    """Return the amounts of rows as a model reads them."""
    table, notes = preprocessing.read(anynet.read_table(source))
    return [float(cell) for cell in table.columns["amount"]], notes


@pytest.mark.parametrize("values", [SMALL, AMOUNTS])
@pytest.mark.parametrize(
    ("separator", "thousands"),
    [
        *(("\t", mark) for mark in ",.' \u2019\u00a0\u202f"),
        *(("|", mark) for mark in ",.'"),
        *((";", mark) for mark in ",.' \u00a0"),
        *((",", mark) for mark in ",.'"),
    ],
)
def test_grouped_numbers_are_read_whole_and_reported(
    tmp_path: Path, values: list[int], separator: str, thousands: str
) -> None:
    path = write(tmp_path / "t.csv", grouped(values, thousands), separator)
    data, notes = load(path)
    assert amounts(data.preprocessing, path)[0] == values
    (note,) = (note for note in notes if note.startswith("amount"))
    assert "thousands separator" in note


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(("decimal", "thousands"), [(",", "."), (".", ","), (",", " ")])
def test_numbers_with_both_separators_determine_them(
    tmp_path: Path, separator: str, decimal: str, thousands: str
) -> None:
    values = [1016.5, 999, 70_400.25, 0.75, -12]
    cells = grouped(values, thousands, decimal, places=2)
    path = write(tmp_path / "t.csv", cells, separator)
    data, notes = load(path)
    assert amounts(data.preprocessing, path)[0] == values
    assert f"decimal separator {decimal!r}, thousands separator {thousands!r}" in notes[0]


@pytest.mark.parametrize(
    ("cells", "separator", "values"),
    [
        (["1,5", "2,25", "3"], ";", [1.5, 2.25, 3]),
        (["1.5", "2.016", "3"], ";", [1.5, 2.016, 3]),
        (["0.125", "2.016"], ";", [0.125, 2.016]),  # a group cannot start with 0
        (["0,125", "2,016"], "\t", [0.125, 2.016]),
        (["1.016", "2.345"], ",", [1.016, 2.345]),
        (["1.016", "2.345"], "\t", [1.016, 2.345]),
        (["1.016", "2.345"], ";", [1016, 2345]),
        (["1,016", "2,345"], "|", [1016, 2345]),
        (["1,016", "2,345"], ";", [1.016, 2.345]),
        (["1,5E+05", "2,125e-3"], ";", [150000, 0.002125]),
        (["1,00,000", "12,34,567"], "\t", [100000, 1234567]),
        (["-1,016", "+999"], "\t", [-1016, 999]),
    ],
)
def test_columns_with_one_unambiguous_separator_are_read(
    tmp_path: Path, cells: list[str], separator: str, values: list[float]
) -> None:
    path = write(tmp_path / "t.csv", cells * 6, separator)
    data, _ = load(path)
    assert amounts(data.preprocessing, path)[0] == values * 6


def test_other_columns_resolve_an_ambiguous_separator(tmp_path: Path) -> None:
    cells = ["1,016", "2,345"] * 6
    for others, values in (
        ([f"{i},5" for i in range(12)], [1.016, 2.345]),
        (
            [f"{i}.5" for i in range(12)],
            [1016, 2345],
        ),
    ):
        path = write(tmp_path / "t.csv", cells, "\t", others)
        data, _ = load(path)
        assert amounts(data.preprocessing, path)[0] == values * 6


def test_ambiguous_separators_are_reported_with_the_fix(tmp_path: Path) -> None:
    _, notes = load(write(tmp_path / "t.csv", ["1.016", "2.345"] * 6, ";"))
    assert "'1.016' as 1016" in notes[0]
    assert "set decimal or thousands" in notes[0]


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"decimal": "."}, 1.016),
        ({"decimal": ","}, 1016),
        ({"thousands": "."}, 1016),
        ({"thousands": ","}, 1.016),
        ({"thousands": ""}, 1.016),
    ],
)
@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_given_separators_override_detection(
    tmp_path: Path, options: dict[str, str], value: float, separator: str
) -> None:
    path = write(tmp_path / "t.csv", ["1.016", "2.350", "999"] * 5, separator)
    data, _ = load(path, **options)
    new = write(tmp_path / "new.csv", ["1.016"], separator)
    for source in (path, new):
        assert amounts(data.preprocessing, source)[0][0] == value
    table = anynet.read_table(new, **options)
    assert float(table.columns["amount"][0]) == value
    again = Preprocessing.from_config(data.preprocessing.to_config())
    assert amounts(again, new) == amounts(data.preprocessing, new)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decimal": "x"}, "decimal must be one of"),
        ({"thousands": "-"}, "thousands must be one of"),
        ({"decimal": ",", "thousands": ","}, "must differ"),
    ],
)
def test_invalid_separators_raise(options: dict[str, str], message: str) -> None:
    rows = {"a": ["1", "2"], "y": [1, 2]}
    with pytest.raises(InvalidArgumentError, match=message):
        anynet.load_tabular_dataset(rows, "y", **options)
    with pytest.raises(InvalidArgumentError, match=message):
        anynet.read_table(rows, **options)


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_one_new_row_is_read_like_the_training_rows(tmp_path: Path, separator: str) -> None:
    """A single new cell is ambiguous; the training rows determine the separators."""
    new = write(tmp_path / "new.csv", ["1.016"], separator)
    for cells, value in (
        (["1.016,5", "2.000,25"], 1016),
        (["1,5", "2,25"], 1016),
        (["1.5", "2.25"], 1.016),
        (["1,016.5", "2,000.25"], 1.016),
    ):
        data, _ = load(write(tmp_path / "t.csv", cells * 6, separator))
        model = Preprocessing.from_config(data.preprocessing.to_config())
        assert amounts(model, new) == ([value], [])


def test_new_rows_with_other_separators_are_reported(tmp_path: Path) -> None:
    data, _ = load(write(tmp_path / "t.csv", ["1.016,5", "2.000,25"] * 6, ";"))
    new = write(tmp_path / "new.csv", ["1016.5", "3.125"], ",")
    values, notes = amounts(data.preprocessing, new)
    assert values == [1016.5, 3.125]
    assert "decimal separator '.'" in notes[0]


def test_one_column_of_new_rows_determines_the_separators_of_all() -> None:
    cells = {"a": ["1,5", "2,25"] * 6, "b": ["0,5", "3.016,25"] * 6}
    data = anynet.load_tabular_dataset(cells | {"y": [1, 2] * 6}, "y")
    table, notes = data.preprocessing.read(anynet.read_table({"a": ["1.5"], "b": ["1.016"]}))
    assert [table.columns[name].tolist() for name in "ab"] == [["1.5"], ["1.016"]]
    assert "decimal separator '.'" in notes[0]


@pytest.mark.parametrize("thousands", [" ", "'", "\u00a0"])
def test_new_rows_with_the_same_separators_are_not_reported(tmp_path: Path, thousands: str) -> None:
    path = write(tmp_path / "t.csv", grouped(AMOUNTS, thousands), ";")
    data, _ = load(path)
    new = write(tmp_path / "new.csv", [f"1{thousands}016"], ";")
    assert amounts(data.preprocessing, new) == ([1016], [])


def test_non_numeric_text_is_not_changed() -> None:
    columns = {
        "words": ["a, b", "c.d", "e f"] * 4,
        "address": ["10.0.0.1", "192.168.1.20", "172.16.0.3"] * 4,
        "version": ["1.2.3", "1.10.0", "2.0.1"] * 4,
        "day": ["2024-05-31", "2023-01-01", "2022-01-01"] * 4,
        "y": [1, 2] * 6,
    }
    data = anynet.load_tabular_dataset(columns, "y")
    table, notes = data.preprocessing.read(anynet.read_table(columns))
    for name in ("words", "address", "version", "day"):
        assert table.columns[name].tolist() == columns[name]
    assert notes == []


def test_a_column_given_as_category_keeps_its_text() -> None:
    rows = {"size": ["1,016", "999"] * 6, "y": [0.5, 1, 2] * 4}
    data = anynet.load_tabular_dataset(rows, "y", columns={"size": "category"})
    assert data.preprocessing.input_names == ["size = 1,016", "size = 999"]


def test_a_target_of_grouped_numbers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    values = np.arange(100, 30_000, 470)
    rows = [f"{i % 7};{cell}" for i, cell in enumerate(grouped(values, "."))]
    path.write_text("\n".join(["a;price", *rows]))
    data = anynet.load_tabular_dataset(path, "price")
    decoded = [data.preprocessing.decode(y) for _, y in (data.train, data.test)]
    np.testing.assert_allclose(np.sort(np.concatenate(decoded)), values)
    table, _ = data.preprocessing.read(anynet.read_table({"price": ["1.016"], "a": [1]}))
    assert table.columns["price"].tolist() == ["1016"]


def test_invalid_separators_in_a_configuration_raise() -> None:
    config = anynet.load_tabular_dataset(
        {"a": ["1,5", "2,5"] * 6, "y": [1, 2] * 6}, "y"
    ).preprocessing
    for value in (3, {"a": [";", None]}, {"a": [",", "x"]}, {"a": [","]}, None):
        with pytest.raises(ModelFileError):
            Preprocessing.from_config(config.to_config() | {"marks": value})


@given(
    values=st.lists(st.integers(-(10**9), 10**9).map(lambda v: v / 100), min_size=1),
    marks=st.sampled_from([each for each in CANDIDATES if each.thousands]),
)
def test_numbers_in_any_notation_round_trip(values: list[float], marks: Marks) -> None:
    cells = grouped(values, marks.thousands, marks.decimal, places=2)
    judged = judge(set(cells))
    assert judged is not None
    assert judged.marks.decimal == marks.decimal
    assert [float(judged.marks.plain(cell) or "nan") for cell in cells] == values


@given(cells=st.lists(st.text("0123456789.,' -+eE\u00a0", max_size=12), max_size=6))
def test_arbitrary_cells_can_be_analysed(cells: list[str]) -> None:
    judged = judge(set(cells), separator=";")
    for cell in cells:
        plain = judged.marks.plain(cell) if judged else None
        assert plain is None or np.isfinite(float(plain)) or "e" in plain.lower()


def test_very_long_cells_are_not_numbers() -> None:
    table = Table.of({"a": ["1" * 300_000 + "x", "1,5"], "y": [1, 2]})
    assert anynet.read_table(table, decimal=",").columns["a"].tolist()[0].endswith("x")


@pytest.mark.parametrize(
    "names",
    [["1.000", "1000"], ["1.100", "1.200"], ["1,5", "1,50"], ["9.007.199.254.740.993", "7"]],
)
def test_classes_keep_their_text_unless_separators_are_given(
    tmp_path: Path, names: list[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x;y\n" + "".join(f"{i},5;{names[i % 2]}\n" for i in range(20)))
    data = anynet.load_tabular_dataset(path, "y", task="classification")
    assert sorted(data.classes) == sorted(names)
    assert "y" not in data.preprocessing.marks
    labels, absent = data.preprocessing.labels(anynet.read_table(path))
    assert not absent.any()
    assert [data.classes[label] for label in labels[:2]] == names
    if names[0] != "1.000":
        given = anynet.load_tabular_dataset(path, "y", task="classification", decimal=",")
        assert not any("," in name or name.count(".") > 1 for name in given.classes)


def test_new_numbers_are_read_if_most_cells_are_invalid(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["1,5", "2,25", "3,75"] * 6, ";")
    preprocessing = load(path)[0].preprocessing
    new = tmp_path / "new.csv"
    new.write_text("amount;other\nabc;a\n1.200,5;b\nunknown;a\n")
    table, _ = preprocessing.read(anynet.read_table(new))
    assert table.columns["amount"].tolist() == ["abc", "1200.5", "unknown"]
