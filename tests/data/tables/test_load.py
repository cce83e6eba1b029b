"""Loading a table as a data set: no leakage from test rows, reports of ignored data."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

import anynet
from anynet.data.tables import Preprocessing
from anynet.data.tables.kinds import KINDS
from anynet.data.tables.load import rows_to_score
from anynet.data.tables.values import to_numbers
from anynet.errors import DataError, InvalidArgumentError


@pytest.fixture
def rows(rng: np.random.Generator) -> dict[str, Any]:
    size = rng.normal(size=100)
    colour = rng.choice(["red", "blue"], size=100)
    return {
        "size": size,
        "colour": colour,
        "price": 300 + 20 * size + 5 * (colour == "red"),
        "sold": np.where(size > 0.5, "yes", "no"),
    }


def test_a_regression_table_is_loaded(rows: dict[str, Any]) -> None:
    data = anynet.load_tabular_dataset(rows, target="price")
    assert data.preprocessing is not None
    assert data.preprocessing.input_names == ["size", "colour = blue", "colour = red", "sold"]
    assert (len(data.train[0]), len(data.test[0])) == (80, 20)
    assert (data.n_inputs, data.n_outputs, data.classes) == (4, 1, ())
    y = data.train[1]
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-12)
    prices = np.concatenate([data.preprocessing.decode(data.train[1]), data.test[1]])
    np.testing.assert_allclose(
        np.sort(np.concatenate([prices[:80], data.preprocessing.decode(data.test[1])])),
        np.sort(rows["price"]),
    )


def test_the_test_split_is_stratified(rows: dict[str, Any]) -> None:
    data = anynet.load_tabular_dataset(rows, target="sold", test=0.3, seed=4)
    assert data.classes == ("no", "yes")
    sold = np.sum(rows["sold"] == "yes")
    assert np.sum(data.test[1]) == round(0.3 * sold)
    again = anynet.load_tabular_dataset(rows, target="sold", test=0.3, seed=4)
    other = anynet.load_tabular_dataset(rows, target="sold", test=0.3, seed=5)
    np.testing.assert_array_equal(data.test[0], again.test[0])
    assert not np.array_equal(data.test[0], other.test[0])


def test_test_rows_do_not_affect_the_preprocessing(rows: dict[str, Any]) -> None:
    data = anynet.load_tabular_dataset(rows, target="price")
    close = np.abs(rows["price"][:, None] - data.preprocessing.decode(data.test[1])).min(axis=1)
    held_out = close < 1e-9
    assert held_out.sum() == 20
    wild = {
        "size": np.where(held_out, 1e6, rows["size"]),
        "colour": np.where(held_out, "green", rows["colour"]),
        "price": np.where(held_out, 1e9, rows["price"]),
        "sold": rows["sold"],
    }
    other = anynet.load_tabular_dataset(wild, target="price")
    assert other.preprocessing == data.preprocessing
    np.testing.assert_array_equal(other.train[0], data.train[0])
    (note,) = other.notes
    assert re.search("^test rows: colour: 20 of 20 rows .*category", note)


@pytest.mark.parametrize("unit", [1e298, 1e200, 1e-200, 1e-299])
def test_targets_of_any_magnitude_are_standardised(rows: dict[str, Any], unit: float) -> None:
    data = anynet.load_tabular_dataset(rows, target="price")
    scaled = anynet.load_tabular_dataset(rows | {"price": rows["price"] * unit}, target="price")
    np.testing.assert_allclose(scaled.train[1], data.train[1], rtol=1e-9, atol=1e-12)
    assert scaled.preprocessing is not None
    assert data.preprocessing is not None
    np.testing.assert_allclose(
        scaled.preprocessing.decode(scaled.test[1]) / unit, data.preprocessing.decode(data.test[1])
    )


def test_extreme_targets_of_test_rows_are_dropped_and_reported(rows: dict[str, Any]) -> None:
    new = {"size": [1, 2], "colour": ["red", "blue"], "sold": ["no", "no"], "price": [1e308, 2]}
    data = anynet.load_tabular_dataset(rows, target="price", test=new)
    assert len(data.test[1]) == 1
    (note,) = data.notes
    assert re.search(r"price: 1 of 2 rows .*'1e\+308' in row 1", note)


def test_text_of_a_file_is_shown_as_not_yet_converted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,port\n31,Cobh\n")
    assert anynet.read_table(tmp_path / "t.csv").describe()[1] == {"not yet converted": "age, port"}
    rows = {"age": [31.0], "port": ["Cobh"]}
    assert anynet.read_table(rows).describe()[1] == {"numbers": "age", "text": "port"}


def test_pictures_are_not_tables(tmp_path: Path) -> None:
    for start, kind in ((b"\x89PNG\r\n", "a PNG picture"), (b"\xff\xd8\xff\xe0", "a JPEG picture")):
        (tmp_path / "t.csv").write_bytes(start)
        with pytest.raises(DataError, match=kind):
            anynet.read_table(tmp_path / "t.csv")


def test_rows_without_a_target_are_dropped(rows: dict[str, Any]) -> None:
    price = [None if i < 7 else str(v) for i, v in enumerate(rows["price"])]
    price[7] = "dear"
    data = anynet.load_tabular_dataset(rows | {"price": price}, target="price")
    assert len(data.train[0]) + len(data.test[0]) == 92
    missing, invalid = data.notes
    assert re.search("^price: 7 rows .*no target", missing)
    assert re.search("^price: 1 rows .*not a number .*'dear' in row 8", invalid)


def test_a_separate_table_of_test_rows(rows: dict[str, Any]) -> None:
    new = {"sold": ["no", "often", "yes"], "size": [1, 2, None], "price": [1, 2, 3]}
    data = anynet.load_tabular_dataset(rows, target="sold", test=new)
    assert len(data.train[0]) == 100
    assert data.test[1].tolist() == [0, 1]
    assert len(data.notes) == 3
    assert all(note.startswith("test rows: ") for note in data.notes)
    assert re.search("sold: 1 of 3 rows .*'often' in row 2", data.notes[0])
    assert re.search("colour: .*no such column.* missing", data.notes[2])


def test_few_distinct_integers_are_classes_unless_the_task_is_given(rows: dict[str, Any]) -> None:
    rows["stars"] = np.arange(100) % 5
    data = anynet.load_tabular_dataset(rows, target="stars")
    assert data.classes == ("0", "1", "2", "3", "4")
    assert re.search("5 .*classes", data.notes[0])
    assert anynet.load_tabular_dataset(rows, target="stars", task="regression").classes == ()
    assert anynet.load_tabular_dataset(rows, target="stars", task="classification").notes == ()


def test_rare_categories_are_reported(rows: dict[str, Any]) -> None:
    rows["town"] = [f"town {i % 60}" for i in range(100)]
    data = anynet.load_tabular_dataset(rows, target="price", columns={"town": "category"})
    assert re.search("^town: the 49 most frequent categories", data.notes[0])
    data = anynet.load_tabular_dataset(
        rows, target="price", columns={"town": "category"}, test=rows
    )
    known = rows["town"]
    assert data.preprocessing.encode(rows | {"town": known})[1] == []  # also the rare categories
    (note,) = data.preprocessing.encode(rows | {"town": ["Rome", *known[1:]]})[1]
    assert re.search("town: 1 of 100 rows .*category .*'Rome'", note)
    config = data.preprocessing.to_config()
    assert Preprocessing.from_config(json.loads(json.dumps(config))) == data.preprocessing
    earlier = {name: value for name, value in config.items() if name != "marks"}
    assert Preprocessing.from_config(earlier).marks == {}


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({}, {"target": "prise"}, DataError, "has no column 'prise'; did you mean 'price'?"),
        ({}, {"target": "zzz"}, DataError, "it has 'size', 'colour', 'price', 'sold'"),
        ({"sold": ["no"] * 100}, {"target": "sold"}, DataError, "has one class, 'no'"),
        ({"price": [1.5] * 100}, {"target": "price"}, DataError, "1.5 in every row"),
        ({"price": [""] * 100}, {"target": "price"}, DataError, "holds no value"),
        ({"price": ["-", "None"] * 50}, {"target": "price"}, DataError, "holds no value"),
        ({"price": [1e308, -1e308] * 50}, {"task": "regression"}, DataError, "as large as 1e+308"),
        ({"price": [0, 5e-324] * 50}, {"task": "regression"}, DataError, "as close to each other"),
        ({}, {"target": "colour", "task": "regression"}, DataError, "holds no number, but text"),
        ({}, {"task": "classification"}, DataError, "task='regression'"),
        (
            {},
            {"task": "clustering"},
            InvalidArgumentError,
            "task must be one of 'classification', 'regression'",
        ),
        ({}, {"test": 1.0}, InvalidArgumentError, "test must be a share in [0, 1)"),
        ({}, {"test": "none.csv"}, DataError, "cannot read 'none.csv': No such file"),
        (
            {},
            {"columns": dict.fromkeys(("size", "colour", "sold"), "ignored")},
            DataError,
            "no column to predict 'price' from: 'size' is ignored: as you requested",
        ),
    ],
)
def test_tables_that_cannot_be_learnt_raise(
    rows: dict[str, Any],
    change: dict[str, Any],
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error) as caught:
        anynet.load_tabular_dataset(rows | change, **{"target": "price"} | arguments)
    assert message in str(caught.value)


def test_invalid_mappings_of_columns_raise() -> None:
    with pytest.raises(InvalidArgumentError, match="the same number of values"):
        anynet.Table.of({"a": [1], "b": [1, 2]})
    with pytest.raises(InvalidArgumentError, match=r"mapping.* got int"):
        anynet.read_table(3)
    with pytest.raises(InvalidArgumentError, match="a must be numbers, booleans, text or dates"):
        anynet.Table.of({"a": [[1, 2]]})


def test_load_dataset_raises_for_tables_with_the_function_to_use(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"is a table: .*anynet"):
        anynet.load_dataset(tmp_path / "x.csv")


@pytest.mark.parametrize("start", [b"\x1f\x8b", b"PK\x03\x04"])
def test_compressed_files_and_folders_raise(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(start)
    with pytest.raises(DataError, match=r"compressed.* CSV"):
        anynet.read_table(tmp_path / "x.csv")
    with pytest.raises(DataError, match="is a folder"):
        anynet.read_table(tmp_path)


def test_training_files_are_recognised_by_their_content(
    tmp_path: Path, rows: dict[str, Any]
) -> None:
    path = tmp_path / "x.csv"
    columns = zip(*rows.values(), strict=True)
    path.write_text(
        f"{','.join(rows)}\n" + "".join(f"{a},{b},{c!r},{d}\n" for a, b, c, d in columns)
    )
    data = anynet.load_tabular_dataset(path, target="sold", test=0.25, seed=3)
    network = anynet.mlp([data.n_inputs, data.n_outputs])
    model = anynet.fit(network, data.train, epochs=1, backend="numpy", metadata=data.metadata)
    (tmp_path / "copy.csv").write_bytes(path.read_bytes())
    table, what = rows_to_score(model, tmp_path / "copy.csv")
    assert what == "rows that training held out"
    np.testing.assert_array_equal(Preprocessing.of(model).encode(table)[0], data.test[0])
    path.write_text(path.read_text().replace("red", "blue"))
    table, what = rows_to_score(model, path)
    assert (table.n_rows, what) == (100, "rows")


def test_wide_tables_parse_each_column_once_or_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    width = 300
    path = tmp_path / "wide.csv"
    numbers = rng.normal(size=(40, width))
    lines = [",".join(f"c{i}" for i in range(width)) + ",y"]
    lines += [",".join([*map(str, row), "ab"[i % 2]]) for i, row in enumerate(numbers)]
    path.write_text("\n".join(lines))
    parsed: list[int] = []

    def counted(column: np.ndarray) -> Any:
        parsed.extend([1] * (column.dtype.kind != "f"))
        return to_numbers(column)

    for module in ("kinds", "load", "target"):
        monkeypatch.setattr(f"anynet.data.tables.{module}.to_numbers", counted)
    monkeypatch.setattr("anynet.data.tables.encoders.Number.read", staticmethod(counted))
    data = anynet.load_tabular_dataset(path, target="y")
    assert data.n_inputs == width
    assert len(parsed) <= 2 * width + 10
    parsed.clear()
    data.preprocessing.encode(anynet.read_table(path))
    assert len(parsed) <= width


def test_many_renamed_columns_are_not_compared_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = {f"c{i}": [0.5, 1, 2.5] * 10 for i in range(300)} | {"y": ["a", "b", "a"] * 10}
    data = anynet.load_tabular_dataset(rows, target="y")
    compared = []
    monkeypatch.setattr(
        "difflib.get_close_matches", lambda _, names, **__: compared.append(len(names)) or []
    )
    new = {f"d{i}": [1, 2] for i in range(300)} | {"c0": [1, 2]}
    x, notes = data.preprocessing.encode(new)
    assert x.shape == (2, data.n_inputs)
    assert len(notes) == 300
    assert sum(compared) <= 20 * 300


CELLS = st.sampled_from(["", "1", "2.5", "-3", "1e308", "-1e308", "5e-324", "007", "inf", "1,5"])
WORDS = st.sampled_from(["red", "blue", "2024-05-31", "0001-01-01", "9999-12-31", "yes", "No"])
ODD_CELLS = st.sampled_from(
    ["-", "None", r"\N", "1.0", "12%", "3/11/24", str(2**60 + 1), "-0", "1e-999"]
)


@settings(max_examples=300)
@given(data=st.data(), n=st.integers(1, 12))
def test_arbitrary_tables_give_a_data_set_or_an_error_of_anynet(
    data: st.DataObject, n: int
) -> None:
    column = st.lists(CELLS | WORDS | ODD_CELLS | st.text(max_size=3), min_size=n, max_size=n)
    columns = data.draw(st.dictionaries(st.sampled_from("abc"), column))
    task = data.draw(st.sampled_from([None, "regression", "classification"]))
    kinds = data.draw(
        st.dictionaries(st.sampled_from(sorted(columns) or "a"), st.sampled_from(KINDS))
    )
    try:
        table = anynet.Table.of(columns | {"y": data.draw(column)})
        found = anynet.load_tabular_dataset(table, target="y", task=task, columns=kinds)
    except anynet.AnynetError:
        return
    assert found.preprocessing is not None
    for x, y in (found.train, found.test):
        assert x.shape == (len(y), found.n_inputs)
        assert np.isfinite(x).all()
        assert np.isfinite(y).all()
    again = Preprocessing.from_config(json.loads(json.dumps(found.preprocessing.to_config())))
    assert again == found.preprocessing
    np.testing.assert_array_equal(
        again.decode(found.test[1]), found.preprocessing.decode(found.test[1])
    )


def test_scores_are_close_to_scikit_learns_mlp() -> None:
    """Compare the defaults of the command line on scikit-learn's bundled tables."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    for name in ("wine", "breast_cancer", "diabetes"):
        bunch = getattr(datasets, f"load_{name}")()
        rows = dict(zip(bunch.feature_names, bunch.data.T, strict=True)) | {"y": bunch.target}
        data = anynet.load_tabular_dataset(rows, target="y")
        kind = MLPClassifier if data.classes else MLPRegressor
        oracle = kind(hidden_layer_sizes=(32,), random_state=0, early_stopping=True, max_iter=200)
        model = anynet.fit(
            anynet.mlp([data.n_inputs, 32, data.n_outputs]),
            data.train,
            validation=0.2,
            epochs=60,
            patience=20,
            batch_size=32,
            optimizer="adam",
            learning_rate=0.005,
            backend="numpy",
        )
        assert model.score(*data.test) > oracle.fit(*data.train).score(*data.test) - 0.05
