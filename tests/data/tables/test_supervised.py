"""Data in memory: x and y of every type as one table, with names, kinds and classes."""

import datetime
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.data.tables import Preprocessing, Table, table_of
from anynet.data.tables.target import measure_values
from anynet.errors import DataError, InvalidArgumentError

pd = pytest.importorskip("pandas")
N = 24
NUMBERS = [0.5 * (i % 7) for i in range(N)]
COLOURS = ["red", "blue", "green"] * 8
FLAGS = [True, False, False] * 8
DAYS = np.datetime64("2024-01-01") + np.arange(N) * 9 % 200
Y = ["no", "yes"] * 12
KINDS = {"size": "number", "colour": "category", "flag": "boolean", "day": "date"}


def frame(**more: Any) -> Any:
    columns = {"size": NUMBERS, "colour": COLOURS, "flag": FLAGS, "day": pd.Series(DAYS)}
    return pd.DataFrame(columns | more)


def kinds(x: Any, **options: Any) -> dict[str, str]:
    return {name: each.kind for name, each in table_of(x, **options).found.items()}


def frames() -> list[Any]:
    made = [frame(), dict(frame()), frame().convert_dtypes()]
    made.append(frame(colour=pd.Categorical(COLOURS), day=pd.Series(DAYS).dt.tz_localize("UTC")))
    for library in ("polars", "pyarrow"):
        module = pytest.importorskip(library)
        columns = {name: frame()[name].tolist() for name in ("size", "colour", "flag")}
        columns["day"] = [day.astype(datetime.date) for day in DAYS]
        made.append(module.table(columns) if library == "pyarrow" else module.DataFrame(columns))
    fields = [("size", float), ("colour", "U5"), ("flag", bool), ("day", "M8[D]")]
    made.append(np.array(list(zip(NUMBERS, COLOURS, FLAGS, DAYS, strict=True)), dtype=fields))
    return made


def test_frames_of_every_library_give_the_same_inputs() -> None:
    expected = None
    for x in frames():
        made = table_of(x, Y)
        assert {name: each.kind for name, each in made.found.items()} == KINDS, type(x)
        assert made.names == tuple(KINDS)
        assert made.classes is not None
        preprocessing = Preprocessing.fit(made.table, made.found, made.classes, "robust")
        encoded, notes = preprocessing.encode(x)
        assert notes == []
        expected = encoded if expected is None else expected
        np.testing.assert_array_equal(encoded, expected)


@pytest.mark.parametrize(
    "x",
    [
        np.array([NUMBERS, NUMBERS[::-1]]).T,
        np.array([NUMBERS, NUMBERS[::-1]], dtype=np.float32).T,
        np.array([NUMBERS, NUMBERS[::-1]], dtype=object).T,
        np.array([NUMBERS, NUMBERS[::-1]]).astype(str).T,
        [list(row) for row in zip(NUMBERS, NUMBERS[::-1], strict=True)],
        [*zip(NUMBERS, map(str, NUMBERS[::-1]), strict=True)],
        pd.DataFrame(np.array([NUMBERS, NUMBERS[::-1]]).T),
    ],
)
def test_rows_without_names_have_numbered_columns(x: Any) -> None:
    made = table_of(x, Y)
    assert made.names is None
    assert {name: each.kind for name, each in made.found.items()} == {"0": "number", "1": "number"}
    np.testing.assert_array_equal(made.table.columns["1"], NUMBERS[::-1])
    assert kinds(x, columns={1: "category"})["1"] == "category"


def test_rows_of_mixed_types_are_read_by_column() -> None:
    x = [[1.5, "a", True, None], [2.5, "b", False, 3], [None, "a", True, 4]] * 5
    expected = {"0": "number", "1": "category", "2": "boolean", "3": "number"}
    assert kinds(x) == kinds(np.array(x, dtype=object)) == expected


