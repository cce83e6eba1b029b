"""Preprocessing of raw rows: deviations from the training rows are reported and handled."""

import copy
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import anynet
from anynet.backends import Backend
from anynet.data.tables import Preprocessing, Table
from anynet.errors import DataError, ModelFileError

ROWS: dict[str, Any] = {
    "id": list(range(24)),
    "size": [float(i % 7) for i in range(23)] + [None],
    "colour": ["red", "blue", "green"] * 8,
    "bought": ["2024-05-31", "2023-01-01"] * 12,
    "new": ["yes", "no", "no", "no"] * 6,
    "price": [10.0 * (i % 7) + 50.5 for i in range(24)],
}


@pytest.fixture(scope="module")
def data() -> anynet.Dataset:
    return anynet.load_tabular_dataset(ROWS, target="price")


@pytest.fixture(scope="module")
def preprocessing(data: anynet.Dataset) -> Preprocessing:
    assert data.preprocessing is not None
    return data.preprocessing


def test_preprocessing_round_trips_through_json(preprocessing: Preprocessing) -> None:
    config = json.loads(json.dumps(preprocessing.to_config()))
    again = Preprocessing.from_config(config)
    assert again == preprocessing
    np.testing.assert_array_equal(again.encode(ROWS)[0], preprocessing.encode(ROWS)[0])


def test_the_order_of_columns_does_not_affect_the_result(preprocessing: Preprocessing) -> None:
    x, notes = preprocessing.encode(ROWS)
    mixed = {name: ROWS[name] for name in reversed(ROWS)}
    np.testing.assert_array_equal(preprocessing.encode(mixed)[0], x)
    assert notes == []


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"colour": ["pink", "red", "pink"]}, r"^colour: 2 of 3 rows .*categor"),
        ({"colour": ["pink", "red", "pink"]}, r"^colour: .*'pink' in row 1"),
        ({"colour": ["", "red", "red"]}, r"^colour: 1 of 3 rows .*no value"),
        ({"size": ["3", "big", "4"]}, r"^size: 1 of 3 rows .*number .*'big' in row 2"),
        ({"bought": ["1.5.24", "x", ""]}, r"^bought: 2 of 3 rows .*date .*'1\.5\.24' in row 1"),
        ({"new": ["maybe", "no", True]}, r"^new: 1 of 3 rows .*boolean .*'maybe' in row 1"),
        ({"size": None}, r"^size: .*no such column.* missing"),
        ({"size": None, "Size": [1, 2, 3]}, r"^size: .*did you mean 'Size'\?"),
        ({"size": None, "Size": [1, 2, 3]}, r"no column 'Size': ignored"),
        ({"size": ["3", "-", "."]}, r"^size: 2 of 3 rows .*placeholder .*'-' in row 2"),
        ({"size": [2**60 + 1, 1, "x"]}, r"^size: 1 of 3 rows .*number .*'x' in row 3"),
        ({"new": ["None", "no", 2]}, r"^new: 1 of 3 rows .*boolean .*'2' in row 3"),
        ({"colour": [1.0, 2.0, None]}, r"^colour: 2 of 3 rows .*categor"),
        ({"weight": [1, 2, 3], "b": [1, 2, 3]}, r"no column 'weight', 'b': ignored"),
    ],
)
def test_deviations_from_the_training_rows_are_reported(
    preprocessing: Preprocessing, change: dict[str, Any], fact: str
) -> None:
    new = {name: values[:3] for name, values in ROWS.items()} | change
    table = Table.of({name: values for name, values in new.items() if values is not None})
    x, notes = preprocessing.encode(table)
    assert any(re.search(fact, note) for note in notes), notes
    assert x.shape == (3, preprocessing.n_inputs)
    assert np.all(np.isfinite(x))
    with pytest.warns(UserWarning, match=r".") as caught:
        np.testing.assert_array_equal(preprocessing.transform(table), x)
    assert [str(each.message) for each in caught] == notes


def test_only_new_columns_are_suggested_for_a_missing_column() -> None:
    columns = ("income", "incomes", "outcome", "age")
    rows: dict[str, Any] = {name: [0.5 * (i % 7) for i in range(40)] for name in columns}
    rows["incomer"] = [f"name {i}" for i in range(40)]  # this column is ignored
    data = anynet.load_tabular_dataset(rows | {"ages": ["a", "b"] * 20}, target="ages")
    assert data.preprocessing is not None
    for absent in columns:
        new = {name: values for name, values in rows.items() if name != absent}
        _, notes = data.preprocessing.encode(new | {"ages": ["a", "b"] * 20})
        assert [note for note in notes if "did you mean" in note] == []
        assert any(note.startswith(f"{absent}: there is no such column") for note in notes)
    with pytest.raises(DataError, match="has no column 'ages': it has"):
        data.preprocessing.labels(Table.of(rows))
    with pytest.raises(DataError, match="did you mean 'aged'"):
        data.preprocessing.labels(Table.of(rows | {"aged": [1] * 40}))


