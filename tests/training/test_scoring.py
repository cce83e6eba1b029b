"""Class weights, the score that selects an epoch, and the check against guessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    log_loss,
    make_scorer,
    roc_auc_score,
)
from sklearn.utils.class_weight import compute_sample_weight

import anynet
from anynet.errors import InvalidArgumentError
from anynet.nn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from anynet.training.diagnostics import best_guess, no_better_than_guessing
from anynet.training.evaluate import score_outputs
from anynet.training.history import EarlyStopping

OPTIONS: dict[str, Any] = {"epochs": 6, "backend": "numpy", "patience": None}


@pytest.fixture
def rare(rng) -> tuple[np.ndarray, np.ndarray]:
    x = rng.standard_normal((500, 4)).astype(np.float32)
    return x, (x[:, 0] + 2 * rng.standard_normal(500) > 1.7).astype(int)


def curve(model: anynet.Model) -> list[Any]:
    assert model.history is not None
    return [record._replace(seconds=0.0) for record in model.history.records]


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("given", ["balanced", {1: 3.0}, {0: 0.5, 1: 2.0}])
def test_class_weights_equal_sample_weights(given: Any, n_outputs: int, rare) -> None:
    x, y = rare
    network = anynet.mlp([4, 8, n_outputs])
    weights = compute_sample_weight(given, y)
    by_class = anynet.fit(network, (x, y), class_weight=given, **OPTIONS)
    by_sample = anynet.fit(network, (x, y, weights), **OPTIONS)
    assert curve(by_class) == curve(by_sample)
    doubled = anynet.fit(network, (x, y, np.full(500, 2.0)), class_weight=given, **OPTIONS)
    assert doubled.history.best.train_loss == pytest.approx(by_sample.history.best.train_loss)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("even", "'even'"),
        ({2: 1.0}, "from 0 to 1 as keys, got 2"),
        ({"1": 1.0}, "'1'"),
        ({1: -1.0}, "-1.0 for class 1"),
        ({1: float("nan")}, "nan"),
        ({0: 0.0, 1: 0.0}, "every sample 0"),
        ([1, 2], "dict"),
    ],
)
def test_invalid_class_weights_raise(given: Any, words: str, rare) -> None:
    with pytest.raises(InvalidArgumentError, match="class_weight") as caught:
        anynet.fit(anynet.mlp([4, 8, 2]), rare, class_weight=given, **OPTIONS)
    assert words in str(caught.value)


def test_class_weights_require_one_class_per_sample(rare) -> None:
    x, y = rare
    for target, loss in ((y * 1.5, None), (np.stack([y, y], 1), "binary_cross_entropy")):
        network = anynet.mlp([4, 8, 1 if loss is None else 2])
        with pytest.raises(InvalidArgumentError, match="sample_weight"):
            anynet.fit(network, (x, target), loss=loss, class_weight="balanced", **OPTIONS)


@pytest.mark.parametrize(
    ("scoring", "function"),
    [
        ("balanced_accuracy", lambda y, p: balanced_accuracy_score(y, p.argmax(1))),
        ("roc_auc", lambda y, p: roc_auc_score(y, p[:, 1])),
        ("neg_log_loss", lambda y, p: -log_loss(y, p / p.sum(axis=1, keepdims=True, dtype=float))),
        ("loss", None),
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_scoring_selects_the_best_epoch(scoring: str, function: Any, shared: bool, rare) -> None:
    x, y = rare
    network = anynet.mlp([4, 8, 2])
    training, validation = (x, y), 0.3
    if not shared:
        training, validation = (x[:350], y[:350]), (x[350:], y[350:])
    model = anynet.fit(network, training, validation=validation, scoring=scoring, **OPTIONS)
    history = model.history
    if function is None:
        scores = [-record.validation_loss for record in history.records]
    else:
        scores = [record.selection_score for record in history.records]
        assert history.to_dict()[f"validation_{scoring}"] == scores
    assert history.best_epoch == np.argmax(scores) + 1
    if function is not None and not shared:
        assert scores[history.best_epoch - 1] == pytest.approx(
            function(y[350:], model.predict_proba(x[350:])), rel=1e-5
        )


def test_scoring_in_populations_matches_single_runs(rare) -> None:
    network = anynet.mlp([4, 8, 2])
    options = OPTIONS | {"validation": 0.3, "class_weight": "balanced"}
    configs = [{"seed": 0, "scoring": "roc_auc"}, {"seed": 1, "scoring": "loss"}, {"seed": 2}]
    for config, model in zip(
        configs, anynet.fit_population(network, rare, configs, **options), strict=True
    ):
        single = anynet.fit(network, rare, **options, **config)
        assert model.history.best_epoch == single.history.best_epoch
        scores = [each.history.to_dict().get("validation_roc_auc") for each in (model, single)]
        assert scores[0] == (scores[1] and pytest.approx(scores[1], rel=1e-4))


def test_scoring_works_for_other_tasks(rng) -> None:
    x = rng.standard_normal((120, 3)).astype(np.float32)
    three, labels = np.digitize(x[:, 0], [-0.5, 0.5]), (x[:, :2] > 0).astype(int)
    cases = [
        (3, three, None, "roc_auc"),
        (2, labels, "binary_cross_entropy", "roc_auc"),
        (1, labels[:, 0], "binary_cross_entropy", "f1"),
        (1, x.sum(axis=1), None, "neg_mean_absolute_error"),
        (2, x[:, :2], None, "r2"),
    ]
    for n_outputs, y, loss, scoring in cases:
        network = anynet.mlp([3, 16, n_outputs])
        options = OPTIONS | {"loss": loss, "scoring": scoring, "learning_rate": 0.05}
        model = anynet.fit(network, (x, y), validation=(x, y), **options)
        scores = [record.selection_score for record in model.history.records]
        if scoring == "r2":  # the loss's own score: nothing is scored twice
            assert scores == [None] * len(scores)
        else:
            assert model.history.best_epoch == np.argmax(scores) + 1


ONE_HOT = np.eye(3)


@pytest.mark.parametrize(
    ("scoring", "formula"),
    [
        ("accuracy", lambda y, p: np.mean(p.argmax(1) == y)),
        (
            "balanced_accuracy",
            lambda y, p: np.mean([np.mean(p.argmax(1)[y == c] == c) for c in range(3)]),
        ),
        (
            "f1_macro",
            lambda y, p: np.mean(
                [2 * np.sum((y == c) & (p.argmax(1) == c))
                 / (np.sum(y == c) + np.sum(p.argmax(1) == c)) for c in range(3)]
            ),
        ),
        (
            "roc_auc",  # the share of pairs of one class and the rest that are in order
            lambda y, p: np.mean(
                [np.mean(p[y == c, c][:, None] > p[y != c, c][None, :]) for c in range(3)]
            ),
        ),
        ("neg_log_loss", lambda y, p: np.mean(np.log(p[np.arange(len(y)), y]))),
    ],
)  # fmt: skip
def test_scores_of_three_classes_equal_their_formulas(scoring: str, formula: Any, rng) -> None:
    y, p = rng.integers(3, size=90), rng.dirichlet(np.ones(3), size=90)
    assert score_outputs(scoring, CrossEntropy(), p, y, None) == pytest.approx(formula(y, p))


@pytest.mark.parametrize(
    ("scoring", "formula"),
    [
        ("roc_auc", lambda y, p: np.mean(p[y == 1][:, None] > p[y == 0][None, :])),
        ("neg_brier_score", lambda y, p: -np.mean((p - y) ** 2)),
        ("f1", lambda y, p: 2 * np.sum(y * (p > 0.5)) / (np.sum(y) + np.sum(p > 0.5))),
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_scores_of_two_classes_equal_their_formulas(
    scoring: str, formula: Any, n_outputs: int, rng
) -> None:
    y, p = rng.integers(2, size=60), rng.random(60)
    if n_outputs == 1:
        scored = score_outputs(scoring, BinaryCrossEntropy(), p[:, None], y[:, None], None)
    else:
        scored = score_outputs(scoring, CrossEntropy(), np.stack([1 - p, p], 1), y, None)
    assert scored == pytest.approx(formula(y, p))


def test_scores_of_values_equal_their_formulas(rng) -> None:
    y, predicted, weight = rng.normal(size=(3, 40))
    weight = weight**2
    squares = weight @ (y - predicted) ** 2
    spread = weight @ (y - np.average(y, weights=weight)) ** 2
    for scoring, expected in (
        ("r2", 1 - squares / spread),
        ("neg_root_mean_squared_error", -np.sqrt(squares / weight.sum())),
    ):
        scored = score_outputs(scoring, SquaredError(), predicted[:, None], y[:, None], weight)
        assert scored == pytest.approx(expected)


def test_functions_and_scorers_select_like_the_name_of_the_score(rare, tmp_path) -> None:
    def own_f1(y: Any, predicted: Any, sample_weight: Any = None) -> float:
        return float(f1_score(y, predicted.argmax(1), sample_weight=sample_weight))

    network, options = anynet.mlp([4, 8, 2]), OPTIONS | {"validation": 0.3}
    by_name = anynet.fit(network, rare, scoring="f1", **options)
    scores = [record.selection_score for record in by_name.history.records]
    for scoring, name in ((own_f1, "own_f1"), (make_scorer(f1_score), "make_scorer(f1_score")):
        model = anynet.fit(network, rare, scoring=scoring, **options)
        assert [record.selection_score for record in model.history.records] == scores
        assert model.history.best_epoch == by_name.history.best_epoch
        assert model.history.scoring.startswith(name)
    folder = tmp_path / "run"
    anynet.fit(network, rare, scoring=own_f1, checkpoint=folder, **options | {"epochs": 3})
    with pytest.raises(anynet.CheckpointError, match=r"scoring .*own_f1"):
        anynet.resume(folder, rare, epochs=6)
    assert curve(anynet.resume(folder, rare, epochs=6, scoring=own_f1)) == curve(by_name)


def test_ties_keep_the_first_or_the_last_of_equal_epochs(rare) -> None:
    network = anynet.mlp([4, 2])  # the accuracy of a slow linear model repeats
    options = OPTIONS | {"validation": 0.2, "learning_rate": 1e-4, "epochs": 12}
    scores = [
        record.validation_score for record in anynet.fit(network, rare, **options).history.records
    ]
    best = np.flatnonzero(np.equal(scores, max(scores))) + 1
    assert len(best) > 1
    for ties, expected in (("first", best[0]), ("last", best[-1])):
        single = anynet.fit(network, rare, ties=ties, **options)
        (member,) = anynet.fit_population(network, rare, [{"ties": ties}], **options)
        assert single.history.best_epoch == member.history.best_epoch == expected


def test_patience_is_counted_from_the_first_of_equal_epochs() -> None:
    rule = EarlyStopping(patience=2, target=None, min_delta=0.0, keep_ties=True)
    kept = [rule.observe(score) for score in (0.5, 0.5, 0.5)]
    assert [is_best for is_best, _ in kept] == [True, True, True]
    assert [stop is None for _, stop in kept] == [True, True, False]


@pytest.mark.parametrize(
    ("scoring", "options", "words"),
    [
        ("roc_auk", {"validation": 0.2}, "did you mean 'roc_auc'"),
        (len, {"validation": 0.2}, "must be a name"),
        ("roc_auc", {}, "pass validation"),
        ("neg_mean_poisson_deviance", {"validation": 0.2}, "neg_mean_poisson_deviance"),
    ],
)
def test_invalid_scoring_raises_before_training(
    scoring: Any, options: dict[str, Any], words: str, rare
) -> None:
    seen: list[int] = []
    with pytest.raises(InvalidArgumentError, match="scoring") as caught:
        anynet.fit(
            anynet.mlp([4, 8, 2]), rare, scoring=scoring, callbacks=seen.append,
            **options, **OPTIONS,
        )  # fmt: skip
    assert words in str(caught.value)
    assert not seen


def test_scores_that_are_undefined_on_the_validation_set_raise(rare) -> None:
    x, y = rare
    one = (x[y == 0][:20], y[y == 0][:20])
    with pytest.raises(InvalidArgumentError, match="20 samples"):
        anynet.fit(anynet.mlp([4, 8, 2]), rare, validation=one, scoring="roc_auc", **OPTIONS)


@pytest.mark.parametrize("factors", ["balanced", {0: 1.0, 1: 3.0}])
def test_runs_with_class_weights_and_scoring_are_resumed(factors: Any, rare, tmp_path) -> None:
    network = anynet.mlp([4, 8, 2])
    options = {"class_weight": factors, "scoring": "roc_auc", "validation": 0.2}
    anynet.fit(network, rare, checkpoint=tmp_path / "c", **options, **OPTIONS | {"epochs": 3})
    resumed = anynet.resume(tmp_path / "c", rare, epochs=6)
    assert curve(resumed) == curve(anynet.fit(network, rare, **options, **OPTIONS))


@pytest.mark.parametrize(
    ("loss", "accuracy", "learnt"),
    [
        (0.526, 0.78, False),  # just below the entropy of 22 % positives, 0.527
        (0.60, 0.77, False),  # below log 2, above the entropy
        (0.50, 0.78, True),
        (0.526, 0.83, True),
    ],
)
def test_a_loss_just_below_that_of_guessing_is_reported(
    loss: float, accuracy: float, learnt: bool
) -> None:
    y = (np.arange(1000) < 220).astype(np.int32)
    record = anynet.EpochRecord(1, 0.1, loss, accuracy, loss, accuracy, 1.0)
    for target, kind, n_outputs in (
        (y, CrossEntropy(), 2),
        (y[:, None].astype(float), BinaryCrossEntropy(), 1),
    ):
        guess = best_guess(target, None, kind)
        assert guess.loss == pytest.approx(0.5269, abs=1e-4)
        assert guess.score == pytest.approx(0.78)
        sign = no_better_than_guessing(record, kind, n_outputs, guess, guess)
        assert (sign == "") == learnt
        assert ("0.78" in sign) != learnt


def test_the_guessing_baseline_uses_sample_weights_and_ignores_constant_outputs() -> None:
    y = np.array([0, 0, 0, 1], dtype=np.int32)
    assert best_guess(y, np.array([1.0, 1, 1, 3]), CrossEntropy()).score == 0.5
    assert best_guess(y.astype(float)[:, None], None, SquaredError()) is None
    record = anynet.EpochRecord(1, 0.1, 1e-9, 1.0, None, None, 1.0)
    guess = best_guess(np.zeros(4, np.int32), None, CrossEntropy())
    assert no_better_than_guessing(record, CrossEntropy(), 2, guess) == ""


def test_r2_close_to_zero_is_reported() -> None:
    record = anynet.EpochRecord(1, 0.1, 0.5, 0.0004, 0.5, -0.001, 1.0)
    assert "R²" in no_better_than_guessing(record, SquaredError(), 1)
    better = record._replace(validation_score=0.02)
    assert no_better_than_guessing(better, SquaredError(), 1) == ""
