"""Permutation importance and partial dependence against scikit-learn's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.inspection
from sklearn.metrics import log_loss

import anynet
from anynet.inspect import Importance, nearest_examples, partial_dependence, permutation_importance


@pytest.fixture(scope="module")
def everything() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    n = 300
    colour = rng.choice(["blue", "green", "red"], n)
    size = rng.normal(size=n).round(1)
    noise = rng.normal(size=n)
    chance = 1 / (1 + np.exp(-3 * size - 3 * (colour == "red") + 1))
    size[rng.random(n) < 0.05] = np.nan
    return {
        "colour": colour,
        "size": size,
        "noise": noise,
        "price": 5 * (colour == "red") + np.nan_to_num(size) + 100,
        "sold": np.where(rng.random(n) < chance, "yes", "no"),
    }


@pytest.fixture(scope="module")
def rows(everything: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in everything.items() if name != "price"}


def fitted(rows: dict[str, Any], target: str) -> tuple[Any, Any]:
    data = anynet.load_tabular_dataset(rows, target)
    network = anynet.mlp([data.n_inputs, 16, data.n_outputs])
    loss = "cross_entropy" if data.classes else "squared_error"
    model = anynet.fit(
        network,
        data.train,
        loss=loss,
        optimizer="adam",
        learning_rate=0.01,
        epochs=30,
        metadata=data.metadata,
        backend="numpy",
    )
    return model, data


@pytest.fixture(scope="module")
def of_classes(rows: Any) -> tuple[Any, Any]:
    return fitted(rows, "sold")


def test_importance_is_by_column_and_noise_has_none(of_classes: Any, rows: Any) -> None:
    model, data = of_classes
    assert len(data.preprocessing.input_names) > 3
    found = permutation_importance(model, rows)
    assert found.columns == ("colour", "size", "noise")
    assert found.drops.shape == (3, 10)
    assert found.scoring == "accuracy"
    assert found.columns[found.order[-1]] == "noise"
    low, high = found.interval[2]
    assert low <= 0 <= high
    assert found.interval[1][0] > 0
    assert "noise" in repr(found)


def test_importance_equals_that_of_scikit_learn_on_a_frame(of_classes: Any, rows: Any) -> None:
    pandas = pytest.importorskip("pandas")
    model, _ = of_classes
    classes = np.array(["no", "yes"])

    class Whole(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
        classes_ = classes

        def fit(self, X: Any, y: Any) -> Any:  # noqa: ARG002, N803
            return self

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, X: Any) -> Any:  # noqa: N803
            return model.predict(anynet.read_table(X))

        def predict_proba(self, X: Any) -> Any:  # noqa: N803
            return model.predict_proba(anynet.read_table(X)).astype(np.float64)

    frame = pandas.DataFrame({name: rows[name] for name in ("colour", "size", "noise")})
    for scoring in (None, "neg_log_loss", "roc_auc"):
        y = rows["sold"]
        theirs = sklearn.inspection.permutation_importance(
            Whole(), frame, y, scoring=scoring, n_repeats=4, random_state=3
        )
        ours = permutation_importance(model, rows, scoring=scoring, n_repeats=4, seed=3)
        np.testing.assert_allclose(ours.drops, theirs.importances, atol=1e-6)
    assert ours.score == pytest.approx(
        sklearn.metrics.roc_auc_score(y, Whole().predict_proba(frame)[:, 1])
    )


def test_encoded_rows_and_own_targets_give_the_same(of_classes: Any, rows: Any) -> None:
    model, data = of_classes
    x = data.preprocessing.transform(rows)
    y = (rows["sold"] == "yes").astype(int)
    raw = permutation_importance(model, rows, n_repeats=3)
    np.testing.assert_array_equal(permutation_importance(model, x, y, n_repeats=3).drops, raw.drops)
    without = {name: each for name, each in rows.items() if name != "sold"}
    again = permutation_importance(model, without, rows["sold"], n_repeats=3)
    np.testing.assert_array_equal(again.drops, raw.drops)


def test_values_are_scored_in_the_units_of_the_table(everything: Any) -> None:
    rows = {name: each for name, each in everything.items() if name != "sold"}
    model, _ = fitted(rows, "price")
    found = permutation_importance(model, rows, scoring="neg_mean_absolute_error", n_repeats=3)
    error = np.mean(np.abs(model.predict(anynet.read_table(rows)) - rows["price"]))
    assert found.score == pytest.approx(-error)
    assert permutation_importance(model, rows, n_repeats=2).scoring == "R²"


def test_rounding_errors_are_shown_as_zero() -> None:
    drops = np.array([[-3.8e-17, 1e-17], [0.02, 0.01]])
    facts = Importance(("a", "b"), drops, 0.8, "accuracy").describe()[1]
    assert facts["a"] == "0 [0, 0]"
    assert facts["b"].startswith("0.015 [")
    small = Importance(("a",), drops[:1] * 1e9, 4e-8, "neg_mean_squared_error")
    assert "e-08" in small.describe()[1]["a"]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_arrays_ensembles_and_estimators(rng: Any) -> None:
    x = rng.standard_normal((200, 4)).astype(np.float32)
    y = (x[:, 2] > 0).astype(np.int64)
    models = anynet.fit_population(
        anynet.mlp([4, 8, 2]), (x, y), [{"seed": 0}, {"seed": 1}], epochs=20, backend="numpy"
    )
    for model in (models[0], anynet.Ensemble(models)):
        found = permutation_importance(model, x, y, scoring="neg_log_loss")
        assert found.columns[found.order[0]] == "x2"
        assert found.score == pytest.approx(-log_loss(y, model.predict_proba(x)), rel=1e-5)
    estimator = anynet.MLPClassifier(
        hidden_layer_sizes=(8,), max_iter=30, random_state=0, tol=0
    ).fit(x, y)
    ours = permutation_importance(estimator, x, y, seed=1, n_repeats=3)
    theirs = sklearn.inspection.permutation_importance(estimator, x, y, random_state=1, n_repeats=3)
    np.testing.assert_array_equal(ours.drops, theirs.importances)


def test_tabular_estimators(rows: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows).drop(columns=["sold"])
    preset = anynet.tabular.Fast(n_members=1, epochs=20)
    estimator = anynet.TabularClassifier(preset, random_state=0).fit(frame, rows["sold"])
    found = permutation_importance(estimator, frame, rows["sold"], n_repeats=3)
    assert found.columns == ("colour", "size", "noise")
    assert found.columns[found.order[-1]] == "noise"
    curve = partial_dependence(estimator, frame, "size", n_values=5)
    assert curve.targets == ("yes",)
    assert curve.average[0, -1] > curve.average[0, 0]


@pytest.mark.parametrize("column", ["size", "colour"])
def test_partial_dependence_is_the_mean_of_changed_rows(
    of_classes: Any, rows: Any, column: str
) -> None:
    model, _ = of_classes
    found = partial_dependence(model, rows, column, n_values=7)
    assert found.column == column
    assert found.targets == ("yes",)
    assert found.individual.shape == (1, 300, len(found.values))
    for at, value in enumerate(found.values):
        changed = rows | {column: np.full(300, value)}
        likely = model.predict_proba(anynet.read_table(changed))[:, 1]
        np.testing.assert_allclose(found.individual[0, :, at], likely, atol=1e-6)
        assert found.average[0, at] == pytest.approx(np.mean(likely), abs=1e-6)
    if column == "colour":
        assert found.values.tolist() == ["blue", "green", "red"]
    else:
        assert 5 <= len(found.values) <= 7
        assert np.all(np.diff(found.values) > 0)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_partial_dependence_equals_that_of_scikit_learn(rng: Any) -> None:
    x = rng.standard_normal((150, 3))
    estimator = anynet.MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=30, random_state=0, tol=0
    ).fit(x, x[:, 1] ** 2)
    ours = partial_dependence(estimator, x, 1, n_values=9)
    theirs = sklearn.inspection.partial_dependence(
        estimator, x, [1], grid_resolution=9, kind="both"
    )
    np.testing.assert_array_equal(ours.values, theirs["grid_values"][0])
    np.testing.assert_array_equal(ours.average, theirs["average"])
    model = estimator.to_model()
    again = partial_dependence(model, x, "x1", n_values=9)
    np.testing.assert_allclose(again.average, theirs["average"], atol=1e-12)


def test_partial_dependence_of_three_classes_has_a_row_for_each(digits: Any) -> None:
    x, y = digits.train
    model = anynet.fit(anynet.mlp([64, 16, 10]), (x, y), epochs=1, backend="numpy")
    found = partial_dependence(model, x[:50], 20, n_values=4)
    assert found.average.shape == (10, 4)
    assert found.targets == tuple("0123456789")
    np.testing.assert_allclose(found.average.sum(axis=0), 1, rtol=1e-6)


def test_invalid_arguments_are_refused(of_classes: Any, rows: Any) -> None:
    model, data = of_classes
    with pytest.raises(anynet.InvalidArgumentError, match="no column 'sise'; did you mean 'size'"):
        partial_dependence(model, rows, "sise")
    with pytest.raises(anynet.InvalidArgumentError, match="raw rows"):
        partial_dependence(model, data.train[0], "size")
    without = {name: each for name, each in rows.items() if name != "sold"}
    with pytest.raises(anynet.DataError, match="sold"):
        permutation_importance(model, without)
    with pytest.raises(anynet.InvalidArgumentError, match="y is missing"):
        permutation_importance(model, data.train[0])
    with pytest.raises(anynet.InvalidArgumentError, match="n_repeats"):
        permutation_importance(model, rows, n_repeats=0)
    with pytest.raises(anynet.InvalidArgumentError, match="best_score"):
        permutation_importance(model, rows, scoring="best_score")
    with pytest.raises(anynet.InvalidArgumentError, match="model must be"):
        permutation_importance("model", rows)


def test_nearest_examples_of_an_example_is_itself(digits: Any) -> None:
    x, y = digits.train
    models = anynet.fit_population(
        anynet.mlp([64, 16, 10], scale=1 / 16), (x, y), [{}, {"seed": 1}], epochs=2, backend="numpy"
    )
    for model in (models[0], anynet.Ensemble(models)):
        found = nearest_examples(model, x[5:8], x, k=3)
        assert found.space == "hidden"
        assert found.indices[:, 0].tolist() == [5, 6, 7]
        np.testing.assert_allclose(found.distances[:, 0], 0, atol=1e-3)
    found = nearest_examples(models[0], x[5:8], x, k=4, space="inputs")
    floats = x.astype(float)
    for row, sample in enumerate(floats[5:8]):
        expected = np.sort(np.linalg.norm(floats - sample, axis=1))[:4]
        np.testing.assert_allclose(found.distances[row], expected)


def test_nearest_examples_without_a_hidden_layer_are_those_of_the_inputs(digits: Any) -> None:
    x, y = digits.train
    model = anynet.fit(anynet.mlp([64, 10], scale=1 / 16), (x, y), epochs=1, backend="numpy")
    assert nearest_examples(model, x[:1], x).space == "inputs"
    with pytest.raises(anynet.InvalidArgumentError, match="hidden"):
        nearest_examples(model, x[:1], x, space="hidden")
    with pytest.raises(anynet.InvalidArgumentError, match="k must be"):
        nearest_examples(model, x[:1], x[:3], k=4)
