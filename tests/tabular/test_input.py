"""What the estimators of tables accept, and what they report about the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import anynet
from anynet.tabular import Fast

pandas = pytest.importorskip("pandas")

TINY = Fast(n_members=2, numbers="plain", epochs=20, width=16, learning_rate=0.02)
N = 120
X = np.random.default_rng(0).normal(size=(N, 3))
FRAME = pandas.DataFrame(X, columns=["a", "b", "c"])
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
WORDS = np.where(Y, "yes", "no")


def classifier(**options: Any) -> anynet.TabularClassifier:
    return anynet.TabularClassifier(TINY, random_state=0, backend="numpy", **options)


def regressor(**options: Any) -> anynet.TabularRegressor:
    return anynet.TabularRegressor(TINY, random_state=0, backend="numpy", **options)


def test_arrays_of_objects_and_lists_equal_arrays_of_numbers() -> None:
    expected = classifier().fit(X, Y).predict_proba(X)
    for other in (X.astype(object), X.tolist()):
        np.testing.assert_array_equal(classifier().fit(other, Y).predict_proba(other), expected)


def test_objects_of_several_kinds_have_a_kind_for_each_column() -> None:
    rows = [[a, "high" if b > 0 else "low", None if a > 1 else c] for a, b, c in X]
    for made in (rows, np.array(rows, dtype=object)):
        found = classifier().fit(made, Y).preprocessing_
        assert [each.kind for each in found.encoders] == ["number", "category", "number"]
        assert found.input_names[2:] == ["x1 = high", "x1 = low", "x2: missing"]


def test_arrays_of_booleans_are_read() -> None:
    x = X > 0
    found = classifier().fit(x, x[:, 1])
    assert [each.kind for each in found.preprocessing_.encoders] == ["boolean"] * 3
    assert found.score(x, x[:, 1]) > 0.9


@pytest.mark.parametrize("names", [[0, 1, 2], [2001, 2002, 2003], [("a", 1), ("a", 2), ("b", 1)]])
def test_columns_without_text_as_names_are_compared_by_position(names: list[Any]) -> None:
    frame = FRAME.set_axis(names, axis=1)
    found = classifier(columns={names[2]: "ignored"}).fit(frame, Y)
    assert not hasattr(found, "feature_names_in_")
    assert found.preprocessing_.ignored == ("x2",)
    np.testing.assert_array_equal(found.predict_proba(frame), found.predict_proba(X))


def test_columns_of_arrays_are_chosen_by_position_or_name() -> None:
    for name in (1, "x1"):
        assert classifier(columns={name: "ignored"}).fit(X, Y).preprocessing_.ignored == ("x1",)


def test_arrays_and_frames_with_other_names_are_compared_by_position() -> None:
    by_name, by_place = classifier().fit(FRAME, Y), classifier().fit(X, Y)
    with pytest.warns(UserWarning, match="feature names"):
        np.testing.assert_array_equal(by_name.predict_proba(X), by_name.predict_proba(FRAME))
    with pytest.warns(UserWarning, match="feature names"):
        np.testing.assert_array_equal(by_place.predict_proba(FRAME), by_place.predict_proba(X))


def test_columns_in_another_order_are_an_error_and_can_be_ordered_by_name() -> None:
    found = classifier().fit(FRAME, Y)
    mixed = FRAME[["c", "a", "b"]]
    with pytest.raises(ValueError, match="same order"):
        found.predict(mixed)
    again = found.predict_proba(mixed[found.feature_names_in_])
    np.testing.assert_array_equal(again, found.predict_proba(FRAME))


def test_a_column_may_be_called_target() -> None:
    frame = pandas.DataFrame({"target": X[:, 0], "y": X[:, 1]})
    found = classifier().fit(frame, pandas.Series(Y, name="target"))
    assert found.preprocessing_.input_names == ["target", "y"]


def test_new_categories_and_new_missing_values_are_reported_and_predicted() -> None:
    frame = FRAME.assign(kind=np.where(X[:, 0] > 0, "p", "q"))
    found = classifier().fit(frame, Y)
    new = frame.head(3).copy()
    new.loc[0, "kind"] = "unseen"
    new.loc[1, "kind"] = None
    new.loc[2, "a"] = np.nan
    with pytest.warns(UserWarning, match=r"a|kind") as caught:
        assert np.isfinite(found.predict_proba(new)).all()
    text = " ".join(str(each.message) for each in caught)
    assert "'unseen' in row 1" in text
    assert "a: 1 of 3 rows" in text


MISSING: dict[str, tuple[Any, str]] = {
    "floats": (np.where(np.arange(N) == 3, np.nan, Y), "row 4"),
    "objects": (np.where(np.arange(N) == 3, None, WORDS.astype(object)), "row 4"),
    "nullable": (pandas.array([None, *Y[1:]], dtype="Int64"), "row 1"),
    "text": (pandas.array([None, *WORDS[1:]], dtype="string"), "row 1"),
    "category": (pandas.Categorical([None, *WORDS[1:]]), "row 1"),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_classes_are_an_error_with_their_row(name: str) -> None:
    y, row = MISSING[name]
    with pytest.raises(ValueError, match=f"y must have a class.*1 missing.*{row}"):
        classifier().fit(FRAME, y)


@pytest.mark.parametrize("value", [np.nan, np.inf, None])
def test_missing_values_are_an_error(value: Any) -> None:
    y = X[:, 0].astype(object)
    y[3] = value
    with pytest.raises(ValueError, match=r"y contains (NaN|infinity)"):
        regressor().fit(FRAME, y)


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        (WORDS, WORDS.dtype),
        (Y > 0, np.dtype(bool)),
        (pandas.Series(WORDS, dtype="category"), np.dtype(object)),
        (pandas.Series(pandas.Categorical(WORDS, categories=["?", "yes", "no"])), np.dtype(object)),
        (pandas.Series(WORDS, dtype="string"), np.dtype(object)),
        (pandas.Series(Y > 0, dtype="boolean"), np.dtype(bool)),
        (pandas.Series(Y, dtype="Int64"), np.dtype("int64")),
        (list(WORDS), None),
    ],
)
def test_classes_of_every_type(y: Any, dtype: Any) -> None:
    found = classifier().fit(FRAME, y)
    assert len(found.classes_) == 2
    if dtype is not None:
        assert found.classes_.dtype == dtype
    assert found.score(FRAME, np.asarray(y)) > 0.8
    likely = found.classes_[np.argmax(found.predict_proba(FRAME), axis=1)]
    np.testing.assert_array_equal(likely, found.predict(FRAME))


BAD: dict[str, tuple[Any, ...]] = {
    "no target": (FRAME, None, "None"),
    "one class": (FRAME, np.zeros(N, dtype=int), r"two classes.*\[0\]"),
    "types": (FRAME, np.array(["a"] * 60 + [1] * 60, dtype=object), "one type.*int and str"),
    "values": (FRAME, X[:, 0], "continuous"),
    "short": (FRAME, Y[1:], "120, 119"),
    "one row": (FRAME[:1], Y[:1], "at least 2 rows"),
    "no rows": (FRAME[:0], Y[:0], "at least 2 rows"),
    "one dimension": (X[:, 0], Y, "2D"),
    "three dimensions": (X[:, :, None], Y, "dim 3"),
    "mapping": ({"a": X[:, 0]}, Y, "data frame.*dict"),
    "structured": (np.zeros(N, dtype=[("a", float)]), Y, "data frame.*structured"),
    "infinite": (np.where(X > 2, np.inf, X), Y, "infinity"),
    "complex": (X + 1j, Y, "Complex"),
    "mixed names": (FRAME.set_axis(["a", 1, 2.5], axis=1), Y, "string"),
    "repeated names": (FRAME.set_axis(["a", "a", "b"], axis=1), Y, "'a'"),
    "nothing to use": (pandas.DataFrame({"a": [1.0] * N}), Y, "'a' is ignored: it has one value"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_and_classes_are_an_error(name: str) -> None:
    x, y, message = BAD[name]
    error = {"mixed names": TypeError, "nothing to use": anynet.DataError}.get(name, ValueError)
    with pytest.raises(error, match=message):
        classifier().fit(x, y)


def test_sparse_matrices_are_an_error_that_names_the_remedy() -> None:
    with pytest.raises(TypeError, match="toarray"):
        classifier().fit(sp.csr_matrix(X), Y)


def test_words_are_no_values() -> None:
    with pytest.raises(ValueError, match=r"y must be numbers.*TabularClassifier"):
        regressor().fit(FRAME, WORDS)


@pytest.mark.parametrize(
    ("weight", "message"),
    [(np.nan, "NaN"), (-1.0, "must not be negative, got -1"), (np.inf, "infinity")],
)
def test_bad_weights_are_an_error(weight: float, message: str) -> None:
    weights = np.ones(N)
    weights[5] = weight
    with pytest.raises(ValueError, match=f"sample_weight.*{message}"):
        classifier().fit(FRAME, Y, weights)


VALIDATION: dict[str, tuple[dict[str, Any], str]] = {
    "columns": ({"X_val": FRAME[["a", "b"]], "y_val": Y}, "missing:\n- c"),
    "only X": ({"X_val": FRAME}, "X_val and y_val"),
    "only y": ({"y_val": WORDS}, "X_val and y_val"),
    "only weights": ({"sample_weight_val": np.ones(N)}, "sample_weight_val"),
    "lengths": ({"X_val": FRAME, "y_val": WORDS[:5]}, "X_val and y_val.*120 and 5"),
    "no rows": ({"X_val": FRAME[:0], "y_val": WORDS[:0]}, "X_val and y_val.*at least one"),
    "class": ({"X_val": FRAME, "y_val": ["maybe", *WORDS[1:]]}, "y_val.*'maybe'"),
    "missing": ({"X_val": FRAME, "y_val": [None, *WORDS[1:]]}, "y_val.*row 1"),
}


@pytest.mark.parametrize("name", VALIDATION)
def test_bad_validation_rows_are_an_error(name: str) -> None:
    given, message = VALIDATION[name]
    with pytest.raises(ValueError, match=message):
        classifier().fit(FRAME, WORDS, **given)


def test_weights_of_other_classes_are_an_error_unless_all_classes_have_one() -> None:
    with pytest.raises(ValueError, match=r"class_weight.*'maybe'"):
        classifier(class_weight={"maybe": 2.0}).fit(FRAME, WORDS)
    with pytest.raises(ValueError, match=r"class_weight.*-1"):
        classifier(class_weight={"yes": -1}).fit(FRAME, WORDS)
    every = {"yes": 2.0, "no": 1.0}
    first = classifier(class_weight=every).fit(FRAME, WORDS)
    second = classifier(class_weight=every | {"maybe": 3.0}).fit(FRAME, WORDS)
    np.testing.assert_array_equal(first.predict_proba(FRAME), second.predict_proba(FRAME))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("eval_metric", "aucc"), ("preset", Fast), ("validation_fraction", 1.0), ("time_limit", 0)],
)
def test_bad_parameters_are_named(parameter: str, value: Any) -> None:
    with pytest.raises(ValueError, match=parameter):
        classifier().set_params(**{parameter: value}).fit(FRAME, Y)


def test_a_score_that_a_fold_cannot_have_is_an_error_that_names_it() -> None:
    y = np.zeros(N, dtype=int)
    y[0] = 1
    with pytest.raises(ValueError, match=r"roc_auc.*lack a class"):
        classifier(eval_metric="roc_auc").fit(FRAME, y)


@pytest.mark.parametrize("n_rows", [2, 3, 7])
def test_very_few_rows_can_be_fitted(n_rows: int) -> None:
    found = classifier().fit(FRAME[:n_rows], np.arange(n_rows) % 2)
    assert np.isfinite(found.predict_proba(FRAME)).all()
    values = regressor().fit(FRAME[:n_rows], np.arange(n_rows)).predict(FRAME)
    assert np.isfinite(values).all()


def test_classes_of_a_single_row_are_predicted() -> None:
    found = classifier().fit(FRAME[:10], [0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
    shares = found.predict_proba(FRAME)
    assert shares.shape == (N, 5)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_a_class_that_most_folds_lack_is_kept() -> None:
    y = WORDS.astype(object)
    y[7] = "rare"
    found = classifier().fit(FRAME, y)
    assert found.classes_.tolist() == ["no", "rare", "yes"]
    shares = found.predict_proba(FRAME)
    assert shares[:, 1].max() < 0.5
    assert found.score(FRAME, y) > 0.8


def test_a_constant_target_is_predicted_exactly() -> None:
    assert set(regressor().fit(FRAME, np.full(N, 3.0)).predict(FRAME)) == {3.0}


@pytest.mark.parametrize("frame", [True, False])
def test_no_row_and_one_row_are_predicted(frame: bool) -> None:
    x = FRAME if frame else X
    found = classifier().fit(x, Y)
    assert found.predict(x[:0]).shape == (0,)
    assert found.predict_proba(x[:0]).shape == (0, 2)
    assert regressor().fit(x, X[:, 0]).predict(x[:0]).shape == (0,)
    one = found.predict_proba(x[4:5])
    np.testing.assert_allclose(one, found.predict_proba(x)[4:5], rtol=1e-12)


def test_grids_take_names_and_presets() -> None:
    presets = [TINY, Fast(n_members=1, epochs=2, width=4), "realmlp-s"]
    grid = {"preset": presets, "time_limit": [1e-6]}
    found = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(FRAME, Y)
    assert len(found.cv_results_["params"]) == 3
    copied = clone(found.best_estimator_)
    assert copied.get_params() == found.best_estimator_.get_params()
    assert clone(classifier().set_params(preset="tabm")).preset == "tabm"


@pytest.mark.parametrize("preset", ["fast", "auto"])
def test_a_tiny_time_limit_leaves_one_epoch(preset: str) -> None:
    found = classifier(time_limit=1e-9).set_params(preset=preset).fit(FRAME, Y)
    assert {len(one.history.records) for one in found.ensemble_.models} == {1}
    assert np.isfinite(found.predict_proba(FRAME)).all()


def test_notes_are_saved(tmp_path: Any) -> None:
    frame = FRAME.assign(constant=1)
    found = classifier().fit(frame, Y)
    assert [note.split()[0] for note in found.notes_] == ["constant"]
    found.save(tmp_path / "m.safetensors")
    loaded = anynet.TabularClassifier.load(tmp_path / "m.safetensors", backend="numpy")
    assert loaded.notes_ == found.notes_


def test_weights_of_the_networks_are_kept_in_predictions_and_files(tmp_path: Any) -> None:
    found = classifier().fit(FRAME, Y)
    before = found.predict_proba(FRAME)
    ensemble = found.ensemble_
    found.ensemble_ = anynet.Ensemble(ensemble.models, ensemble.metadata, [0.9, 0.1])
    weighted = found.predict_proba(FRAME)
    assert np.abs(weighted - before).max() > 1e-3
    found.save(tmp_path / "m.safetensors")
    loaded = anynet.TabularClassifier.load(tmp_path / "m.safetensors", backend="numpy")
    np.testing.assert_allclose(loaded.predict_proba(FRAME), weighted, rtol=1e-12)