def test_configurations_without_rare_categories_are_read(preprocessing: Preprocessing) -> None:
    config = preprocessing.to_config()
    for column in config["columns"]:
        column.pop("rare", None)
    assert Preprocessing.from_config(config) == preprocessing


def test_ignored_columns_may_be_missing(preprocessing: Preprocessing) -> None:
    without = {name: values for name, values in ROWS.items() if name not in ("id", "price")}
    assert preprocessing.encode(without)[1] == []


def test_a_table_with_other_columns_raises(preprocessing: Preprocessing) -> None:
    with pytest.raises(DataError, match=r"none of the columns .*expected 'size'"):
        preprocessing.encode({"a": [1], "price": [1]})


def test_column_types_of_files_may_differ_from_training(preprocessing: Preprocessing) -> None:
    """A column has its type from training, independent of its type in a file."""
    typed = Table.of(ROWS | {"new": [True, False, False, False] * 6})
    text = Table.of({name: ["" if v is None else str(v) for v in ROWS[name]] for name in ROWS})
    x, _ = preprocessing.encode(ROWS)
    for table in (typed, text):
        np.testing.assert_array_equal(preprocessing.encode(table)[0], x)


def damaged(config: Any, *path: Any, value: Any) -> Any:
    config = copy.deepcopy(config)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),  # which has an encoding
        (("version",), 3),
        (("target", "task"), "clustering"),
        (("target", "scale"), 0),
        (("target", "scale"), float("nan")),
        (("target", "mean"), "1"),
        (("columns",), None),
        (("columns", 0, "kind"), "image"),
        (("columns", 0, "center"), True),
        (("columns", 0, "extra"), 1),
        (("columns", 0), 3),
        (("columns", 1, "levels"), "red"),
        (("columns", 1, "levels"), [1, 2, 3]),
        (("columns", 2, "center"), 1e300),
        (("columns",), []),
        (("ignored",), 3),
    ],
)
def test_invalid_configurations_raise(
    preprocessing: Preprocessing, path: tuple[Any, ...], value: Any
) -> None:
    with pytest.raises(ModelFileError, match="describe its table"):
        Preprocessing.from_config(damaged(preprocessing.to_config(), *path, value=value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(place=st.sampled_from(["version", "target", "columns", "ignored"]), value=JSON)
def test_arbitrary_json_gives_a_preprocessing_or_an_error_of_anynet(
    preprocessing: Preprocessing, place: str, value: Any
) -> None:
    config = preprocessing.to_config() | {place: value}
    try:
        Preprocessing.from_config(config)
    except ModelFileError:
        pass
    else:
        assert place in ("version", "ignored", "columns")


def test_a_model_accepts_raw_rows_on_every_backend(
    data: anynet.Dataset, backend: Backend, tmp_path: Any
) -> None:
    network = anynet.mlp([data.n_inputs, 8, data.n_outputs])
    model = anynet.fit(network, data.train, epochs=3, backend="numpy", metadata=data.metadata)
    model.save(tmp_path / "model.safetensors")
    table = anynet.Table.of(ROWS)
    expected = data.preprocessing.decode(model.predict(data.preprocessing.encode(table)[0]))
    loaded = anynet.load(tmp_path / "model.safetensors", backend)
    np.testing.assert_allclose(loaded.predict(table), expected, rtol=1e-5)
    np.testing.assert_allclose(loaded.predict_mean(table)[:, 0], expected, rtol=1e-5)


def test_predicted_classes_have_their_names() -> None:
    data = anynet.load_tabular_dataset(ROWS, target="colour")
    network = anynet.mlp([data.n_inputs, 8, data.n_outputs])
    model = anynet.fit(network, data.train, epochs=1, backend="numpy", metadata=data.metadata)
    table = anynet.Table.of(ROWS)
    predicted, likely = model.predict(table), model.predict_proba(table)
    assert likely.shape == (24, 3)
    np.testing.assert_array_equal(
        predicted, np.array(["blue", "green", "red"])[likely.argmax(axis=1)]
    )


def test_a_model_trained_on_arrays_raises_for_tables() -> None:
    model = anynet.fit(anynet.mlp([1, 1]), ([[0.0], [1.0]], [0.5, 1.5]), epochs=1, backend="numpy")
    with pytest.raises(ModelFileError, match="was not trained on a table"):
        model.predict(Table.of({"a": [1.0]}))


def test_a_model_with_the_preprocessing_of_another_raises(data: anynet.Dataset) -> None:
    model = anynet.fit(
        anynet.mlp([1, 1]),
        ([[0.0], [1.0]], [0.5, 1.5]),
        epochs=1,
        backend="numpy",
        metadata=data.metadata,
    )
    with pytest.raises(ModelFileError, match="do not belong together"):
        model.predict(Table.of(ROWS))
