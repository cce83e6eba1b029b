"""Text that looks like numbers or dates gets a hint with a typical cell as the example."""

from typing import Any

import numpy as np
import pytest

import anynet
from anynet.data.tables import Table
from anynet.data.tables.hints import rewriting, typical
from anynet.data.tables.kinds import infer
from anynet.errors import DataError

N = 60
ODD = ["#REF!", "0.0.0000", "n.d."]
NUMBERS = {
    "percent": [f"{i % 7}%" for i in range(N)],
    "percent with a space": [f"{i / 8} %" for i in range(N)],
    "dollars": [f"${i * 1234:,}.00" for i in range(N)],
    "euros": [f"{i},50 €" for i in range(N)],
    "currency code": [f"USD {i % 9}" for i in range(N)],
    "negative amounts": [f"(${i}.00)" if i % 2 else f"${i}.00" for i in range(N)],
    "kilograms": [f"{i % 9} kg" for i in range(N)],
    "units of two sizes": [f"{i} {'kg' if i % 2 else 'g'}" for i in range(N)],
    "multiples": [f"{i}{'M' if i % 2 else 'k'}" for i in range(N)],
    "Swiss thousands": [f"{i + 1}'016" for i in range(N)],
    "an odd one out": [ODD[0], *(f"{i % 7}%" for i in range(N - 1))],
    "some are plain": [f"{i % 7}{'%' if i % 3 else ''}" for i in range(N)],
}
DATES = {
    "month first": [f"{1 + i % 12:02}/11/2024" for i in range(N)],
    "day first": [f"{1 + i % 28:02}.01.2023" for i in range(N)],
    "two digits": [f"{1 + i % 28}-1-23" for i in range(N)],
    "slashes": [f"2024/05/{1 + i % 28:02}" for i in range(N)],
    "name of the month": [f"{1 + i % 28} May 2024" for i in range(N)],
    "American": [f"Jan {1 + i % 28}, 2024" for i in range(N)],
    "mail": [f"Mon, {1 + i % 28:02} Jan 2024 10:00:00" for i in range(N)],
    "month": [f"{2000 + i % 20}-05" for i in range(N)],
    "zone by name": [f"2024-05-{1 + i % 28:02} 10:00 CET" for i in range(N)],
    "an odd one out": [*ODD[1:], *(f"0{1 + i % 9}/11/2024" for i in range(N - 2))],
}


@pytest.mark.parametrize(
    ("cells", "how"),
    [
        *((cells, "write numbers as 1234.5") for cells in NUMBERS.values()),
        *((cells, "write dates as 2024-05-31") for cells in DATES.values()),
    ],
    ids=[*NUMBERS, *DATES],
)
def test_numbers_and_dates_in_other_notations_get_a_hint(cells: list[str], how: str) -> None:
    column = Table.of({"a": cells}).columns["a"]
    found = infer(Table.of({"a": cells}), "a")
    assert found.kind in ("category", "ignored")
    hint = rewriting(column)
    assert hint is not None
    assert hint[1] == how in found.reason
    assert repr(hint[0]) in found.reason
    assert hint[0] not in ODD


@pytest.mark.parametrize(
    "cells",
    [
        [f"A{i % 30}" for i in range(N)],
        [["1st", "2nd", "3rd"][i % 3] for i in range(N)],
        [f"{i}{'abc'[i % 3]}" for i in range(N)],
        [f"10.0.{i}.1" for i in range(N)],
        [f"{i % 5 * 10}-{i % 5 * 10 + 9}" for i in range(N)],
        [f"town {i}" for i in range(N)],
        [f"0{1000 + i % 9}" for i in range(N)],
        [f"2.{i % 4}.{i % 7}" for i in range(N)],
        [f"{i % 24:02}:30" for i in range(N)],
        ["red", "blue"] * 30,
    ],
)
def test_codes_and_words_get_no_hint(cells: list[str]) -> None:
    assert rewriting(Table.of({"a": cells}).columns["a"]) is None
    assert "write" not in infer(Table.of({"a": cells}), "a").reason


def test_the_hint_contains_the_word_for_missing_numbers() -> None:
    for cells in (
        ["unknown" if i % 4 == 0 else str(i % 9) for i in range(N)],
        ["unknown" if i % 4 == 0 else str(i) for i in range(N)],
    ):
        found = infer(Table.of({"a": cells}), "a")
        assert "'unknown'" in found.reason
        assert "missing ones as empty cells" in found.reason


def test_the_typical_cell_has_the_most_frequent_shape() -> None:
    cells = ["!", "12 kg", "n", "7 kg", "3.5 kg", "18 lb"]
    assert typical(Table.of({"a": cells}).columns["a"]) == "12 kg"


def test_hints_appear_in_notes_and_errors() -> None:
    rows: dict[str, Any] = {"x": np.arange(N) % 5.0, "rate": NUMBERS["percent"]}
    rows |= {"y": [f"{i}%" for i in range(N)], "label": [f"{i % 3}%" for i in range(N)]}
    data = anynet.load_tabular_dataset(rows, target="label", columns={"y": "ignored"})
    assert any("rate is used as a category: write numbers" in note for note in data.notes)
    assert any("label: write numbers as 1234.5, not as '0%'" in note for note in data.notes)
    for arguments in (
        {"target": "y"},
        {"target": "y", "task": "regression"},
        {"target": "x", "columns": {"rate": "number"}},
    ):
        with pytest.raises(DataError, match=r"write numbers as 1234\.5") as caught:
            anynet.load_tabular_dataset(rows, **arguments)
        assert "'0%'" in str(caught.value)