@pytest.mark.parametrize(
    ("x", "fact"),
    [
        (np.zeros(3), r"shape \(3,\).*reshape"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (5, "got int"),
        ([[1, 2], [3]], "from 1 to 2"),
        ([1, 2], "lists"),
        ([], "lists"),
    ],
)
def test_other_rows_raise(x: Any, fact: str) -> None:
    with pytest.raises(InvalidArgumentError, match=fact):
        table_of(x)


def test_sparse_matrices_raise_with_advice() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InvalidArgumentError, match="toarray"):
        table_of(sparse.eye(3).tocsr())


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a"] * 12, np.array(["a", "b"])),
        (np.array(["b", "a"] * 12, dtype=object), np.array(["a", "b"], dtype=object)),
        (pd.Series(["b", "a"] * 12), np.array(["a", "b"], dtype=object)),
        (pd.Series(pd.Categorical(["b", "a"] * 12)), np.array(["a", "b"], dtype=object)),
        ([3, -1, 10, 3] * 6, np.array([-1, 3, 10])),
        (np.array([3, 1] * 12, dtype=np.uint8), np.array([1, 3], dtype=np.uint8)),
        (np.array([[3], [1]] * 12), np.array([1, 3])),
        (pd.array([3, 1] * 12, dtype="Int64"), np.array([1, 3])),
        ([True, False] * 12, np.array([False, True])),
        (pd.array([True, False] * 12, dtype="boolean"), np.array([False, True])),
        ([1.0, 0.0] * 12, np.array([0.0, 1.0])),
        (np.array([0.1, 2.5] * 12, dtype=np.float32), np.array([0.1, 2.5], dtype=np.float32)),
        (["NA", "", " x", "None"] * 6, np.array(["", " x", "NA", "None"])),
    ],
)
def test_classes_keep_their_type_and_order(y: Any, classes: np.ndarray) -> None:
    made = table_of(frame(), y, task="classification")
    assert made.classes is not None
    assert made.classes.values.dtype == classes.dtype
    np.testing.assert_array_equal(made.classes.values, classes)
    preprocessing = Preprocessing.fit(made.table, made.found, made.classes)
    again = Preprocessing.from_config(preprocessing.to_config())
    labels, absent = again.labels(made.table)
    assert not absent.any()
    np.testing.assert_array_equal(again.decode(labels), np.asarray(y).ravel())
    assert again.decode(labels).dtype == classes.dtype


@pytest.mark.parametrize(
    "y",
    [
        NUMBERS,
        np.arange(N, dtype=np.int32),
        pd.Series(NUMBERS, dtype="Float64"),
        [True, False] * 12,
        [2**60 + i for i in range(N)],
    ],
)
def test_values_are_float64(y: Any) -> None:
    made = table_of(frame(), y, task="regression")
    assert made.classes is None
    column = made.table.columns[made.target]
    assert column.dtype == np.float64
    np.testing.assert_array_equal(column, np.asarray(y, dtype=np.float64))


@pytest.mark.parametrize(
    ("y", "task", "fact"),
    [
        ([1.0, np.nan] * 12, "regression", "12 missing.*row 2"),
        ([1.0, np.inf] * 12, "regression", "12 missing or infinite"),
        (["a", None] * 12, "classification", "12 missing.*row 2"),
        (pd.array([1, None] * 12, dtype="Int64"), None, "12 missing"),
        (["a", "b"] * 12, "regression", "numbers for regression"),
        (["a", 1] * 12, "classification", "text|one type"),
        (np.array(["a", 1] * 12, dtype=object), "classification", "one type"),
        ([3] * N, "classification", "two classes"),
        ([1, 2], None, "24 and 2"),
        (np.zeros((N, 2)), None, r"shape \(24, 2\)"),
        (DAYS, None, "datetime64"),
        ([], None, r"shape \(0,\)"),
    ],
)
def test_targets_that_cannot_be_learnt_raise(y: Any, task: str | None, fact: str) -> None:
    if fact.startswith("text"):
        y = [*y]
        assert table_of(frame(), y, task=task).classes is not None  # NumPy makes text of both
        return
    with pytest.raises(InvalidArgumentError, match=fact):
        table_of(frame(), y, task=task)


