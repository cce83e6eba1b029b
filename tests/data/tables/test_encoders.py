"""Encoders: they match scikit-learn's transformers and stay finite for extreme values."""

import statistics
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import OneHotEncoder, RobustScaler

from anynet.config import from_config, registered, to_config
from anynet.data.tables import Table
from anynet.data.tables.categories import MOST_LEVELS
from anynet.data.tables.encoders import WEEK, YEAR
from anynet.data.tables.statistics import (
    BOUND,
    mean_and_deviation,
    order_statistics,
    root_mean_square,
    standard,
)
from anynet.errors import InvalidArgumentError

EXACT = {"rtol": 2e-7, "atol": 2e-7}  # rounding of float32


def fit(kind: str, values: Any) -> Any:
    return registered("encoder")[kind].fit("a", Table.of({"a": values}).columns["a"])


def encode(encoder: Any, values: Any) -> Any:
    return encoder.encode(Table.of({"a": values}).columns["a"])


def smooth(z: np.ndarray) -> np.ndarray:
    return z / np.sqrt(1 + (z / BOUND) ** 2)


def test_numbers_match_robust_scaler_with_smooth_clipping(rng: np.random.Generator) -> None:
    train, new = rng.lognormal(size=(90, 1)), rng.lognormal(size=(30, 1))
    train[::7] = new[::5] = np.nan
    number = fit("number", train[:, 0])
    scaled = SimpleImputer(strategy="median").fit(RobustScaler().fit_transform(train))
    robust = RobustScaler().fit(train)
    expected = smooth(scaled.transform(robust.transform(new)))
    indicator = MissingIndicator(features="all").fit(train).transform(new)
    found = encode(number, new[:, 0])
    np.testing.assert_allclose(found.x, np.hstack([expected, indicator]), **EXACT)
    assert number.names() == ["a", "a: missing"]
    assert found.x.dtype == np.float32


def test_the_range_is_the_scale_if_the_quartiles_are_equal() -> None:
    number = fit("number", [0.0] * 8 + [4.0, -6.0])
    assert (number.center, number.scale) == (0, 5)
    constant = fit("number", [7.0, None, 7.0])
    assert (constant.center, constant.scale) == (7, 1)
    np.testing.assert_array_equal(encode(constant, [7.0, None]).x, [[0, 0], [0, 1]])
    assert fit("number", [None, None]).center == 0


def test_encoders_know_the_range_and_the_most_frequent_category() -> None:
    assert fit("number", [3.0, None, -1.0]).limits == (-1, 3)
    assert fit("number", [None]).limits is None
    assert fit("date", ["1970-01-03", "", "1970-01-02"]).limits == (1, 2)
    for kind in ("category", "code"):
        encoder = fit(kind, ["b", "c", "", "c", "a", ""])
        assert encoder.frequent == "c"
        config = to_config(encoder)
        assert from_config("encoder", config) == encoder
        del config["frequent"]  # as in files of earlier versions
        assert from_config("encoder", config).frequent == ""
    with pytest.raises(InvalidArgumentError, match="limits"):
        type(fit("number", [1.0]))("a", 0.0, 1.0, False, (2.0, 1.0))


@given(st.lists(st.floats(allow_infinity=True, allow_nan=True) | st.none(), min_size=1))
def test_encoded_numbers_are_bounded(values: list) -> None:
    train, new = values, [*values, 1e308, -1e308, 5e-324]
    x = encode(fit("number", train), new).x
    assert np.all(np.abs(x) <= BOUND)


ENDS = [float(np.finfo(np.float64).max), 1e308, 8.98e307, 5e-324, 1e-310, 2.3e-308, 1.0, 0.0]
ANY_FINITE = st.sampled_from([*ENDS, *(-each for each in ENDS)]) | st.floats(
    allow_infinity=False, allow_nan=False
)


