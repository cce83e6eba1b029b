"""Training on a CUDA device: the models of NumPy, from captured steps, however it is used."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from runs import stop_at

import anynet
from anynet import tree
from anynet.backends.select import PRECISIONS

pytestmark = pytest.mark.cuda

QUICK: dict[str, Any] = {"epochs": 3, "batch_size": 16}


@pytest.fixture
def some(digits: anynet.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return digits.train[0][:210], digits.train[1][:210]


@pytest.fixture
def network(digits: anynet.Dataset) -> anynet.Network:
    return anynet.mlp([64, 16, 10], dropout=0.1, scale=digits.scale)


def weights(model: anynet.Model) -> list[np.ndarray]:
    return [model.backend.to_host(leaf) for leaf in tree.leaves(model.params)]


def assert_close(model: anynet.Model, other: anynet.Model, **tolerance: float) -> None:
    """Check that the weights of two models are equal to rounding."""
    for mine, others in zip(weights(model), weights(other), strict=True):
        np.testing.assert_allclose(mine, others, **{"rtol": 1e-3, "atol": 1e-4} | tolerance)


def test_arrays_of_the_host_and_of_the_device_give_the_same_model(
    on_cuda: str, some: Any, network: anynet.Network
) -> None:
    x, y = some
    backend = anynet.get_backend(on_cuda, "cuda")
    x_there, y_there = backend.to_device(x), backend.to_device(y)
    held, held_there = (x[:50], y[:50]), (x_there[:50], y_there[:50])
    models = [
        anynet.fit(network, data, validation=validation, **where, **QUICK)
        for data, validation, where in (
            ((x, y), held, {"backend": "numpy"}),
            ((x, y), held, {"backend": on_cuda, "device": "cuda"}),
            ((x_there, y_there), held_there, {}),
            ((x_there, y), held, {}),
            ((x, y_there), held_there, {"backend": backend}),
        )
    ]
    for model in models[1:]:
        assert model.backend == backend
        assert_close(model, models[0])
    found = models[2].predict_proba(x_there)
    assert type(found) is type(x_there)
    np.testing.assert_allclose(
        backend.to_host(found), models[0].predict_proba(x), rtol=1e-2, atol=1e-4
    )
    assert models[2].score(x_there, y_there) == pytest.approx(models[0].score(x, y), abs=0.01)


def test_the_weights_of_the_best_epoch_are_kept(
    on_cuda: str, some: Any, network: anynet.Network
) -> None:
    """Captured steps write into the memory of the state: the best weights must be a copy."""
    options: dict[str, Any] = {"validation": 60, "epochs": 12, "learning_rate": 0.7, "patience": 2}
    models = [
        anynet.fit(network, some, batch_size=16, backend=one, **options)
        for one in (anynet.get_backend(on_cuda, "cuda"), "numpy")
    ]
    best, total = ([m.history.best_epoch, len(m.history.records)] for m in models)
    assert best == total
    assert best[0] < best[1] < 12
    assert_close(*models, rtol=0.02, atol=2e-3)


def test_an_interrupted_epoch_leaves_the_last_finished_one(
    on_cuda: str, some: Any, network: anynet.Network
) -> None:
    backend = anynet.get_backend(on_cuda, "cuda")
    expected = anynet.fit(network, some, backend=backend, **QUICK | {"epochs": 1})
    with pytest.raises(anynet.TrainingInterrupted) as stopped:
        anynet.fit(network, some, backend=backend, progress=stop_at(2, 100), **QUICK)
    assert_close(stopped.value.model, expected, rtol=0, atol=0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_training_with_reduced_precision_is_captured_and_keeps_float32_weights(
    on_cuda: str, some: Any, network: anynet.Network, precision: str
) -> None:
    reduced, full = (
        anynet.fit(network, some, backend=anynet.get_backend(on_cuda, "cuda", **how), **QUICK)
        for how in ({"precision": precision}, {})
    )
    assert {array.dtype for array in weights(reduced)} == {np.dtype(np.float32)}
    assert_close(reduced, full, rtol=0.05, atol=0.02)
    pairs = zip(weights(reduced), weights(full), strict=True)
    assert any(np.any(mine != others) for mine, others in pairs)


def test_a_population_runs_as_many_steps_as_one_network(
    on_cuda: str, some: Any, network: anynet.Network
) -> None:
    configs = [{"seed": seed, "learning_rate": 0.05 * (seed + 1)} for seed in range(3)]
    backends = [anynet.get_backend(on_cuda, "cuda", "float64") for _ in range(4)]
    together = anynet.fit_population(network, some, configs, backend=backends[0], **QUICK)
    for config, model, backend in zip(configs, together, backends[1:], strict=True):
        assert_close(
            model, anynet.fit(network, some, backend=backend, **QUICK, **config), rtol=1e-8
        )
    assert len({backend.describe()["loop"] for backend in backends}) == 1


def test_cross_validation_gives_the_scores_of_numpy(
    on_cuda: str, some: Any, network: anynet.Network
) -> None:
    configs = [{"learning_rate": 0.05}, {"learning_rate": 0.2}]
    mine, numpys = (
        anynet.cross_validate(network, some, configs, folds=3, backend=backend, **QUICK)
        for backend in (anynet.get_backend(on_cuda, "cuda"), "numpy")
    )
    np.testing.assert_allclose(mine.scores, numpys.scores, atol=0.03)
    for model, other in zip(chain(*mine.models), chain(*numpys.models), strict=True):
        assert_close(model, other)


def test_models_are_copied_saved_loaded_and_trained_on(
    on_cuda: str, some: Any, network: anynet.Network, tmp_path: Path
) -> None:
    backend = anynet.get_backend(on_cuda, "cuda")
    model = anynet.fit(network, some, backend=backend, **QUICK)
    expected = model.predict_proba(some[0])
    path = tmp_path / "model.safetensors"
    model.save(path)
    for again in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        anynet.load(path, backend=backend),
    ):
        assert again.backend == backend
        np.testing.assert_array_equal(again.predict_proba(some[0]), expected)
    on_numpy = anynet.load(path, backend="numpy")
    np.testing.assert_allclose(on_numpy.predict_proba(some[0]), expected, rtol=1e-4, atol=1e-6)
    further = [
        anynet.fit(network, some, start=start, backend=start.backend, **QUICK)
        for start in (model, on_numpy)
    ]
    assert_close(*further)


def test_an_ensemble_averages_its_members_on_the_device(
    on_cuda: str, some: Any, network: anynet.Network, tmp_path: Path
) -> None:
    backend = anynet.get_backend(on_cuda, "cuda")
    configs = [{"seed": seed} for seed in range(3)]
    members = anynet.fit_population(network, some, configs, backend=backend, **QUICK)
    ensemble = anynet.Ensemble(members)
    mean = np.mean([member.predict_proba(some[0]) for member in members], axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(some[0]), mean, rtol=1e-5)
    ensemble.save(tmp_path / "ensemble.safetensors")
    for where in (backend, "numpy"):
        again = anynet.load(tmp_path / "ensemble.safetensors", backend=where)
        np.testing.assert_allclose(again.predict_proba(some[0]), mean, rtol=1e-4, atol=1e-6)


def test_fits_in_two_threads_equal_fits_alone(
    on_cuda: str, some: Any, network: anynet.Network
) -> None:
    """Captures share the streams of the device: none may record the work of another thread."""

    def fit(seed: int, start: Barrier) -> list[np.ndarray]:
        backend = anynet.get_backend(on_cuda, "cuda")
        options: dict[str, Any] = {"validation": 40, "seed": seed, "optimizer": "adam"}
        start.wait()
        return weights(anynet.fit(network, some, backend=backend, **options, **QUICK))

    alone = [fit(seed, Barrier(1)) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fit, range(2), [Barrier(2, timeout=120)] * 2))
    for mine, others in zip(alone, together, strict=True):
        for leaf, same in zip(mine, others, strict=True):
            np.testing.assert_array_equal(leaf, same)
