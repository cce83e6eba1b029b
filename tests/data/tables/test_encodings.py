"""Encodings: parity with scikit-learn and pytabkit, the order of inputs, files of all versions."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.preprocessing import QuantileTransformer, RobustScaler

from anynet.data.tables import Preprocessing, Table
from anynet.data.tables.categories import MOST_LEVELS, Category, Code
from anynet.data.tables.encodings import ENCODINGS, Encoding
from anynet.data.tables.kinds import infer_kinds
from anynet.data.tables.quantile import NOISE, SMALLEST, Quantile, normal_quantile
from anynet.data.tables.statistics import order_statistics
from anynet.data.tables.target import Values
from anynet.errors import InvalidArgumentError, ModelFileError

NUMBERS = [0.5, -1.25, 3.0, 10.0, 2.0, 0.0, 1.5, -4.0, 2.5, 0.75, 100.0, 1.0]
ROWS: dict[str, Any] = {
    "two": ["b", "a", "a", "b", "a", None, "a", "a", "b", "a", "a", "a"],
    "n": NUMBERS,
    "three": ["x", "y", "z", "x", "x", "y", None, "x", "x", "z", "y", "x"],
    "flag": [True, False, False, False, False, True, *[False] * 6],
}
MANY = {
    "town": [f"t{i % 11}" for i in range(22)],
    "day": ["2024-05-31", "2023-01-01"] * 11,
    "size": [None, *np.linspace(1, 9, 21)],
    "new": ["yes", "no"] * 11,
    "colour": ["red", "blue"] * 10 + ["green", ""],
    "code": [f"c{i % 9}" for i in range(22)],
}


def fitted(rows: Any, encoding: Any = None) -> Preprocessing:
    table = Table.of({**rows, "y": np.arange(len(next(iter(rows.values()))))})
    return Preprocessing.fit(table, infer_kinds(table, "y"), Values("y", 0.0, 1.0), encoding)


# What pytabkit 1.7.3 makes of these rows, with tfms=['one_hot', 'median_center', 'robust_scale',
# 'smooth_clip'] as in RealMLP-TD-S: the number, the contrast of "a" and "b", one input for each of
# "x", "y" and "z", and the flag, whose sign is the opposite there.
REALMLP_S = [
    [-0.331295, -1.411765, 0.493197, 0.0, 0.0, 1.664101],
    [-1.041943, 0.0, -0.493197, 2.4, 0.0, 0.0],
    [0.752886, 0.0, -0.493197, 0.0, 1.664101, 0.0],
    [2.375347, -1.411765, 0.493197, 0.0, 0.0, 0.0],
    [0.331295, 0.0, 0.493197, 0.0, 0.0, 0.0],
    [-0.546268, -0.772988, -0.493197, 2.4, 0.0, 1.664101],
    [0.111035, 0.0, -0.493197, 0.0, 0.0, 0.0],
    [-1.841822, 0.0, 0.493197, 0.0, 0.0, 0.0],
    [0.546268, -1.411765, 0.493197, 0.0, 0.0, 0.0],
    [-0.221615, 0.0, -0.493197, 0.0, 1.664101, 0.0],
    [2.993016, 0.0, -0.493197, 2.4, 0.0, 0.0],
    [-0.111035, 0.0, 0.493197, 0.0, 0.0, 0.0],
]


@pytest.mark.parametrize("name", ["realmlp-s", "realmlp"])
def test_realmlp_inputs_match_pytabkit(name: str) -> None:
    x, notes = fitted(ROWS, name).encode(ROWS)
    np.testing.assert_allclose(x, REALMLP_S, atol=1e-6)
    assert notes == []


def test_realmlp_s_inputs_match_numpy(rng: np.random.Generator) -> None:
    words = rng.choice(["a", "b", "c", ""], 200, p=[0.5, 0.3, 0.15, 0.05])
    made = fitted({"w": words, "v": rng.lognormal(size=200)}, "realmlp-s")
    x, _ = made.encode({"w": ["a", "c", "", "new"], "v": [1.0] * 4})
    one_hot = (words[:, None] == ["a", "b", "c"]).astype(float)
    q1, median, q3 = np.percentile(one_hot, (25, 50, 75), axis=0)
    new = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    z = (new - median) / np.where(q3 > q1, q3 - q1, 0.5)
    np.testing.assert_allclose(x[:, 1:], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)


def test_quantiles_match_scikit_learn(rng: np.random.Generator) -> None:
    for n in (90, 700, 40_000):
        train = rng.standard_cauchy(n)
        train[: n // 3] = np.round(train[: n // 3])  # repeated values
        new = np.concatenate([rng.standard_cauchy(500), train[:50], [-1e9, 1e9]])
        noise = np.random.default_rng(0).normal(0, NOISE, n) * order_statistics(train)[1]
        oracle = QuantileTransformer(
            n_quantiles=max(min(n // 30, 1000), 10), output_distribution="normal", subsample=None
        ).fit((train + noise)[:, None])
        encoder = Quantile.fit("a", train)
        np.testing.assert_allclose(encoder.quantiles, oracle.quantiles_[:, 0], rtol=1e-12)
        expected = oracle.transform(new[:, None])
        np.testing.assert_allclose(encoder.encode(new).x, expected, rtol=1e-5, atol=1e-6)


def test_normal_quantiles_match_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    p = np.concatenate([np.linspace(SMALLEST, 1 - SMALLEST, 1001), 10.0 ** -np.arange(1, 8), [0]])
    expected = stats.norm.ppf(np.clip(p, SMALLEST, 1 - SMALLEST))
    np.testing.assert_allclose(normal_quantile(p), expected, rtol=2e-15, atol=1e-16)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=1, max_size=60),
    st.sampled_from([1e-9, 1.0, 1e9]),
)
@example([0.0, 0.0, 0.0, 0.0, -1.7976883200294383e308], 1.0)
@example([0.0, 1.7976931348623157e308], 1.0)
def test_quantile_inputs_are_finite_and_ordered(values: list[float], unit: float) -> None:
    with np.errstate(over="ignore"):
        column = Table.of({"a": np.array(values) * unit}).columns["a"]
    encoder = Quantile.fit("a", column)
    x = encoder.encode(np.sort(np.append(column, [-1e308, 1e308]))).x[:, 0]
    present = x[: len(x) - int(np.isnan(column).sum())]
    assert np.all(np.abs(x) < 5.2)
    assert np.all(np.diff(present) >= 0)
    assert encoder.imputed()


def test_quantiles_do_not_depend_on_the_unit(rng: np.random.Generator) -> None:
    values = rng.normal(size=300)
    expected = Quantile.fit("a", values).encode(values).x
    for unit in (2.0**-40, 2.0**40):
        np.testing.assert_allclose(
            Quantile.fit("a", values * unit).encode(values * unit).x, expected, rtol=1e-6
        )


def test_inputs_are_numbers_then_flags_then_codes() -> None:
    made = fitted(MANY, Encoding(max_one_hot=9))
    assert made.input_names == [
        *("day: day", "size"),
        *("day: year sin", "day: year cos", "day: week sin", "day: week cos"),
        *("size: missing", "new"),
        *("colour = blue", "colour = green", "colour = red", "colour = missing"),
        *("town", "code"),
    ]
    assert made.n_numbers == 2
    assert made.n_inputs == 14
    assert made.levels == (12, 10)
    x, _ = made.encode(MANY)
    plain, _ = fitted(MANY).encode(MANY)
    np.testing.assert_array_equal(x[:, 2:6], plain[:, 12:16])  # after 11 towns and the day
    _, towns = np.unique(MANY["town"], return_inverse=True)
    np.testing.assert_array_equal(x[:, -2], towns + 1)


def test_without_an_encoding_inputs_are_in_the_order_of_columns() -> None:
    made = fitted(ROWS)
    names = ["two = a", "two = b", "two = missing", "n", "three = x", "three = y", "three = z"]
    assert made.input_names == [*names, "three = missing", "flag"]
    assert (made.n_numbers, made.levels) == (0, ())
    order = [made.input_names.index(name) for name in fitted(ROWS, "robust").input_names]
    np.testing.assert_array_equal(
        made.encode(ROWS)[0][:, order], fitted(ROWS, "robust").encode(ROWS)[0]
    )


@pytest.mark.parametrize(("levels", "is_code"), [(8, False), (9, True)])
def test_realmlp_embeds_columns_of_nine_categories(levels: int, is_code: bool) -> None:
    words = [f"w{i % levels}" for i in range(40)] + [""]
    made = fitted({"w": words}, "realmlp")
    assert isinstance(made.encoders[0], Code if is_code else Category)
    assert made.levels == ((10,) if is_code else ())
    assert made.n_inputs == (1 if is_code else 8)


def test_missing_and_unseen_categories_have_code_zero() -> None:
    code = Code.fit("a", Table.of({"a": ["z", "x", "y", ""]}).columns["a"])
    x, bad, unseen = code.encode(Table.of({"a": ["x", "", "new", "z"]}).columns["a"])
    np.testing.assert_array_equal(x, [[1], [0], [0], [3]])
    np.testing.assert_array_equal(unseen, [False, False, True, False])
    assert not bad.any()
    assert code.indicator


def test_codes_have_no_maximum_number_of_levels(rng: np.random.Generator) -> None:
    words = [f"w{i}" for i in rng.permutation(np.repeat(np.arange(10_000), 2))]
    made = fitted({"w": words}, "realmlp")
    assert made.levels == (10_001,)
    x, notes = made.encode({"w": words})
    assert notes == []
    assert np.unique(x).size == 10_000
    assert fitted({"w": words}, "realmlp-s").n_inputs == MOST_LEVELS


@pytest.mark.parametrize("name", [None, *ENCODINGS])
def test_encodings_round_trip_through_json(name: str | None) -> None:
    made = fitted(MANY | {"flag": [True] + [False] * 21}, name)
    again = Preprocessing.from_config(json.loads(json.dumps(made.to_config())))
    assert again == made
    x, notes = again.encode(MANY)
    np.testing.assert_array_equal(x, made.encode(MANY)[0])
    assert x.shape == (22, made.n_inputs)
    assert len(notes) == 1  # the column "flag" is missing
    assert np.all(np.isfinite(x))


@pytest.mark.parametrize("name", ENCODINGS)
def test_new_rows_differ_in_every_way(name: str) -> None:
    made = fitted(MANY, name)
    x, notes = made.encode({"town": ["t1", "new", ""], "size": ["x", None, 1e300]})
    assert x.shape == (3, made.n_inputs)
    assert np.all(np.isfinite(x))
    assert np.all(np.abs(x[:, : made.n_inputs - len(made.levels)]) <= 5.2)
    for fact in ("town: 1 of 3 rows hold", "size: 1 of 3 rows holds no number", "colour: there is"):
        assert any(note.startswith(fact) for note in notes), notes


def test_configurations_of_earlier_versions_keep_their_order() -> None:
    config = fitted(ROWS).to_config()
    assert config["version"] == 1
    assert "encoding" not in config
    for column in config["columns"]:
        column.pop("signed", None)
    assert Preprocessing.from_config(config) == fitted(ROWS)


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": {"kind": "columns", "numbers": "rank"}},
        {"encoding": None},
        {"centers": [1.0]},
        {"factors": [float("inf")] * 5},
        {"factors": ["a"] * 5},
        {"version": 3},
    ],
)
def test_damaged_encodings_raise(change: dict[str, Any]) -> None:
    config = fitted(ROWS, "realmlp-s").to_config() | change
    with pytest.raises(ModelFileError, match="describe its table"):
        Preprocessing.from_config(config)


def test_quantiles_of_a_file_must_increase() -> None:
    with pytest.raises(InvalidArgumentError, match="increas"):
        Quantile("a", (1.0, 0.0), False)


@pytest.mark.parametrize("given", ["rank", 3, Encoding])
def test_unknown_encodings_raise(given: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="robust, quantile, realmlp-s, realmlp"):
        fitted(ROWS, given)


def test_robust_numbers_match_robust_scaler() -> None:
    x, _ = fitted(ROWS, "robust").encode(ROWS)
    z = RobustScaler().fit_transform(np.array(NUMBERS)[:, None])
    np.testing.assert_allclose(x[:, :1], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)
