"""Greedy ensemble selection: a brute-force oracle, any score, weights in files, the online form."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import anynet
from anynet.nn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from anynet.training.ensemble import weighted_mean
from anynet.training.evaluate import score_outputs
from anynet.training.selection import OnlineSelection, select_greedily

N, CLASSES = 40, 3


def log_loss(mean: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    return float(np.average(np.log(mean[np.arange(len(y)), y]), weights=weight))


def labels_loss(mean: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    each = np.where(y == 1, np.log(mean), np.log(1 - mean)).mean(axis=1)
    return float(np.average(each, weights=weight))


def squared(mean: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    return -float(np.average(((mean - y) ** 2).mean(axis=1), weights=weight))


def problem(task: str, rng: np.random.Generator) -> tuple[Any, Any, Any, Any]:
    """Return candidates, targets, the loss and the formula of its score."""
    if task == "classes":
        y: Any = rng.integers(CLASSES, size=N)
        pool = 0.5 * rng.dirichlet(np.ones(CLASSES), size=(6, N)) + 0.5 * np.eye(CLASSES)[y]
        return 0.7 * pool + 0.1, y, CrossEntropy(), log_loss
    if task == "labels":
        y = rng.integers(2, size=(N, 2))
        pool = np.clip(0.3 + 0.4 * y + 0.3 * rng.normal(size=(6, N, 2)), 0.02, 0.98)
        return pool, y, BinaryCrossEntropy(), labels_loss
    y = rng.normal(size=(N, 2))
    return y + rng.normal(size=(6, N, 2)), y, SquaredError(), squared


def brute_force(pool: Any, score: Any, size: int, replacement: bool) -> tuple[list[int], float]:
    """Return the greedy sequence, written as plainly as possible, to its best beginning."""
    order: list[int] = []
    found = []
    while len(order) < size:
        left = [one for one in range(len(pool)) if replacement or one not in order]
        if not left:
            break
        scores = [score(np.mean([pool[each] for each in [*order, one]], axis=0)) for one in left]
        order.append(left[int(np.argmax(scores))])
        found.append(max(scores))
    best = int(np.argmax(found))
    return order[: best + 1], found[best]


@pytest.mark.parametrize("task", ["classes", "labels", "values"])
@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("size", [1, 3, 12])
@pytest.mark.parametrize("seed", range(4))
def test_the_selection_equals_brute_force(
    task: str, replacement: bool, size: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pool, y, loss, formula = problem(task, rng)
    weight = rng.uniform(0.5, 2.0, N) if seed % 2 else None
    even = np.ones(N) if weight is None else weight
    order, score = brute_force(pool, lambda mean: formula(mean, y, even), size, replacement)
    found = select_greedily(pool, y, weight, size=size, replacement=replacement, loss=loss)
    assert list(found.order) == order
    assert found.score == pytest.approx(score, rel=1e-10)
    np.testing.assert_allclose(found.weights, np.bincount(order, minlength=6) / len(order))
    mean = weighted_mean(pool, found.weights)
    assert formula(mean, y, even) == pytest.approx(score, rel=1e-10)


@pytest.mark.parametrize("scoring", ["balanced_accuracy", "roc_auc", "own"])
def test_any_score_selects(scoring: Any, rng: np.random.Generator) -> None:
    pool, y, loss, _ = problem("classes", rng)
    if scoring == "own":

        def scoring(y: Any, predicted: Any) -> float:
            return float(np.mean(predicted[np.arange(len(y)), y]))

    order, score = brute_force(
        pool, lambda mean: score_outputs(scoring, loss, mean, y, None), 8, True
    )
    found = select_greedily(pool, y, size=8, scoring=scoring, loss=loss)
    assert (list(found.order), found.score) == (order, pytest.approx(score))


def test_the_best_single_candidate_is_never_worse_than_the_selection(rng) -> None:
    for task in ("classes", "labels", "values"):
        pool, y, loss, formula = problem(task, rng)
        found = select_greedily(pool, y, loss=loss)
        assert found.score >= max(formula(one, y, np.ones(N)) for one in pool)


def test_ties_choose_the_first_candidate_and_the_smallest_ensemble(rng) -> None:
    pool, y, loss, _ = problem("classes", rng)
    same = np.stack([pool[0]] * 4)
    for replacement in (True, False):
        found = select_greedily(same, y, size=4, replacement=replacement, loss=loss)
        assert found.order == (0,)
    hits = np.stack([pool[1], pool[0], pool[0]])
    assert 2 not in select_greedily(hits, y, size=1, scoring="accuracy", loss=loss).order


def test_without_replacement_a_pool_smaller_than_the_size_is_used_up(rng) -> None:
    y = rng.integers(9, size=N).astype(float)
    offsets = np.array([1.0, -1.0, 2.0, -2.0])
    pool = y[None, :, None] + offsets[:, None, None]
    assert select_greedily(pool, y, size=99, replacement=False).order == (0, 1)


def test_scores_that_are_undefined_are_never_chosen(rng) -> None:
    pool, y, loss, _ = problem("classes", rng)
    pool[0] = np.nan
    for scoring in ("loss", "accuracy"):
        found = select_greedily(pool, y, size=6, scoring=scoring, replacement=False, loss=loss)
        assert 0 not in found.order


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 0}, "size"),
        ({"replacement": "no"}, "replacement"),
        ({"scoring": "acuracy"}, "accuracy"),
        ({"predictions": np.zeros((6, N))}, "candidates, N, O"),
        ({"predictions": np.zeros((0, N, 3))}, "candidates, N, O"),
        ({"predictions": np.zeros((2, N - 1, 3))}, str(N - 1)),
        ({"sample_weight": np.ones(3)}, "sample_weight"),
    ],
)
def test_invalid_arguments_raise(arguments: dict[str, Any], words: str, rng) -> None:
    pool, y, loss, _ = problem("classes", rng)
    options = {"predictions": pool, "y": y, "loss": loss, **arguments}
    with pytest.raises(anynet.InvalidArgumentError, match=words):
        select_greedily(**options)


@pytest.fixture
def models(digits: anynet.Dataset) -> list[anynet.Model]:
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    configs = [{"learning_rate": rate} for rate in (1e-4, 0.03, 0.1, 0.2, 0.3)]
    x, y = digits.train
    options: dict[str, Any] = {"epochs": 3, "backend": "numpy"}
    return anynet.fit_population(network, (x[:400], y[:400]), configs, **options)


def test_an_ensemble_of_selected_models_averages_with_their_weights(
    models: list[anynet.Model], digits, tmp_path: Path
) -> None:
    x, y = digits.train[0][400:800], digits.train[1][400:800]
    ensemble = anynet.Ensemble.select(models, (x, y), size=7, metadata={"note": "chosen"})
    pool = np.stack([model.predict_proba(x) for model in models])
    found = select_greedily(pool, y, size=7)
    mean = np.tensordot(found.weights, pool, axes=1)
    np.testing.assert_allclose(ensemble.predict_proba(x), mean, rtol=1e-5, atol=1e-7)
    assert all(member is not models[0] for member in ensemble.models)
    path = tmp_path / "ensemble.safetensors"
    shares = np.arange(1, len(ensemble.models) + 1) / 3
    ensemble = anynet.Ensemble(ensemble.models, {"note": "chosen"}, shares)
    ensemble.save(path)
    loaded = anynet.Ensemble.load(path, backend="numpy")
    assert (loaded.weights, loaded.metadata) == (ensemble.weights, {"note": "chosen"})
    np.testing.assert_array_equal(loaded.predict_proba(x), ensemble.predict_proba(x))
    gentle = anynet.augment.Affine(rotation=0, shear=0, scale=0, shift=0)
    np.testing.assert_allclose(
        anynet.predict_augmented(loaded, x, gentle, times=1, image_shape=(8, 8)),
        ensemble.predict_proba(x),
        rtol=1e-4,
        atol=1e-5,
    )


def test_equal_weights_are_the_same_as_none(models: list[anynet.Model], digits) -> None:
    x = digits.test[0]
    weighted = anynet.Ensemble(models, weights=[0.2] * 5)
    assert weighted.weights is None
    np.testing.assert_array_equal(
        weighted.predict_proba(x), anynet.Ensemble(models).predict_proba(x)
    )


def test_files_without_weights_load_and_damaged_weights_are_refused(
    models: list[anynet.Model], tmp_path: Path
) -> None:
    path = tmp_path / "ensemble.safetensors"
    anynet.Ensemble(models).save(path)

    def rewrite(weights: Any) -> None:
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            content = json.loads(file.metadata()["anynet"])
        content.pop("weights", None)
        content |= {} if weights is None else {"weights": weights}
        save_file(load_file(path), path, {"anynet": json.dumps(content)})

    rewrite(None)  # a file of an earlier version
    assert anynet.Ensemble.load(path, backend="numpy").weights is None
    for weights in ([1, 2], "equal", [1, -1, 1, 1, 1], [0] * 5, [[1]] * 5, [10**400] * 5):
        rewrite(weights)
        with pytest.raises(anynet.ModelFileError, match="weights"):
            anynet.load(path, backend="numpy")


@pytest.mark.parametrize(
    "weights", [[1, 2], [1, -1, 1, 1, 1], [0] * 5, [np.nan] * 5, "12345", [1e308] * 4]
)
def test_invalid_weights_raise(models: list[anynet.Model], weights: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="weights must be 5 numbers"):
        anynet.Ensemble(models, weights=weights)


def test_the_online_selection_keeps_members_of_earlier_epochs(rng) -> None:
    """Each epoch equals a selection from the present ensemble and the latest predictions."""
    pool, y, loss, _ = problem("classes", rng)
    epochs = [
        share * pool + (1 - share) * rng.dirichlet(np.ones(CLASSES), pool.shape[:2])
        for share in (0.3, 0.6, 0.8, 1.0, 0.4, 0.1)
    ]
    online = OnlineSelection(size=3, patience=2)
    present: list[Any] = []
    score = -np.inf
    for epoch, latest in enumerate(epochs):
        available = [*present, *(((epoch, one), latest[one]) for one in range(len(latest)))]
        found = select_greedily(
            [predicted for _, predicted in available], y, size=3, replacement=False, loss=loss
        )
        improved = found.score > score
        if improved:
            present = [available[one] for one in np.flatnonzero(found.weights)]
            score = found.score
        kept: list[int] = []

        def keep(index: int, epoch: int = epoch, kept: list[int] = kept) -> Any:
            kept.append(index)
            return epoch, index

        assert online.observe(latest, y, keep=keep, loss=loss) == improved
        assert online.members == [name for name, _ in present]
        assert online.score == score
        assert len(kept) == sum(name[0] == epoch for name in online.members)
    assert online.waited == 2
    assert online.finished
    assert {epoch for epoch, _ in online.members} & {2, 3}
    assert sum(online.weights) == pytest.approx(1)


def test_permuted_candidates_give_the_same_ensemble(rng) -> None:
    pool, y, loss, _ = problem("classes", rng)
    expected = select_greedily(pool, y, loss=loss)
    for permutation in itertools.islice(itertools.permutations(range(6)), 0, None, 100):
        found = select_greedily(pool[list(permutation)], y, loss=loss)
        assert [permutation[one] for one in found.order] == list(expected.order)


@pytest.mark.parametrize("dropped", [False, True])
def test_a_population_selects_its_ensemble_while_it_trains(digits, dropped: bool) -> None:
    """The ensemble equals a selection from the models of separate fits of 1, 2, 3, … epochs."""
    x, y = digits.train
    training, validation = (x[:300], y[:300]), (x[300:600], y[300:600])
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    backend = anynet.get_backend("numpy", dtype="float64")
    options: dict[str, Any] = {"backend": backend, "patience": None, "target_accuracy": None}
    configs = [{"learning_rate": rate, "seed": seed} for seed, rate in enumerate((0.05, 0.2, 3.0))]
    lengths = [4, 4, 4]
    if dropped:  # the members that have stopped leave the population
        lengths = [1, 4, 2]
        configs = [one | {"epochs": n} for one, n in zip(configs, lengths, strict=True)]
    online = OnlineSelection(size=2)
    anynet.fit_population(
        network, training, configs, epochs=4, validation=validation, selection=online, **options
    )
    expected = OnlineSelection(size=2)
    for epoch in range(1, 5):
        models = [
            anynet.fit(network, training, **options | config | {"epochs": epoch})
            for config, length in zip(configs, lengths, strict=True)
            if epoch <= length
        ]
        predictions = [model.predict_proba(validation[0]) for model in models]
        expected.observe(predictions, validation[1], keep=models.__getitem__)
    assert online.score == pytest.approx(expected.score, rel=1e-9)
    np.testing.assert_array_equal(online.weights, expected.weights)
    ensemble = anynet.Ensemble(online.members, weights=online.weights)
    reference = anynet.Ensemble(expected.members, weights=expected.weights)
    np.testing.assert_allclose(
        ensemble.predict_proba(digits.test[0]), reference.predict_proba(digits.test[0]), rtol=1e-7
    )


def test_the_patience_of_the_ensemble_ends_each_group(digits) -> None:
    x, y = digits.train
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    online = OnlineSelection(size=2, patience=2)
    configs = [{"learning_rate": 0.0, "batch_size": size} for size in (50, 50, 100)]
    models = anynet.fit_population(
        network, (x, y), configs, validation=0.2, shared_order=True, epochs=9, patience=None,
        selection=online, backend="numpy",
    )  # fmt: skip
    assert {model.history.stop_reason for model in models} == {anynet.StopReason.PATIENCE}
    assert [len(model.history.records) for model in models] == [4, 4, 3]
    assert 1 <= len(online.members) <= 2


def test_a_selection_without_common_validation_samples_raises(digits) -> None:
    network = anynet.mlp([64, 12, 10], scale=digits.scale)
    for validation in (None, 0.2):
        with pytest.raises(anynet.InvalidArgumentError, match="same validation samples"):
            anynet.fit_population(
                network, digits.train, [{"seed": 0}, {"seed": 1}], validation=validation,
                selection=OnlineSelection(), backend="numpy",
            )  # fmt: skip
