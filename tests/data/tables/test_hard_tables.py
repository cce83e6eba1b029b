"""Tables that are hard to encode: every encoding has finite, bounded inputs for them."""

from typing import Any

import numpy as np
import pytest

from anynet.data.tables import Preprocessing, table_of
from anynet.data.tables.encodings import ENCODINGS
from anynet.errors import DataError

N = 300


def columns_of(rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    dates = np.datetime64("2024-01-01") + rng.integers(0, 900, N)
    text = [*dates.astype(str)]
    text[::5] = [""] * len(text[::5])
    missing = dates.copy()
    missing[::5] = np.datetime64("NaT", "D")
    number = rng.normal(size=N)
    return {
        "all missing": {"a": [None] * N, "b": [np.nan] * N, "c": [""] * N, "n": number},
        "constant": {"a": [3.0] * N, "b": ["x"] * N, "n": number},
        "duplicate": {"n": number, "m": number},
        "wide": {f"c{i}": rng.normal(size=N) for i in range(500)},
        "one column": {"n": number},
        "infinite": {"n": np.where(rng.random(N) < 0.1, np.inf, number), "m": number},
        "heavy tails": {"n": rng.standard_cauchy(N) * 1e3, "m": np.exp(rng.normal(size=N) * 50)},
        "names": {"id": [f"row {i}" for i in range(N)], "n": number},
        "free text": {"t": [f"{i} was bought with {i % 7}" for i in range(N)], "n": number},
        "dates as text": {"d": text},
        "dates": {"d": missing},
        "many levels": {"w": rng.choice([f"w{i}" for i in range(100)], N)},
        "rare value": {"n": np.arange(N) == 7, "m": number},
    }


@pytest.mark.parametrize("name", columns_of(np.random.default_rng(0)))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_inputs_are_finite_and_bounded(name: str, encoding: str, rng: np.random.Generator) -> None:
    x = columns_of(rng)[name]
    made = table_of(x, rng.integers(0, 2, N), task="classification")
    assert made.classes is not None
    train = made.table.take(np.arange(0, N, 2))
    preprocessing = Preprocessing.fit(train, made.found, made.classes, encoding)
    encoded, _ = preprocessing.encode(made.table)
    assert encoded.shape == (N, preprocessing.n_inputs)
    assert np.all(np.isfinite(encoded))
    assert np.all(np.abs(encoded[:, : preprocessing.n_inputs - len(preprocessing.levels)]) <= 5.2)
    if preprocessing.n_numbers:
        assert encoded[:, 0].std() > 0.1


def test_columns_without_information_are_ignored_with_a_reason(rng: np.random.Generator) -> None:
    tables = columns_of(rng)
    for name, ignored in (
        ("all missing", {"a", "b", "c"}),
        ("constant", {"a", "b"}),
        ("names", {"id"}),
        ("free text", {"t"}),
    ):
        found = table_of(tables[name]).found
        assert {column for column, each in found.items() if each.kind == "ignored"} == ignored
        assert all(found[column].reason for column in ignored)


@pytest.mark.parametrize("name", ["dates", "dates as text"])
def test_dates_with_missing_values_are_dates(name: str, rng: np.random.Generator) -> None:
    made = table_of(columns_of(rng)[name], rng.normal(size=N))
    assert made.found["d"].kind == "date"
    assert np.mean(made.table.missing("d")) == 0.2


def test_infinite_numbers_are_missing(rng: np.random.Generator) -> None:
    x = columns_of(rng)["infinite"]
    made = table_of(x, rng.normal(size=N))
    np.testing.assert_array_equal(made.table.missing("n"), np.isinf(x["n"]))


def test_a_table_without_information_raises(rng: np.random.Generator) -> None:
    made = table_of({"a": [1.0] * N}, rng.integers(0, 2, N), task="classification")
    assert made.classes is not None
    with pytest.raises(DataError, match="no column to predict"):
        Preprocessing.fit(made.table, made.found, made.classes)