@example([1.7976931348623157e308, -9.9792015476736e291])
@example([1.7976931348623157e308, -1.7777347317669687e308])
@given(st.lists(ANY_FINITE, min_size=1, max_size=12))
def test_order_statistics_are_correct_for_extreme_float64_values(values: list[float]) -> None:
    center, scale = order_statistics(np.array(values))
    tiny = 4 * 5e-324  # with the largest values, the smallest lose two bits
    assert min(values) - tiny <= center <= max(values) + tiny
    assert 0 < scale < np.inf
    assert (scale == 1) or min(values) < max(values)
    z = standard(np.sort(values), center, scale).astype(np.float32)
    assert np.all(np.diff(z) >= 0)
    assert not np.any(z) or z.min() < z.max()
    exact = [Fraction(value) for value in sorted(values)]
    middle = (exact[(len(exact) - 1) // 2] + exact[len(exact) // 2]) / 2
    # Two middle values of opposite signs cancel: the rounding is relative to the larger of them.
    largest = max(abs(exact[(len(exact) - 1) // 2]), abs(exact[len(exact) // 2]))
    rounding = Fraction(np.finfo(np.float64).eps) * largest
    assert abs(Fraction(center) - middle) <= abs(middle) / 10**14 + rounding + Fraction(tiny)


@given(st.lists(ANY_FINITE, min_size=1, max_size=12))
def test_mean_and_deviation_are_correct_for_extreme_float64_values(values: list[float]) -> None:
    mean, deviation = mean_and_deviation(np.array(values))
    exact = [Fraction(value) for value in values]
    largest, tiny = max(map(abs, exact)), Fraction(5e-324)
    assert abs(Fraction(mean) - sum(exact) / len(exact)) <= largest / 10**14 + tiny
    variance = statistics.pvariance(exact)
    assert abs(Fraction(deviation) ** 2 - variance) <= largest**2 / 10**13 + 2 * largest * tiny
    rms = root_mean_square(np.array(values))
    square = sum(each**2 for each in exact) / len(exact)
    assert abs(Fraction(rms) ** 2 - square) <= largest**2 / 10**13 + 2 * largest * tiny


def test_encoding_preserves_the_order_of_numbers() -> None:
    x = encode(fit("number", [1, 2, 3, 4]), [-1e9, -5, 1, 2.5, 4, 50, 1e9]).x[:, 0]
    assert np.all(np.diff(x) > 0)
    assert x[3] == 0


@pytest.mark.parametrize("levels", [3, MOST_LEVELS - 1, MOST_LEVELS + 20])
@pytest.mark.parametrize("missing", [False, True])
def test_categories_match_one_hot_encoder(levels: int, missing: bool) -> None:
    words = [f"w{level}" for level in range(levels) for _ in range(level + 1)]
    words += ["" for _ in range(levels * 2 if missing else 0)]
    new = [*(f"w{level}" for level in range(levels)), *([""] if missing else []), "unseen"]
    category = fit("category", words)
    x, bad, unseen = encode(category, new)
    # scikit-learn counts the missing value among its categories.
    oracle = OneHotEncoder(
        max_categories=MOST_LEVELS + missing,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    ).fit(np.array(words, dtype=object)[:, None])
    expected = oracle.transform(np.array(new, dtype=object)[:, None])
    if missing:  # scikit-learn sorts "" before all words
        expected = np.roll(expected, -1, axis=1)
    np.testing.assert_array_equal(x, expected)
    assert x.shape[1] == len(category.names()) <= MOST_LEVELS + missing
    assert not bad.any()
    np.testing.assert_array_equal(unseen, [False] * (len(new) - 1) + [True])


def test_numeric_categories_are_recognised_in_any_notation() -> None:
    category = fit("category", [1, 2, None, 2])
    assert category.levels == ("1", "2")
    np.testing.assert_array_equal(encode(category, ["2", "1"]).x, [[0, 1, 0], [1, 0, 0]])


def test_numeric_categories_match_by_value_and_codes_by_text() -> None:
    category = fit("category", ["1", "2", "007", "True"])
    cells = ["1.0", 2, "7", "007", "true", "TRUE"]
    unseen = encode(category, [str(cell) for cell in cells]).unseen
    # 1 could also be True
    np.testing.assert_array_equal(unseen, [True, False, True, False, True, True])
    category = fit("category", [1.5, 2.0])
    assert not encode(category, ["1.50", "2"]).unseen.any()


def test_booleans_are_recognised_in_any_notation() -> None:
    boolean = fit("boolean", ["True", "False", "TRUE", ""])
    assert boolean.names() == ["a", "a: missing"]
    for values in ([True, False, None], ["yes", "no", ""], [1, 0, None], ["T", "f", "NA"]):
        found = encode(boolean, values)
        np.testing.assert_array_equal(found.x, [[1, 0], [0, 0], [1, 1]])
        assert not found.bad.any()
    assert encode(boolean, ["perhaps"]).bad.all()


def test_dates_are_encoded_as_days_and_yearly_and_weekly_phases() -> None:
    date = fit("date", ["2024-01-01", "2024-01-03", "2024-01-05", "2024-01-07", ""])
    days = (np.array(["2024-01-02", "2024-07-04"], dtype="M8[D]")).astype(float)
    x = encode(date, ["2024-01-02", "2024-07-04", ""]).x
    np.testing.assert_allclose(x[:2, 0], smooth((days - (days[0] + 2)) / 3), **EXACT)
    for first, period in ((1, YEAR), (3, WEEK)):
        np.testing.assert_allclose(x[:2, first], np.sin(2 * np.pi * days / period), **EXACT)
        np.testing.assert_allclose(x[:2, first + 1], np.cos(2 * np.pi * days / period), **EXACT)
    np.testing.assert_array_equal(x[:, 5], [0, 0, 1])
    np.testing.assert_array_equal(x[2, :5], 0)
    assert date.imputed() == "the median, 2024-01-04"


@pytest.mark.parametrize("kind", registered("encoder"))
@given(values=st.lists(st.text(max_size=5) | st.sampled_from(["1", "2024-05-31", "yes", ""])))
def test_any_text_is_encoded(kind: str, values: list[str]) -> None:
    known = {"number": "1", "date": "2024-01-01", "boolean": "yes", "category": "red"}
    encoder = fit(kind, [known[registered("encoder")[kind].reads], *values])
    x, bad, unseen = encode(encoder, [*values, "anything"])
    assert x.shape == (len(values) + 1, len(encoder.names()))
    assert np.all(np.isfinite(x))
    assert bad.shape == unseen.shape == (len(values) + 1,)
