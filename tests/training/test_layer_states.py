"""Layers with state: training, checkpoints, files, populations, ensembles."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.config import register, registered
from anynet.data.batches import Rows
from anynet.data.subset import Subset, train_validation_split
from anynet.nn import BatchNorm, CrossEntropy, Dense, Network, ParameterFree, Standardize
from anynet.optim import SGD, Constant
from anynet.training.state import first_weights, initial_state
from anynet.training.step import TrainingStep

OPTIONS: dict[str, Any] = {"epochs": 4, "batch_size": 32, "backend": "numpy", "learning_rate": 0.3}


def network(**options: Any) -> anynet.Network:
    return anynet.mlp([64, 16, 10], **({"batch_norm": True, "dropout": 0.2} | options))


@pytest.fixture(scope="module")
def data(digits: anynet.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = digits.train
    return x[:481], y[:481]  # 481 = 15 · 32 + 1: a batch of one sample


@pytest.fixture(scope="module")
def model(data) -> anynet.Model:
    both = Network(64, (Standardize(), *network().layers))
    return anynet.fit(both, data, seed=3, **OPTIONS)


def same_bits(one: anynet.Model, other: anynet.Model) -> None:
    leaves = [tree.leaves((each.params, each.states)) for each in (one, other)]
    for ours, theirs in zip(*leaves, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_training_learns_and_prediction_uses_running_statistics(model, data) -> None:
    assert model.score(*data) > 0.9
    x = data[0][:1]
    np.testing.assert_allclose(model.predict_proba(x), model.predict_proba(data[0])[:1], rtol=1e-5)
    assert model.evaluate(*data).loss == pytest.approx(
        -np.mean(np.log(model.predict_proba(data[0])[np.arange(481), data[1]])), rel=1e-4
    )


def test_files_pickles_copies_backends_and_ensembles_keep_the_states(
    model, data, tmp_path: Path
) -> None:
    model.save(tmp_path / "model.safetensors")
    anynet.Ensemble([model, model]).save(tmp_path / "two.safetensors")
    expected = model.predict_proba(data[0])
    for again in (
        anynet.load(tmp_path / "model.safetensors", "numpy"),
        anynet.Ensemble.load(tmp_path / "two.safetensors", "numpy").models[1],
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        same_bits(model, again)
        np.testing.assert_array_equal(again.predict_proba(data[0]), expected)
    wide = model.to(anynet.get_backend("numpy", dtype="float64"))
    np.testing.assert_allclose(wide.predict_proba(data[0]), expected, rtol=1e-3, atol=1e-6)
    assert {str(leaf.dtype) for leaf in tree.leaves(wide.states)} == {"float64"}


def test_a_file_without_the_states_raises(model, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    broken = Network(64, model.network.layers)
    without = anynet.Model(broken, model.params, model.loss, model.backend)
    without.save(path)
    with pytest.raises(anynet.ModelFileError, match=r"tensor state\.0\.mean"):
        anynet.load(path, "numpy")


@pytest.mark.parametrize("average", [None, 0.9])
def test_a_resumed_run_is_bitwise_equal_to_the_uninterrupted_run(
    data, tmp_path, average: Any
) -> None:
    both = Network(64, (Standardize(), *network().layers))
    options = OPTIONS | {"average": average, "validation": 0.2, "seed": 5, "patience": None}
    straight = anynet.fit(both, data, **options)

    def stop(record: Any) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        anynet.fit(both, data, checkpoint=tmp_path / "run", callbacks=stop, **options)
    resumed = anynet.resume(tmp_path / "run", data)
    same_bits(straight, resumed)


def test_averaged_weights_use_the_current_statistics(data) -> None:
    plain, averaged = (
        anynet.fit(network(), data, average=average, **OPTIONS) for average in (None, 0.9)
    )
    for ours, theirs in zip(tree.leaves(plain.states), tree.leaves(averaged.states), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(plain.params[0]["weight"], averaged.params[0]["weight"])


@pytest.mark.parametrize("shared_order", [False, True])
def test_population_members_match_single_runs(data, shared_order: bool) -> None:
    both = Network(64, (Standardize(), *network().layers))
    configs = [{"seed": 1, "learning_rate": 0.05}, {"seed": 2, "learning_rate": 0.1}]
    if shared_order:
        configs = [config | {"seed": 1} for config in configs]
    options = OPTIONS | {"validation": 0.2, "epochs": 2}
    del options["learning_rate"]
    for config, member in zip(
        configs, anynet.fit_population(both, data, configs, **options), strict=True
    ):
        alone = anynet.fit(both, data, **config, **options)
        leaves = [tree.leaves((each.params, each.states)) for each in (member, alone)]
        for ours, theirs in zip(*leaves, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4)


def test_adversarial_samples_do_not_update_the_statistics(backend64: Backend, data) -> None:
    x, y = data[0][:32].astype(np.float64), data[1][:32].astype(np.int32)
    states = []
    for distance in (None, 4.0):
        step = TrainingStep(
            network(), CrossEntropy(), SGD(), Constant(0.1), 1, backend64, adversarial=distance
        )
        state = initial_state(step.network, step.loss, step.optimizer, 0, backend64)
        order = backend64.to_device(np.arange(32, dtype=np.int32)[None])
        state = backend64.loop(step).run(state, order, tree.map(backend64.to_device, Rows(x, y)))
        states.append([backend64.to_host(leaf) for leaf in tree.leaves(state.states)])
    for ours, theirs in zip(*states, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_batch_size_of_one_raises(data) -> None:
    with pytest.raises(InvalidArgumentError, match="batch_size of at least 2"):
        anynet.fit(network(), data, **OPTIONS | {"batch_size": 1})


@pytest.mark.skip_backend("strict", reason="its arrays belong to no library")
def test_standardize_matches_scikit_learn(backend: Backend, rng, monkeypatch) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    monkeypatch.setattr("anynet.training.state.BLOCK_NUMBERS", 70)
    x = (rng.standard_normal((97, 7)) * 10.0 ** np.arange(-3, 4) + 5).astype(np.float32)
    x[:, 2] = 0.1
    index = np.sort(rng.permutation(97)[:60])
    scaler = preprocessing.StandardScaler().fit(x[index].astype(np.float64))
    for rows in (x, backend.to_device(x)):
        samples = Subset(Rows(rows, None), index)
        weights = first_weights(Network(7, (Standardize(), Dense(2))), 0, samples, backend)
        state, *rest = tree.map(backend.to_host, weights.states)
        assert rest == [{}]
        np.testing.assert_allclose(state["mean"], scaler.mean_, rtol=1e-6)
        np.testing.assert_allclose(state["scale"], 1 / scaler.scale_, rtol=1e-6)


def test_standardize_uses_the_statistics_of_the_training_rows(data, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", data[0])
    source = anynet.open_source(tmp_path / "x.npy")
    plain = anynet.mlp([64, 8, 10], standardize=True)
    options = OPTIONS | {"validation": 0.25, "epochs": 1}
    models = [anynet.fit(plain, (x, data[1]), **options) for x in (data[0], source)]
    kept, _ = train_validation_split(481, 0.25, 0)
    for model in models:
        np.testing.assert_allclose(
            model.states[0]["mean"], data[0][kept].mean(0), rtol=1e-5, atol=1e-6
        )


def test_standardize_excludes_scale_and_must_be_first() -> None:
    with pytest.raises(InvalidArgumentError, match=r"leave out scale=0\.5"):
        anynet.mlp([4, 3], standardize=True, scale=0.5)
    with pytest.raises(InvalidArgumentError, match=r"must be the first.* 1"):
        Network(4, (BatchNorm(), Standardize(), Dense(2)))


@pytest.fixture
def centre() -> Iterator[Any]:
    """Register, for one test, a user-defined layer that subtracts a running mean."""

    @register("layer")
    @dataclass(frozen=True)
    class Centre(ParameterFree):
        kind: ClassVar[str] = "centre"

        def init_state(self, n_in: int) -> dict[str, np.ndarray]:
            return {"mean": np.zeros(n_in)}

        def apply_with_state(self, params, state, x, *, backend, key):  # noqa: ARG002
            mean = state["mean"]
            if key is not None:
                state = {"mean": 0.5 * mean + 0.5 * backend.xp.mean(x, axis=-2)}
            y = x - mean[..., None, :]
            return y, lambda dy, need_dx=True: ({}, dy if need_dx else None), state

    yield Centre
    del registered("layer")["centre"]


def test_a_user_defined_layer_with_state_trains_and_is_saved(
    backend: Backend, data, centre: Any, tmp_path: Path
) -> None:
    if backend.name in ("strict", "readonly"):
        pytest.skip("fit does not accept its arrays")
    own = Network(64, (centre(), Dense(8), Dense(10)))
    model = anynet.fit(own, data, epochs=1, backend=backend, learning_rate=0.01)
    # of 16 samples
    assert np.abs(backend.to_host(model.states[0]["mean"]) - data[0].mean(0)).max() < 3
    model.save(tmp_path / "own.safetensors")
    again = anynet.load(tmp_path / "own.safetensors", backend)
    np.testing.assert_array_equal(again.predict_proba(data[0]), model.predict_proba(data[0]))


def test_configurations_round_trip_through_json() -> None:
    one = network(standardize=True).freeze([1, -1])
    assert one.frozen == (1, len(one.layers) - 1)
    assert Network.from_config(one.to_config()) == one
    assert "frozen" not in network().to_config()
