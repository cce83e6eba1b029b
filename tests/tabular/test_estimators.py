"""``TabularClassifier`` and ``TabularRegressor``: scikit-learn's checks, frames, files."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import anynet
from anynet.errors import ModelFileError
from anynet.tabular import Fast, RealMLP, RealMLPS

QUICK = {"preset": Fast(n_members=2, epochs=40, width=16), "random_state": 0, "backend": "numpy"}

#: Rows are drawn for validation and for batches, so a weight of 2 is not the same as two rows.
DIFFERENT = {"check_sample_weight_equivalence_on_dense_data": "rows are drawn at random"}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [anynet.TabularClassifier(**QUICK), anynet.TabularRegressor(**QUICK)],
    expected_failed_checks=lambda _: DIFFERENT,
)
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def frame() -> tuple[Any, np.ndarray, np.ndarray]:
    """Return columns of all kinds with missing values, classes, and values."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    n = 400
    size = rng.lognormal(size=n)
    colour = rng.choice(["red", "green", "blue"], size=n)
    day = np.datetime64("2024-01-01") + rng.integers(0, 700, size=n)
    score = np.log(size) + (colour == "red") - (rng.random(n) < 0.1)
    data = pandas.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "colour": pandas.Series(colour).where(rng.random(n) > 0.1, None),
            "day": day,
            "open": rng.random(n) < 0.5,
            "noise": rng.normal(size=n),
        }
    )
    return data, np.where(score > 0.3, "yes", "no"), 1e9 + 1e3 * score


def test_frames_are_taken_as_they_are_and_only_named_columns_are_read(frame: Any) -> None:
    x, labels, values = frame
    classifier = anynet.TabularClassifier(**QUICK).fit(x[:300], labels[:300])
    assert classifier.score(x[300:], labels[300:]) > 0.75
    assert classifier.feature_names_in_.tolist() == list(x)
    assert set(classifier.predict(x)) == {"no", "yes"}
    assert np.allclose(classifier.predict_proba(x).sum(axis=1), 1)
    regressor = anynet.TabularRegressor(**QUICK).fit(x[:300], values[:300])
    assert regressor.score(x[300:], values[300:]) > 0.5
    with pytest.raises(ValueError, match="noise"):
        classifier.predict(x.drop(columns="noise"))


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_frames_give_the_same_model(frame: Any, library: str) -> None:
    x, labels, _ = frame
    other = pytest.importorskip(library)
    made = other.from_pandas(x) if library == "polars" else other.Table.from_pandas(x)
    first = anynet.TabularClassifier(**QUICK).fit(x, labels).predict_proba(x)
    second = anynet.TabularClassifier(**QUICK).fit(made, labels).predict_proba(made)
    np.testing.assert_array_equal(first, second)


def test_files_pickles_and_clones_predict_the_same(frame: Any, tmp_path: Any) -> None:
    x, labels, values = frame
    classifier = anynet.TabularClassifier(**QUICK, columns={"noise": "ignored"}).fit(x, labels)
    classifier.save(tmp_path / "a.safetensors")
    loaded = anynet.TabularClassifier.load(tmp_path / "a.safetensors", backend="numpy")
    assert loaded.get_params() == classifier.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(x), classifier.predict_proba(x))
    np.testing.assert_array_equal(loaded.predict(x), classifier.predict(x))
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(x), classifier.predict_proba(x))
    regressor = anynet.TabularRegressor(**QUICK).fit(x, values)
    regressor.save(tmp_path / "b.safetensors")
    loaded = anynet.TabularRegressor.load(tmp_path / "b.safetensors", backend="numpy")
    np.testing.assert_array_equal(loaded.predict(x), regressor.predict(x))
    with pytest.raises(ModelFileError, match="TabularRegressor"):
        anynet.TabularClassifier.load(tmp_path / "b.safetensors")
    refitted = clone(classifier).fit(x, labels)
    np.testing.assert_array_equal(refitted.predict_proba(x), classifier.predict_proba(x))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "bool", "float32", "U", "O"])
def test_classes_keep_their_type(frame: Any, dtype: str, tmp_path: Any) -> None:
    x, labels, _ = frame
    y = (labels == "yes").astype(int).astype(dtype) if dtype != "O" else labels.astype(object)
    made = anynet.TabularClassifier(**QUICK).fit(x, y)
    assert made.classes_.dtype == y.dtype == made.predict(x).dtype
    made.save(tmp_path / "m.safetensors")
    loaded = anynet.TabularClassifier.load(tmp_path / "m.safetensors", backend="numpy")
    assert loaded.predict(x).tolist() == made.predict(x).tolist()


def test_permutation_importance_finds_the_columns_that_matter(frame: Any) -> None:
    x, labels, _ = frame
    made = anynet.TabularClassifier(**QUICK).fit(x[:300], labels[:300])
    found = permutation_importance(made, x[300:], labels[300:], n_repeats=5, random_state=0)
    assert list(x)[int(np.argmax(found.importances_mean))] == "size"


def test_the_tools_of_scikit_learn_take_them(frame: Any) -> None:
    x, labels, _ = frame
    pipeline = make_pipeline(FunctionTransformer(), anynet.TabularClassifier(**QUICK))
    assert cross_val_score(pipeline, x, labels, cv=3).mean() > 0.7
    grid = {"validation_fraction": [0.2, 0.5]}
    assert GridSearchCV(anynet.TabularClassifier(**QUICK), grid, cv=2).fit(x, labels).best_score_


def test_weights_validation_rows_and_balanced_classes_change_the_model(frame: Any) -> None:
    x, labels, _ = frame
    plain = anynet.TabularClassifier(**QUICK).fit(x, labels)
    rare = labels == "yes"
    weighted = anynet.TabularClassifier(**QUICK).fit(x, labels, np.where(rare, 9.0, 1.0))
    assert weighted.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean() + 0.1
    balanced = anynet.TabularClassifier(**QUICK, class_weight={"yes": 9.0}).fit(x, labels)
    assert balanced.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean() + 0.1
    given = anynet.TabularClassifier(**QUICK)
    given.fit(x[:300], labels[:300], X_val=x[300:], y_val=labels[300:])
    assert given.score(x[300:], labels[300:]) > 0.7


def test_only_realmlp_clamps_values_to_the_range_of_the_training_rows(frame: Any) -> None:
    x, _, values = frame
    for preset, bounds in [
        (RealMLP(epochs=1, width=8), (values.min(), values.max())),
        (RealMLPS(epochs=1, width=8), None),
    ]:
        made = anynet.TabularRegressor(preset, random_state=0, backend="numpy").fit(x, values)
        assert made.preprocessing_.target.bounds == bounds


@pytest.mark.filterwarnings("ignore:Determining the column names")
@pytest.mark.parametrize("kind", ["Table", "LazyFrame", "str"])
def test_tables_that_are_not_frames_are_named_in_the_error(kind: str, frame: Any) -> None:
    x, labels, _ = frame
    if kind == "Table":
        other: Any = anynet.read_table({"size": x["size"]})
    elif kind == "LazyFrame":
        other = pytest.importorskip("polars").LazyFrame({"size": x["size"].to_numpy()})
    else:
        other = "ship.csv"
    with pytest.raises(ValueError, match=f"two dimensions, got {kind}"):
        anynet.TabularClassifier(**QUICK).fit(other, labels)
