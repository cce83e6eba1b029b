"""Column types: detected or given."""

from typing import Any

import numpy as np
import pytest

from anynet.data.tables import Table
from anynet.data.tables.kinds import infer, infer_kinds
from anynet.data.tables.marked import infer_marks
from anynet.data.tables.target import find_classes, infer_task
from anynet.data.tables.values import to_days, to_numbers
from anynet.errors import DataError, InvalidArgumentError

LETTERS = "abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, None, 3], "number"),
        (["1", "2.5", "", "-3e4"], "number"),
        (["1"] * 18 + ["2", "x"], "number"),  # one in twenty is a typo
        (["1"] * 8 + ["x", "y"], "category"),
        (["7", "007"], "category"),  # leading zeros indicate codes
        (["0.5", "0"], "number"),
        (["1_0", "2_0"], "category"),
        ([True, False, True], "boolean"),
        (["yes", "No", ""], "boolean"),
        (["yes", "perhaps"], "category"),
        (["2024-05-31", "2023-01-01", ""], "date"),
        (["2024-05-31T10:00:00Z", "2023-01-01 11:30"], "date"),
        (np.array(["2024-05-31", "NaT"], dtype="M8[ns]"), "date"),
        (["2024-05-31 10:00:00 UTC", "2023-01-01 10:00 GMT"], "date"),
        (["31.05.2024", "01.01.2023"], "category"),
        (["red", "blue", "red"], "category"),
        (list(LETTERS[:10]), "category"),  # few values, although all are different
        (list(LETTERS) * 2, "category"),
        (list(LETTERS), "ignored"),
        ([3, 3, 3], "ignored"),
        ([3, 3, None], "number"),
        (["", None, "NA"], "ignored"),
        ([None, None], "ignored"),
        (list(range(1, 21)), "ignored"),
        (list(range(2000, 2020)), "number"),  # years, not row numbers
        (list(range(20))[::-1], "number"),
        ([1, 1.7e308, -1.7e308] * 4, "number"),
        ([2**53 + i for i in range(20)], "ignored"),  # identifiers
        ([str(2**53 + i % 5) for i in range(20)], "category"),
        ([2**53 + 1, *range(20)], "number"),
        (["-", ".", "None"], "ignored"),
        (["+", "-"], "category"),
        (["red", "-", "None"], "category"),
    ],
)
def test_column_types_are_detected(values: Any, kind: str) -> None:
    assert infer(Table.of({"a": values}), "a").kind == kind


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([f"{i + 1:02}.05.2024" for i in range(20)], "write dates as 2024-05-31"),
        ([f"$ {i},000.00" for i in range(20)], "write numbers as 1234.5"),
        ([f"{i} and so on" for i in range(20)], "20 different values in 20 rows, such as '0 and"),
        ([""] * 3, "it is empty"),
        (["x"] * 3, "it has one value only"),
        (list(range(20)), "it numbers the rows"),
    ],
)
def test_ignored_columns_are_reported_with_the_reason(values: Any, reason: str) -> None:
    found = infer(Table.of({"a": values}), "a")
    assert found.kind == "ignored"
    assert reason in found.reason


@pytest.mark.parametrize(
    "marker",
    [
        *("-nan", "-NaN", "#NA", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND", "#N/A", "#N/A N/A"),
        *("<NA>", "N/A", "NA", "n/a", "NULL", "null", "NaN", "nan", "None", "none", ""),
        *("-", "--", ".", "..", r"\N", "?", "NaT", "n.a.", "#DIV/0!", "#VALUE!"),
    ],
)
def test_a_column_with_many_missing_values_keeps_its_type(marker: str) -> None:
    for cells, kind in (
        ([f"{i}.5" for i in range(20)], "number"),
        ([f"{i * 3}" for i in range(20)], "number"),
        ([f"2024-05-{i + 1:02}" for i in range(20)], "date"),
        (["yes", "no"] * 10, "boolean"),
    ):
        table = Table.of({"a": [marker if i % 2 else cell for i, cell in enumerate(cells)]})
        assert infer(table, "a").kind == kind
    numbers, bad = to_numbers(Table.of({"a": ["1", marker, "2"]}).columns["a"])
    np.testing.assert_array_equal(numbers, [1, np.nan, 2])
    assert not bad.any()


def test_large_integers_as_inputs_are_reported() -> None:
    table = Table.of(
        {"few": [2**60, *range(19)], "ids": [2**60 + i for i in range(20)], "y": 20 * [1]}
    )
    found = infer_kinds(table, "y")
    assert "1 of its whole numbers are beyond 2^53" in found["few"].reason
    assert "identifiers" in found["ids"].reason
    wanted = infer_kinds(table, "y", {"ids": "number"})["ids"]
    assert (wanted.kind, wanted.reason[:9]) == ("number", "20 of its")


def test_decimal_commas_are_numbers_only_if_the_decimal_separator_is_given() -> None:
    table = Table.of({"a": ["1,5", "-2", "1.234,5", "1,2,3"]})
    given, _ = infer_marks(table, ",", "", {"a": "number"})
    values, bad = to_numbers(given.columns["a"])
    np.testing.assert_array_equal(values, [1.5, -2, np.nan, np.nan])
    np.testing.assert_array_equal(bad, [False, False, True, True])
    np.testing.assert_array_equal(to_numbers(table.columns["a"])[1], [True, False, True, True])


@pytest.mark.parametrize("cell", ["1e999", "1_0", "0x10", "twelve"])
def test_invalid_numbers_are_missing_values(cell: str) -> None:
    values, bad = to_numbers(Table.of({"a": [cell, "1", ""]}).columns["a"])
    np.testing.assert_array_equal(values, [np.nan, 1, np.nan])
    np.testing.assert_array_equal(bad, [True, False, False])


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "+INF", "1.#INF", "+nan"])
@pytest.mark.parametrize("other", ["2.5", "x"])  # converted at once, and one by one
def test_infinity_is_missing_in_text_and_in_arrays(cell: str, other: str) -> None:
    values, bad = to_numbers(Table.of({"a": [cell, "1", other]}).columns["a"])
    np.testing.assert_array_equal(values, [np.nan, 1, 2.5 if other == "2.5" else np.nan])
    np.testing.assert_array_equal(bad, [False, False, other == "x"])
    table = Table.of({"a": [cell, "1.5", "2.5"] * 6, "y": [1, 2, 3] * 6})
    assert infer(table, "a").kind == "number"