def test_the_name_of_the_target_is_free() -> None:
    y = pd.Series(Y, name="size")
    assert table_of(frame(), y).target == "size_"
    assert table_of(frame(y=1), Y).target == "y_"
    assert table_of(frame(), pd.Series(Y, name="sold")).target == "sold"


def test_tasks_are_inferred_from_y() -> None:
    assert table_of(frame(), Y).classes is not None
    assert table_of(frame(), [0, 1, 2] * 8).classes is not None
    assert table_of(frame(), [1.5, 2.5] * 12).classes is None
    assert table_of(frame(), [str(i % 3) for i in range(N)]).classes is not None


def test_kinds_can_be_chosen() -> None:
    assert kinds(frame(), columns={"size": "category", "day": "ignored"}) == KINDS | {
        "size": "category",
        "day": "ignored",
    }
    with pytest.raises(DataError, match="did you mean 'size'"):
        table_of(frame(), columns={"sise": "number"})


def test_whole_numbers_are_numbers_unless_categorical() -> None:
    few, many = [1, 2, 3] * 8, [i * 7 % 24 for i in range(N)]
    made = kinds(pd.DataFrame({"few": few, "many": many, "chosen": pd.Categorical(few)}))
    assert made == {"few": "number", "many": "number", "chosen": "category"}


def test_row_numbers_are_ignored_only_in_columns_with_names() -> None:
    count = np.arange(N)
    assert kinds({"t": count, "size": NUMBERS})["t"] == "ignored"
    assert kinds(count[:, None]) == {"0": "number"}


def test_names_that_are_not_text_are_not_reported() -> None:
    assert table_of(pd.DataFrame({0: NUMBERS, "a": NUMBERS})).names is None
    assert table_of(Table.of({"a": NUMBERS})).names == ("a",)


def test_predictions_are_clamped_to_the_range_of_training() -> None:
    values = np.array([1.0, 2.0, 5.0])
    target = measure_values("y", values, clamp=True)
    np.testing.assert_array_equal(target.decode(np.array([-9.0, 0.0, 9.0])), [1, values.mean(), 5])
    assert measure_values("y", values).decode(np.array([9.0]))[0] > 5


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_targets_of_any_unit_are_standardised(
    unit: float, offset: float, rng: np.random.Generator
) -> None:
    y = (rng.normal(size=200) + offset) * unit
    made = table_of({"a": rng.normal(size=200)}, y, task="regression")
    target = measure_values(made.target, made.table.columns[made.target], clamp=True)
    encoded, absent = target.encode(made.table.columns[made.target])
    assert not absent.any()
    assert encoded.dtype == np.float64
    np.testing.assert_allclose([encoded.mean(), encoded.std()], [0, 1], atol=1e-9)
    np.testing.assert_allclose(target.decode(encoded), y, rtol=1e-12)


def test_outliers_of_a_target_keep_the_precision_of_the_others(rng: np.random.Generator) -> None:
    y = rng.normal(size=200)
    y[0] = 1e9
    target = measure_values("y", y)
    np.testing.assert_allclose(target.decode(target.encode(y)[0]), y, atol=1e-6)


def test_a_constant_target_is_every_prediction_if_allowed() -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        measure_values("y", np.full(9, 0.1))
    target = measure_values("y", np.full(9, 0.1), constant=True)
    np.testing.assert_array_equal(target.encode(np.full(9, 0.1))[0], 0)
    np.testing.assert_array_equal(target.decode(np.array([-3.0, 0, 3])), 0.1)


def test_bounds_of_a_file_must_be_ordered() -> None:
    config = {"kind": "regression", "column": "y", "mean": 0.0, "scale": 1.0}
    made = anynet.config.from_config("target", config | {"bounds": [0.0, 1.0]})
    assert made.bounds == (0, 1)
    with pytest.raises(InvalidArgumentError, match="bounds"):
        anynet.config.from_config("target", config | {"bounds": [1.0, 0.0]})
