"""Classes of a target are exact: different texts or integers are never merged."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.cli import main
from anynet.data.tables import Preprocessing, Table
from anynet.data.tables.target import find_classes, infer_task, usable_rows

LARGE = 2**53
CLASSES: dict[str, list[Any]] = {
    "codes": ["0101", "101", "00101", "7"],
    "large": [LARGE, LARGE + 1, LARGE + 2, -LARGE - 1, -LARGE],
    "uint64": [2**64 - 1, 2**64 - 2, 2**63 + 1, 3],
    "many": [4 * LARGE + i for i in range(12)],
    "forms": ["1", "1.0", "01", "+1", "1e0", "-1", "1000", "1e3"],
    "versions": ["1.1", "1.10", "1.2"],
    "words": ["Yes", "yes", "a b", "ab"],
}


def table_of(classes: list[Any], *, missing: bool = False) -> dict[str, Any]:
    y = classes * 20 + [None] * missing
    return {"x": [float(i % 7) for i in range(len(y))], "y": y}


def written(rows: dict[str, Any], kind: str, folder: Path) -> Any:
    """Return the rows as a file of the given kind, or as a data frame."""
    if kind == "csv":
        lines = [
            "x,y",
            *(f"{x},{'' if y is None else y}" for x, y in zip(*rows.values(), strict=True)),
        ]
        (folder / "t.csv").write_text("\n".join(lines) + "\n")
        return folder / "t.csv"
    if kind in ("pandas", "polars"):
        module = pytest.importorskip(kind)
        return module.DataFrame(rows)
    pa = pytest.importorskip("pyarrow")
    y = pa.array(rows["y"], pa.uint64() if 2**64 - 1 in rows["y"] else None)
    table = pa.table({"x": rows["x"], "y": y})
    if kind == "pyarrow":
        return table
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "t.parquet")
    return folder / "t.parquet"


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", ["mapping", "csv", "parquet", "pyarrow", "pandas", "polars"])
@pytest.mark.parametrize("name", CLASSES)
def test_each_text_and_each_integer_is_a_separate_class(
    name: str, kind: str, missing: bool, tmp_path: Path
) -> None:
    if kind == "pandas" and name == "uint64" and missing:
        pytest.skip("pandas reads them as objects")
    rows = table_of(CLASSES[name], missing=missing)
    source = rows if kind == "mapping" else written(rows, kind, tmp_path)
    if kind == "pandas" and missing and name in ("large", "many"):
        source["y"] = pytest.importorskip("pandas").array(rows["y"], dtype="Int64")
    data = anynet.load_tabular_dataset(source, target="y", task="classification")
    assert sorted(data.classes) == sorted(map(str, CLASSES[name]))
    assert len(np.unique(data.train[1])) == len(CLASSES[name])


@pytest.mark.parametrize("name", CLASSES)
def test_classes_round_trip_through_files_and_the_command_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = table_of(CLASSES[name])
    data = anynet.load_tabular_dataset(rows, target="y", task="classification")
    network = anynet.mlp([data.n_inputs, data.n_outputs])
    model = anynet.fit(network, data.train, epochs=1, backend="numpy", metadata=data.metadata)
    model.save(tmp_path / "m.safetensors")
    loaded = anynet.load(tmp_path / "m.safetensors", "numpy")
    target = Preprocessing.of(loaded).target
    assert target.levels == data.classes
    assert set(loaded.predict(Table.of(rows)).tolist()) <= set(data.classes)
    for kind in ("csv", "parquet"):
        path = written(rows, kind, tmp_path)
        names = target.decode(Preprocessing.of(loaded).labels(anynet.read_table(path))[0])
        assert names.tolist() == list(map(str, rows["y"]))
        assert main(["evaluate", str(tmp_path / "m.safetensors"), str(path)]) == 0
        assert f"on {len(rows['y'])} rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trained", "new"),
    [
        (["False", "True"], [False, True]),
        (["false", "true"], ["False", "TRUE"]),
        (["0", "1"], [False, True]),
        (["1.0", "2.0"], [1, 2]),
        ([1, 2], ["1.0", "2.00"]),
        ([0.5, 1000.0], ["5e-1", "1e3"]),
    ],
)
def test_a_class_is_recognised_in_the_notation_of_another_file(trained: Any, new: Any) -> None:
    table = Table.of({"y": trained * 2})
    labels, absent = find_classes(table, "y").encode(Table.of({"y": new}).columns["y"])
    assert labels.tolist() == [0, 1]
    assert not absent.any()


def test_codes_and_ambiguous_numbers_are_recognised_by_their_text_only() -> None:
    classes = find_classes(Table.of({"y": ["007", "5", "5.0", "x"] * 2}), "y")
    cells = ["007", "7", "5", "5.0", "5.00", "05", "X"]
    labels, _ = classes.encode(Table.of({"y": cells}).columns["y"])
    names = ["" if label < 0 else classes.levels[label] for label in labels]
    assert names == ["007", "", "5", "5.0", "", "", ""]


def test_equal_numbers_as_different_classes_are_reported() -> None:
    (note,) = anynet.load_tabular_dataset(table_of(["1", "1.0", "x"]), target="y").notes
    assert "y: the classes '1', '1.0' are the same number" in note


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["01", "2.5"] * 9, "classification"),
        ([LARGE + i for i in range(1, 30)], "classification"),
        ([LARGE + 1.0 * i for i in range(2, 60, 2)], "regression"),
    ],
)
def test_codes_and_identifiers_are_classes(values: Any, task: str) -> None:
    assert infer_task(Table.of({"y": values}), "y") == task


def test_regression_on_large_integers_reports_the_rounding() -> None:
    rows = {"x": list(range(30)), "y": [LARGE + 3 * i for i in range(30)]}
    data = anynet.load_tabular_dataset(rows, target="y", task="regression", columns={"x": "number"})
    assert any("y: 29 whole numbers are beyond 2^53" in note for note in data.notes)


@pytest.mark.parametrize(
    ("classes", "levels", "reported"),
    [
        (["None", "low", "high"], ["None", "high", "low"], "20 rows hold 'None'"),
        (["+", "-"], ["+", "-"], "20 rows hold '-'"),
        (["None", "0", "1"], ["0", "1"], "20 rows have no target ('None' in row 1): left out"),
        (["NA", "EU", "AS"], ["AS", "EU"], "20 rows have no target: left out"),
    ],
)
def test_classes_named_as_missing_values_are_reported(
    classes: list[str], levels: list[str], reported: str
) -> None:
    table = Table.of(table_of(classes))
    rows, notes = usable_rows(table, "y", "classification")
    assert sorted(find_classes(rows, "y").levels) == levels
    assert len(notes) == 1
    assert reported in notes[0]


def test_decimals_that_are_not_numbers_are_missing() -> None:
    from decimal import Decimal

    y = [Decimal("1.5"), Decimal("NaN"), None, Decimal("2"), Decimal("sNaN")] * 8
    data = anynet.load_tabular_dataset({"x": list(range(40))[::-1], "y": y}, target="y")
    (note,) = data.notes
    assert re.search("^y: 24 rows .*no target", note)
