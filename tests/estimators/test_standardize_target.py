"""``MLPRegressor(standardize_target=True)``: a standardised target, in the user's units."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_squared_error

from anynet import MLPRegressor, load

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def problem(scale: float = 50.0, mean: float = 300.0, n: int = 120) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    z = X[:, 0] - X[:, 1] ** 2 + 0.1 * rng.normal(size=n)
    return X, scale * z + mean


def standardised(y: Any) -> Any:
    return (y - y.mean(axis=0)) / y.std(axis=0)


OPTIONS: dict[str, Any] = {"hidden_layer_sizes": (12,), "max_iter": 30, "random_state": 0}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"early_stopping": True, "n_iter_no_change": 3},
        {"n_ensemble": 2},
        {"loss": "huber"},
    ],
)
@pytest.mark.parametrize("columns", [1, 2])
def test_predictions_are_those_of_a_standardised_target_in_its_units(
    options: dict[str, Any], columns: int
) -> None:
    X, y = problem()
    if columns == 2:
        y = np.stack([y, -1000 * y + 5], axis=1)
    ours = MLPRegressor(**OPTIONS, **options, standardize_target=True).fit(X, y)
    plain = MLPRegressor(**OPTIONS, **options).fit(X, standardised(y))
    expected = plain.predict(X) * y.std(axis=0) + y.mean(axis=0)
    np.testing.assert_allclose(ours.predict(X), expected, rtol=1e-9)
    assert ours.score(X, y) == pytest.approx(plain.score(X, standardised(y)))
    np.testing.assert_allclose(ours.target_mean_, np.atleast_1d(y.mean(axis=0)))
    np.testing.assert_allclose(ours.target_scale_, np.atleast_1d(y.std(axis=0)))


@pytest.mark.parametrize(("scale", "mean"), [(1e9, 1e9), (1e-9, 0.0), (3.0, 1e6)])
def test_targets_of_any_size_are_learnt(scale: float, mean: float) -> None:
    X, y = problem(scale, mean)
    options = OPTIONS | {"max_iter": 200, "learning_rate_init": 0.01}
    assert MLPRegressor(**options, standardize_target=True).fit(X, y).score(X, y) > 0.9


def test_partial_fit_and_warm_start_keep_the_units_of_the_first_call() -> None:
    X, y = problem()
    first = slice(0, 60)
    mean, scale = y[first].mean(), y[first].std()
    ours = MLPRegressor(**OPTIONS, standardize_target=True)
    plain = MLPRegressor(**OPTIONS)
    for part in (first, slice(60, 120), first):
        ours.partial_fit(X[part], y[part])
        plain.partial_fit(X[part], (y[part] - mean) / scale)
    np.testing.assert_allclose(ours.predict(X), plain.predict(X) * scale + mean, rtol=1e-9)
    ours.set_params(warm_start=True).fit(X, y)
    plain.set_params(warm_start=True).fit(X, (y - mean) / scale)
    np.testing.assert_allclose(ours.predict(X), plain.predict(X) * scale + mean, rtol=1e-9)
    ours.set_params(warm_start=False).fit(X, y)
    assert ours.target_mean_[0] == pytest.approx(y.mean())


def test_samples_of_weight_0_do_not_change_the_units() -> None:
    X, y = problem()
    weight = np.ones(len(y))
    weight[:20] = 0
    fitted = MLPRegressor(**OPTIONS, standardize_target=True).fit(X, y, weight)
    assert fitted.target_mean_[0] == pytest.approx(y[20:].mean())
    constant = MLPRegressor(**OPTIONS, standardize_target=True).fit(X, np.full(len(y), 7.0))
    assert constant.target_scale_[0] == 1


def test_scorers_see_the_units_of_the_target() -> None:
    X, y = problem()
    options = OPTIONS | {"early_stopping": True, "scoring": "neg_mean_squared_error"}
    ours = MLPRegressor(**options, standardize_target=True)
    ours.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    error = mean_squared_error(y[80:], ours.predict(X[80:]))
    assert ours.best_validation_score_ == pytest.approx(-error)


def test_other_forms_predict_in_the_units_of_the_target(tmp_path: Path) -> None:
    X, y = problem()
    ours = MLPRegressor(**OPTIONS, standardize_target=True).fit(X, y)
    expected = ours.predict(X)
    ours.save(tmp_path / "model.safetensors")
    loaded = MLPRegressor.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), expected)
    np.testing.assert_array_equal(loaded.target_mean_, ours.target_mean_)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).predict(X), expected)
    model = load(tmp_path / "model.safetensors", backend="numpy")
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)
    np.testing.assert_allclose(ours.to_sklearn().predict(X), expected, rtol=1e-12)
    onnxruntime = pytest.importorskip("onnxruntime")
    ours.to_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(session.run(["value"], {"x": X})[0], expected, rtol=1e-9)


def test_a_loss_of_logarithms_is_refused() -> None:
    X, y = problem()
    with pytest.raises(ValueError, match="standardize_target"):
        MLPRegressor("poisson", standardize_target=True).fit(X, y**2)


@pytest.mark.parametrize(
    ("scale", "warned"), [(1.0, False), (5.0, False), (1e3, True), (1e-3, True)]
)
def test_a_spread_far_from_1_is_a_warning(scale: float, warned: bool) -> None:
    X, y = problem(scale)
    for options in ({}, {"standardize_target": True}):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            MLPRegressor(**OPTIONS, **options).fit(X, y)
        spread = [each for each in found if "standardize_target" in str(each.message)]
        assert bool(spread) == (warned and not options)
        assert all(issubclass(each.category, ConvergenceWarning) for each in spread)
