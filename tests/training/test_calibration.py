"""Temperature scaling: the best temperature, unchanged predictions, all backends, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

import anynet
from anynet.backends import Backend
from anynet.training.calibration import best_temperature

Rows = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def held_out(digits: anynet.Dataset) -> Rows:
    """Return rows that no model here is trained on."""
    x, y = digits.train
    return x[500:], y[500:]


@pytest.fixture(scope="module")
def confident(digits: anynet.Dataset) -> anynet.Model:
    """Train a model until it is overconfident."""
    x, y = digits.train
    network = anynet.mlp([64, 64, 10], scale=digits.scale)
    options: dict[str, Any] = {"epochs": 60, "optimizer": "adam", "learning_rate": 0.02}
    return anynet.fit(network, (x[:200], y[:200]), backend="numpy", **options)


def loss_of(model: Any, rows: Rows, weight: np.ndarray | None = None) -> float:
    likely = np.asarray(model.predict_proba(rows[0]), dtype=np.float64)
    likely /= likely.sum(axis=1, keepdims=True)
    return float(log_loss(rows[1], likely, labels=np.arange(10), sample_weight=weight))


def test_the_temperature_minimises_the_log_loss_and_keeps_the_predictions(
    confident: anynet.Model, held_out: Rows
) -> None:
    calibrated = anynet.calibrate(confident, held_out)
    logits = np.asarray(confident.logits(held_out[0]), dtype=np.float64)
    at = np.arange(len(logits)), held_out[1]
    found = minimize_scalar(
        lambda t: -np.mean(log_softmax(logits / t, axis=1)[at]), bounds=(0.1, 10), method="bounded"
    )
    assert calibrated.metadata["temperature"] == pytest.approx(found.x, rel=1e-4)
    assert calibrated.metadata["temperature"] > 1.2
    assert loss_of(calibrated, held_out) < loss_of(confident, held_out)
    np.testing.assert_array_equal(calibrated.predict(held_out[0]), confident.predict(held_out[0]))
    wanted = softmax(logits / found.x, axis=1)
    np.testing.assert_allclose(calibrated.predict_proba(held_out[0]), wanted, rtol=1e-3, atol=1e-6)
    assert calibrated.history is confident.history
    assert "temperature" not in confident.metadata


def test_the_temperature_equals_that_of_scikit_learn(
    confident: anynet.Model, held_out: Rows
) -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    frozen = pytest.importorskip("sklearn.frozen")  # 1.6
    estimator = frozen.FrozenEstimator(anynet.export.to_sklearn(confident))
    x = held_out[0] * np.float32(1)
    try:
        other = calibration.CalibratedClassifierCV(estimator, method="temperature")
        other.fit(x, held_out[1])
    except ValueError:  # before 1.8
        pytest.skip("this scikit-learn has no temperature scaling")
    calibrated = anynet.calibrate(confident, held_out)
    np.testing.assert_allclose(
        calibrated.predict_proba(held_out[0]), other.predict_proba(x), atol=2e-3
    )


def test_calibrating_twice_changes_nothing_more(confident: anynet.Model, held_out: Rows) -> None:
    once = anynet.calibrate(confident, held_out)
    twice = anynet.calibrate(once, held_out)
    assert twice.metadata["temperature"] == pytest.approx(once.metadata["temperature"], rel=1e-4)
    assert loss_of(twice, held_out) == pytest.approx(loss_of(once, held_out), rel=1e-5)


def test_weights_of_samples_count(confident: anynet.Model, held_out: Rows) -> None:
    x, y = held_out
    weight = np.where(np.arange(len(y)) < 300, 2.0, 0.0)
    weighted = anynet.calibrate(confident, (x, y, weight)).metadata["temperature"]
    chosen = anynet.calibrate(confident, (x[:300], y[:300])).metadata["temperature"]
    assert weighted == pytest.approx(chosen, rel=1e-5)


def test_every_backend_computes_the_same(
    backend: Backend, confident: anynet.Model, held_out: Rows
) -> None:
    calibrated = anynet.calibrate(confident.to(backend), held_out)
    expected = anynet.calibrate(confident, held_out)
    likely = calibrated.predict_proba(held_out[0])
    np.testing.assert_allclose(likely, expected.predict_proba(held_out[0]), rtol=1e-3, atol=1e-6)
    assert calibrated.params[-1]["weight"].dtype == confident.to(backend).params[-1]["weight"].dtype


def test_files_hold_the_temperature(
    confident: anynet.Model, held_out: Rows, tmp_path: Path
) -> None:
    calibrated = anynet.calibrate(confident, held_out)
    calibrated.save(tmp_path / "m.safetensors")
    loaded = anynet.load(tmp_path / "m.safetensors", backend="numpy")
    assert loaded.metadata == calibrated.metadata
    likely = calibrated.predict_proba(held_out[0])
    np.testing.assert_array_equal(loaded.predict_proba(held_out[0]), likely)
    again = anynet.fit(confident.network, held_out, start=calibrated, epochs=1)
    assert again.network == confident.network


def test_one_temperature_is_best_for_the_mean_of_an_ensemble(
    digits: anynet.Dataset, held_out: Rows
) -> None:
    x, y = digits.train
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    configs = [{"seed": seed} for seed in range(3)]
    models = anynet.fit_population(network, (x[:300], y[:300]), configs, backend="numpy")
    ensemble = anynet.Ensemble(models, {"classes": None}, [3, 2, 1])
    calibrated = anynet.calibrate(ensemble, held_out)
    temperature = calibrated.metadata["temperature"]
    assert calibrated.weights == ensemble.weights
    assert loss_of(calibrated, held_out) < loss_of(ensemble, held_out)

    def loss_at(t: float) -> float:
        means = [softmax(np.float64(one.logits(held_out[0])) / t, axis=1) for one in models]
        mean = np.average(means, axis=0, weights=[3, 2, 1])
        return float(log_loss(held_out[1], mean / mean.sum(axis=1, keepdims=True)))

    assert loss_at(temperature) <= min(loss_at(temperature * 1.02), loss_at(temperature / 1.02))


def test_labels_are_calibrated_together(rng: np.random.Generator) -> None:
    x = rng.standard_normal((400, 6))
    chance = 1 / (1 + np.exp(-2 * x[:, :2]))
    labels = (rng.random((400, 2)) < chance).astype(int)
    network = anynet.mlp([6, 64, 2])
    options: dict[str, Any] = {"epochs": 60, "optimizer": "adam", "learning_rate": 0.01}
    model = anynet.fit(network, (x[:100], labels[:100]), backend="numpy", **options)
    new = x[100:], labels[100:]
    calibrated = anynet.calibrate(model, new)
    assert calibrated.metadata["temperature"] > 1.5
    assert calibrated.evaluate(*new).loss < model.evaluate(*new).loss
    np.testing.assert_array_equal(calibrated.predict(new[0]), model.predict(new[0]))


def test_what_has_no_temperature_is_refused(
    confident: anynet.Model, held_out: Rows, digits: anynet.Dataset
) -> None:
    x, y = held_out
    right = np.flatnonzero(confident.predict(x) == y)[:50]
    with pytest.raises(anynet.InvalidArgumentError, match="predicted correctly"):
        anynet.calibrate(confident, (x[right], y[right]))
    with pytest.raises(anynet.InvalidArgumentError, match="still falls at 50"):
        anynet.calibrate(confident, (x, (confident.predict(x) + 1) % 10))
    values = anynet.fit(anynet.mlp([64, 4, 1]), (x, y * 1.0), epochs=1, backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match="squared_error"):
        anynet.calibrate(values, (x, y * 1.0))
    layers = (*anynet.mlp([64, 8, 10], scale=digits.scale).layers, anynet.nn.Activation("identity"))
    network = anynet.Network(64, layers)
    model = anynet.fit(network, held_out, epochs=1, backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match="dense"):
        anynet.calibrate(model, held_out)
    with pytest.raises(anynet.InvalidArgumentError, match="must be a Model"):
        anynet.calibrate("model", held_out)  # type: ignore[type-var]


def test_the_search_finds_the_minimum_of_a_convex_function() -> None:
    for best in (0.05, 1.0, 3.7, 30.0):
        found = best_temperature(lambda t, b=best: (np.log(t) - np.log(b)) ** 2)
        assert found == pytest.approx(best, rel=1e-6)


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "evaluation.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "evaluation.md", "exec"), names)
    temperature, loss = map(float, capsys.readouterr().out.split())
    assert temperature > 1
    assert loss < names["model"].evaluate(*names["data"].test).loss
