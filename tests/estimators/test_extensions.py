"""Features beyond scikit-learn's MLP."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_classification
from sklearn.metrics import balanced_accuracy_score, f1_score, mean_absolute_error

import anynet
from anynet import optim
from anynet.backends import get_backend
from anynet.estimators.targets import GroupedCrossEntropy, SummedOverOutputs
from anynet.nn import ACTIVATIONS, AbsoluteError, CrossEntropy, Huber, Poisson, SquaredError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = X_IRIS - X_IRIS.mean(axis=0)
QUICK = {"max_iter": 5, "random_state": 0, "batch_size": 50}


def test_class_weight_equals_the_corresponding_sample_weight(classes) -> None:
    weights = {0: 3.0, 1: 0.5}
    by_class = classes.fit(anynet, class_weight=weights, **QUICK)
    by_sample = classes.fit(anynet, [weights.get(one, 1.0) for one in classes.y], **QUICK)
    np.testing.assert_allclose(by_class.coefs_[0], by_sample.coefs_[0], rtol=1e-12)


def test_class_weight_multiplies_sample_weight_also_in_partial_fit(classes, rng) -> None:
    weight = rng.uniform(size=len(classes.y))
    factor = np.where(classes.y == 3, 2.0, 1.0)
    pair = [anynet.MLPClassifier(class_weight=given, **QUICK) for given in ({3: 2.0}, None)]
    pair[0].partial_fit(classes.X, classes.y, weight, classes=np.unique(classes.y))
    pair[1].partial_fit(classes.X, classes.y, weight * factor, classes=np.unique(classes.y))
    np.testing.assert_allclose(pair[0].coefs_[0], pair[1].coefs_[0], rtol=1e-12)


def test_balanced_class_weights_detect_the_rare_class() -> None:
    X, y = make_classification(600, weights=[0.97], flip_y=0, class_sep=0.5, random_state=3)
    options = {"random_state": 0, "max_iter": 20, "batch_size": 600, "learning_rate_init": 0.01}
    plain = anynet.MLPClassifier(**options).fit(X, y)
    balanced = anynet.MLPClassifier(class_weight="balanced", **options).fit(X, y)
    scores = [balanced_accuracy_score(y, one.predict(X)) for one in (plain, balanced)]
    assert scores[1] > scores[0] + 0.1


@pytest.mark.parametrize("activation", sorted({*ACTIVATIONS, "logistic"}))
def test_every_activation_learns(activation: str) -> None:
    model = anynet.MLPClassifier(activation=activation, random_state=0, learning_rate_init=0.01)
    assert model.fit(X_IRIS, Y_IRIS).score(X_IRIS, Y_IRIS) > 0.9


def test_each_layer_can_have_its_own_activation() -> None:
    options = QUICK | {"hidden_layer_sizes": (6, 5)}
    both = anynet.MLPClassifier(activation=["tanh", "relu"], **options).fit(X_IRIS, Y_IRIS)
    hidden = np.tanh(X_IRIS @ both.coefs_[0] + both.intercepts_[0])
    hidden = np.maximum(hidden @ both.coefs_[1] + both.intercepts_[1], 0)
    logits = hidden @ both.coefs_[2] + both.intercepts_[2]
    np.testing.assert_array_equal(both.predict(X_IRIS), logits.argmax(axis=1))


@pytest.mark.parametrize("loss", ["absolute_error", "huber", Huber(0.1), AbsoluteError()])
def test_regression_losses_learn(values, loss) -> None:
    options = {"random_state": 0, "learning_rate_init": 0.01, "max_iter": 100}
    model = values.fit(anynet, loss=loss, **options)
    guess = np.abs(values.y - np.median(values.y)).mean()
    assert mean_absolute_error(values.y, model.predict(values.X)) < 0.6 * guess


@pytest.mark.parametrize("solver", ["rmsprop", "adamw", optim.Adam(weight_decay=1e-3), optim.SGD()])
@pytest.mark.parametrize(
    "schedule",
    ["constant", optim.Cosine(0.05, epochs=40), optim.Warmup(optim.OneCycle(0.05))],
)
def test_optimizers_and_schedules_of_anynet_are_accepted(solver, schedule) -> None:
    rate = 0.5 if isinstance(solver, optim.SGD) else 0.01
    model = anynet.MLPClassifier(
        solver=solver, learning_rate=schedule, learning_rate_init=rate, max_iter=40, random_state=0
    )
    model.set_params(batch_size=30)
    assert model.fit(X_IRIS, Y_IRIS).score(X_IRIS, Y_IRIS) > 0.9


def test_decoupled_decay_applies_to_weights_only() -> None:
    rate, decay = 0.1, 0.5
    model = anynet.MLPRegressor(
        solver=optim.SGD(weight_decay=decay, decoupled=True), learning_rate_init=rate, alpha=0
    )
    model.set_params(hidden_layer_sizes=(), random_state=0)
    model.partial_fit(np.zeros((4, 2)), np.zeros(4))
    coef, bias = model.coefs_[0], model.intercepts_[0]
    model.partial_fit(np.zeros((4, 2)), np.full(4, bias[0]))
    np.testing.assert_allclose(model.coefs_[0], coef * (1 - rate * decay), rtol=1e-12)
    np.testing.assert_array_equal(model.intercepts_[0], bias)


def test_reduce_on_plateau_reduces_the_learning_rate() -> None:
    seen = []
    schedule = optim.ReduceOnPlateau(0.1, factor=0.5, patience=1)
    anynet.MLPClassifier(
        learning_rate=schedule, early_stopping=True, max_iter=30, n_iter_no_change=30,
        callbacks=[lambda record: seen.append(record.learning_rate)],
    ).fit(X_IRIS, Y_IRIS)  # fmt: skip
    assert seen[0] == 0.1
    assert min(seen) <= 0.025


def test_dropout_is_seeded_and_absent_in_prediction(classes) -> None:
    options = QUICK | {"dropout": 0.5}
    first, second = classes.fit(anynet, **options), classes.fit(anynet, **options)
    assert first.loss_curve_ == second.loss_curve_
    assert first.loss_curve_ != classes.fit(anynet, **QUICK).loss_curve_
    np.testing.assert_array_equal(first.predict_proba(classes.X), second.predict_proba(classes.X))


def test_layer_norm_is_trained_and_stored(classes) -> None:
    model = classes.fit(anynet, layer_norm=True, hidden_layer_sizes=(9, 8), **QUICK)
    assert [len(gain) for gain in model.norm_gains_] == [9, 8]
    assert any((gain != 1).any() for gain in model.norm_gains_)
    before = model.predict_proba(classes.X)
    again = model.fit(classes.X, classes.y).predict_proba(classes.X)
    np.testing.assert_array_equal(before, again)
    model.norm_biases_ = [bias + 1 for bias in model.norm_biases_]
    assert (model.predict_proba(classes.X) != before).any()


def test_label_smoothing_lowers_confidence(classes) -> None:
    options = {"random_state": 0, "learning_rate_init": 0.01, "max_iter": 100}
    sharp, smooth = (classes.fit(anynet, label_smoothing=share, **options) for share in (0.0, 0.2))
    assert smooth.predict_proba(classes.X).max() < sharp.predict_proba(classes.X).max()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_given_validation_set_is_scored(early_stopping: bool) -> None:
    train, held = slice(0, None, 2), slice(1, None, 2)
    weight = np.linspace(0, 1, 75)
    model = anynet.MLPClassifier(early_stopping=early_stopping, max_iter=15, random_state=0)
    model.set_params(n_iter_no_change=15)
    model.fit(
        X_IRIS[train], Y_IRIS[train],
        X_val=X_IRIS[held], y_val=Y_IRIS[held], sample_weight_val=weight,
    )  # fmt: skip
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 15
    best = max(model.validation_scores_) if early_stopping else model.validation_scores_[-1]
    assert model.score(X_IRIS[held], Y_IRIS[held], weight) == pytest.approx(best)
    if not early_stopping:
        probability = model.predict_proba(X_IRIS[held])[np.arange(75), Y_IRIS[held]]
        loss = np.average(-np.log(probability), weights=weight)
        assert model.validation_loss_curve_[-1] == pytest.approx(loss)


@pytest.mark.parametrize("scoring", ["f1_macro", "loss", None])
def test_early_stopping_accepts_any_score(scoring, classes) -> None:
    X, y = classes.X, classes.y
    model = anynet.MLPClassifier(
        scoring=scoring, early_stopping=True, max_iter=12, random_state=0, batch_size=32
    )
    model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    predicted = model.predict(X[150:])
    if scoring == "f1_macro":
        expected = f1_score(y[150:], predicted, average="macro")
        assert max(model.validation_scores_) == pytest.approx(expected)
    elif scoring == "loss":
        losses = np.asarray(model.validation_loss_curve_)
        np.testing.assert_array_equal(model.validation_scores_, -losses)
    else:
        assert max(model.validation_scores_) == pytest.approx(np.mean(predicted == y[150:]))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_scorer_that_always_returns_nan_keeps_the_last_weights(classes, solver: str) -> None:
    seen = []

    def never(estimator, *_) -> float:
        seen.append(estimator.coefs_[0])
        return float("nan")

    with pytest.warns(UserWarning, match="gave NaN for the validation set in 4 of 4 epochs"):
        model = classes.fit(
            anynet, early_stopping=True, scoring=never, n_iter_no_change=3, random_state=0,
            solver=solver,
        )  # fmt: skip
    assert model.n_iter_ == len(model.validation_scores_) == 4
    np.testing.assert_array_equal(model.coefs_[0], seen[-1])


def test_a_scorer_that_sometimes_returns_nan_still_selects_the_best_epoch(classes) -> None:
    scores = iter([float("nan"), 0.1, float("nan"), 0.9, float("nan"), 0.5])
    seen = []

    def sometimes(estimator, *_) -> float:
        seen.append(estimator.coefs_[0])
        return next(scores)

    with pytest.warns(UserWarning, match="in 3 of 6 epochs"):
        model = classes.fit(
            anynet, early_stopping=True, scoring=sometimes, max_iter=6, random_state=0
        )
    assert model.best_validation_score_ == 0.9
    np.testing.assert_array_equal(model.coefs_[0], seen[3])


def test_a_regression_scorer_receives_sample_weights(values, rng) -> None:
    weight = rng.uniform(size=len(values.y))
    model = values.fit(
        anynet, weight, scoring="neg_mean_absolute_error", early_stopping=True, max_iter=3
    )
    assert all(score < 0 for score in model.validation_scores_)


def test_callbacks_receive_every_epoch_and_can_stop_the_fit(classes) -> None:
    seen = []

    def stop(record) -> bool:
        seen.append(record)
        return record.epoch == 4

    model = classes.fit(anynet, callbacks=[stop], random_state=0)
    assert model.n_iter_ == 4
    assert [record.train_loss for record in seen] == model.loss_curve_
    assert seen[0].learning_rate == 0.001


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"learning_rate": optim.Step(0.4, factor=0.5, epochs=1), "solver": "adamw"},
            [0.4, 0.2, 0.1, 0.05],
        ),
        (
            {"learning_rate": optim.ReduceOnPlateau(0.4, 0.5, patience=0, min_delta=1e9)},
            [0.4, 0.4, 0.2, 0.1],
        ),
        (
            {"learning_rate": "invscaling", "solver": "sgd", "learning_rate_init": 0.4},
            [0.4, 0.4 / 201**0.5, 0.4 / 401**0.5, 0.4 / 601**0.5],
        ),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_callbacks_receive_the_learning_rate_of_the_last_update(
    classes, options, expected, dtype
) -> None:
    seen = []
    settings = {"max_iter": 4, "random_state": 0, "batch_size": 200, "n_iter_no_change": 9}
    single = classes._replace(X=classes.X.astype(dtype))
    single.fit(anynet, callbacks=[seen.append], **settings | options)
    np.testing.assert_allclose([one.learning_rate for one in seen], expected, rtol=1e-6)
    assert seen[0].learning_rate == 0.4
    assert all(np.isnan(one.train_score) for one in seen)


def test_the_progress_bar_counts_epochs(classes, capsys) -> None:
    pytest.importorskip("tqdm")
    classes.fit(anynet, progress_bar=True, **QUICK)
    assert "5/5" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_multioutput_classification_is_learnt(options) -> None:
    y = np.stack([Y_IRIS.astype(str), np.where(X_IRIS[:, 0] > 0, "long", "short")], axis=1)
    settings = {"random_state": 0, "max_iter": 150, "learning_rate_init": 0.02}
    model = anynet.MLPClassifier(**settings | options).fit(X_IRIS, y)
    assert model.score(X_IRIS, y) > 0.8
    assert model.n_outputs_ == 2
    predicted = model.predict(X_IRIS)
    for column, (classes, shares) in enumerate(
        zip(model.classes_, model.predict_proba(X_IRIS), strict=True)
    ):
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        np.testing.assert_array_equal(classes[shares.argmax(axis=1)], predicted[:, column])


@pytest.mark.parametrize("loss", [GroupedCrossEntropy((2, 3)), GroupedCrossEntropy((4, 1), 0.1)])
def test_grouped_cross_entropy_is_a_sum_with_a_correct_gradient(loss, rng) -> None:
    backend = get_backend("numpy", dtype="float64")
    logits, weight = rng.normal(size=(6, 5)), rng.uniform(size=6)
    target = np.stack([rng.integers(size, size=6) for size in loss.sizes], axis=1)
    value, gradient = loss(logits, target, weight, backend=backend)
    single = CrossEntropy(loss.label_smoothing)
    parts = [
        single(logits[:, start:stop], target[:, index], weight, backend=backend)[0]
        for index, (start, stop) in enumerate(
            zip(np.cumsum([0, *loss.sizes[:-1]]), np.cumsum(loss.sizes), strict=True)
        )
    ]
    assert value == pytest.approx(sum(parts))
    assert_gradient(loss, logits, target, weight, gradient, backend)


def test_summed_over_outputs_is_the_sum(rng) -> None:
    backend = get_backend("numpy", dtype="float64")
    logits, target = rng.normal(size=(4, 3)), rng.uniform(size=(4, 3))
    for inner in (SquaredError(), Poisson()):
        loss = SummedOverOutputs(inner, 3, value_is_mean=False)
        value, gradient = loss(logits, target, None, backend=backend)
        assert value == pytest.approx(3 * inner(logits, target, None, backend=backend)[0])
        assert_gradient(loss, logits, target, None, gradient, backend)


def assert_gradient(loss, logits, target, weight, gradient, backend) -> None:
    step = 1e-6
    for index in np.ndindex(logits.shape):
        moved = logits.copy()
        moved[index] += step
        above = loss(moved, target, weight, backend=backend)[0]
        moved[index] -= 2 * step
        below = loss(moved, target, weight, backend=backend)[0]
        assert (above - below) / (2 * step) == pytest.approx(gradient[index], abs=1e-8)