def test_dates_are_days_since_1970() -> None:
    cells = ["1970-01-02", "1970-01-01T12:00", "1970-01-01 01:00:00+01:00", "31.12.1970", ""]
    cells += ["1970-01-01 12:00:00 UTC", "1970-01-01T12:00 gmt", "1970-01-01 01:00 +0100"]
    cells += ["1970-01-01 12:00 CET", "1970-01-01 01:00:00 +0100 UTC"]
    values, bad = to_days(Table.of({"a": cells}).columns["a"])
    np.testing.assert_array_equal(values, [1, 0.5, 0, np.nan, np.nan, 0.5, 0.5, 0, np.nan, 0])
    np.testing.assert_array_equal(np.flatnonzero(bad), [3, 8])


def test_given_column_types_override_detection() -> None:
    table = Table.of({"zip": [1, 2, 1], "id": ["a", "b", "c"], "y": [1, 2, 3]})
    found = infer_kinds(table, "y", {"zip": "category", "id": "ignored"})
    assert {name: each.kind for name, each in found.items()} == {"zip": "category", "id": "ignored"}


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        ({"zp": "category"}, DataError, "no column 'zp'; did you mean 'zip'?"),
        ({"ZIP": "category"}, DataError, "did you mean 'zip'?"),
        ({"zip": "categry"}, InvalidArgumentError, "got 'categry'; did you mean 'category'?"),
        ({"y": "number"}, InvalidArgumentError, "'y' is the target"),
        ({"id": "number"}, DataError, "the column 'id' has no value that is a number"),
        ({"id": "date"}, DataError, "the column 'id' has no value that is a date"),
    ],
)
def test_invalid_given_column_types_raise(
    wanted: dict[str, str], error: type[Exception], message: str
) -> None:
    table = Table.of({"zip": [1, 2], "id": ["a", "b"], "y": [1, 2]})
    with pytest.raises(error) as caught:
        infer_kinds(table, "y", wanted)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "classification"),
        ([0, 1] * 3, "classification"),
        ([0, 1, 2] * 10, "classification"),
        ([0, 1, 2], "regression"),  # too few rows for classes
        (list(range(11)) * 9, "regression"),
        ([0.5, 1.5] * 9, "regression"),
        ([True, False], "classification"),
        (["1"] * 19 + ["2.5", "dear"], "regression"),
    ],
)
def test_the_task_is_detected_from_the_target(values: Any, task: str) -> None:
    assert infer_task(Table.of({"y": values}), "y") == task


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "a", "b", "a"], ("a", "b")),
        (["10", "9", "10", "9"], ("9", "10")),  # in numeric order
        (["01", "2", "01", "2"], ("01", "2")),  # as written in the file
        (["1", "1.0", "2", "2"] * 2, ("1", "1.0", "2")),  # as written, although equal
        ([2.0, 0.5, 2.0, 0.5], ("0.5", "2")),
    ],
)
def test_class_names_are_kept_as_written(values: Any, levels: tuple[str, ...]) -> None:
    table = Table.of({"y": values})
    classes = find_classes(table, "y")
    assert classes.levels == levels
    labels, absent = classes.encode(table.columns["y"])
    assert not absent.any()
    assert set(classes.decode(labels).tolist()) == set(levels)
    column = Table.of({"y": ["other", "", levels[0]]}).columns["y"]
    np.testing.assert_array_equal(classes.encode(column)[1], [True, True, False])
