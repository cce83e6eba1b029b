"""Ensembles and cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

import anynet
from anynet import tree
from anynet.backends import Backend


@pytest.fixture
def some(digits: anynet.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = digits.train
    return x[:300], y[:300]


def train(data: Any, sizes: list[int], backend: Any, n: int = 3, **options: Any) -> Any:
    network = anynet.mlp(sizes, scale=1 / 16)
    configs = [{"seed": seed} for seed in range(n)]
    return anynet.fit_population(network, data, configs, epochs=3, backend=backend, **options)


def test_ensemble_probabilities_are_averages(backend64: Backend, some: Any) -> None:
    models = train(some, [64, 16, 10], backend64)
    ensemble = anynet.Ensemble(models)
    mean = np.mean([model.predict_proba(some[0]) for model in models], axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(some[0]), mean, rtol=1e-12)
    np.testing.assert_array_equal(ensemble.predict(some[0]), mean.argmax(axis=1))
    weight = np.linspace(0, 2, 300)
    assert ensemble.score(*some) == pytest.approx(accuracy_score(some[1], mean.argmax(axis=1)))
    assert ensemble.score(*some, weight) == pytest.approx(
        accuracy_score(some[1], mean.argmax(axis=1), sample_weight=weight)
    )


def test_ensembles_predict_labels_and_values(rng: np.random.Generator) -> None:
    x = rng.standard_normal((200, 5))
    labels = (x[:, :2] > 0).astype(int)
    ensemble = anynet.Ensemble(train((x, labels), [5, 8, 2], "numpy"))
    predicted = ensemble.predict(x)
    np.testing.assert_array_equal(predicted, ensemble.predict_proba(x) > 0.5)
    assert ensemble.score(x, labels) == pytest.approx(accuracy_score(labels, predicted))
    values = x[:, 0] - 2 * x[:, 1]
    models = train((x, values), [5, 8, 1], "numpy")
    ensemble = anynet.Ensemble(models)
    assert ensemble.predict(x).shape == (200,)
    np.testing.assert_allclose(
        ensemble.predict(x), np.mean([m.predict(x) for m in models], axis=0), rtol=1e-5, atol=1e-6
    )
    assert ensemble.score(x, values) == pytest.approx(r2_score(values, ensemble.predict(x)))
    with pytest.raises(anynet.InvalidArgumentError, match="predicts values"):
        ensemble.predict_proba(x)


def test_an_ensemble_is_saved_in_one_file(some: Any, tmp_path: Path) -> None:
    models = [*train(some, [64, 16, 10], "numpy"), *train(some, [64, 8, 8, 10], "numpy", n=1)]
    ensemble = anynet.Ensemble(models, {"note": "four"})
    path = tmp_path / "ensemble.safetensors"
    ensemble.save(path)
    loaded = anynet.Ensemble.load(path, backend="numpy")
    assert loaded.metadata == {"note": "four"}
    np.testing.assert_array_equal(loaded.predict_proba(some[0]), ensemble.predict_proba(some[0]))
    assert isinstance(anynet.load(path, backend="numpy"), anynet.Ensemble)
    models[0].save(path)
    with pytest.raises(anynet.ModelFileError, match="not an ensemble"):
        anynet.Ensemble.load(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(anynet.ModelFileError, match="cannot be read"):
        anynet.Ensemble.load(path)


def test_no_members_or_members_with_different_tasks_raise(
    some: Any, rng: np.random.Generator
) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="at least one"):
        anynet.Ensemble([])
    x = rng.standard_normal((40, 64))
    others = train((x, rng.standard_normal((40, 10))), [64, 10], "numpy", n=1)
    with pytest.raises(anynet.InvalidArgumentError, match=r"classes in 10.*model 1 values in 10"):
        anynet.Ensemble([*train(some, [64, 10], "numpy", n=1), *others])


def test_each_fold_matches_a_fit_on_the_other_folds(some: Any) -> None:
    network = anynet.mlp([64, 12, 10], scale=1 / 16)
    configs = [{"learning_rate": 0.1, "seed": 1}, {"learning_rate": 0.3, "seed": 2}]
    backend = anynet.get_backend("numpy", dtype="float64")
    options = {"epochs": 3, "backend": backend, "validation": 0.1}
    x, y = some
    found = anynet.cross_validate(network, some, configs, folds=4, **options)
    assert found.scores.shape == (2, 4)
    covered = []
    for config, models, scores in zip(configs, found.models, found.scores, strict=True):
        for fold, (model, score) in enumerate(zip(models, scores, strict=True)):
            order = anynet.seeds.host_generator(0, anynet.seeds.Purpose.SPLIT).permutation(300)
            out = np.sort(order[75 * fold : 75 * fold + 75])
            kept = np.setdiff1d(np.arange(300), out)
            covered.extend(out)
            single = anynet.fit(network, (x[kept], y[kept]), **config, **options)
            assert score == single.score(x[out], y[out])
            assert model.history.best_epoch == single.history.best_epoch
            for got, expected in zip(
                tree.leaves(model.params), tree.leaves(single.params), strict=True
            ):
                np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(np.bincount(covered), np.full(300, 2))


@pytest.mark.parametrize("folds", [1, 301, 2.5, True])
def test_invalid_folds_raise(some: Any, folds: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="folds must be"):
        anynet.cross_validate(anynet.mlp([64, 10]), some, folds=folds, backend="numpy")


@pytest.mark.parametrize(
    ("samples", "message"), [([], "at least one"), ([0, 300], "in \\[0, 300"), ([0.5], "at least")]
)
def test_invalid_samples_raise(some: Any, samples: Any, message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        anynet.fit_population(anynet.mlp([64, 10]), some, [{"samples": samples}], backend="numpy")
