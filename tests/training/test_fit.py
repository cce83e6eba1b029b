"""``fit``: what it returns, when it stops, what it reports."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.nn import BinaryCrossEntropy
from anynet.optim import SGD, Adam, Constant, Exponential, ReduceOnPlateau, Warmup
from anynet.training.diagnostics import no_better_than_guessing


@pytest.fixture
def network(digits: anynet.Dataset) -> anynet.Network:
    return anynet.mlp([64, 32, 10], scale=digits.scale)


def curve(model: anynet.Model) -> list[float]:
    return [record.train_loss for record in model.history.records]


def test_digits_are_learnt_on_every_backend(backend: Backend, digits, network) -> None:
    model = anynet.fit(network, digits.train, validation=0.1, epochs=8, backend=backend)
    assert model.score(*digits.test) > 0.9
    assert model.predict(digits.test[0]).shape == (len(digits.test[1]),)
    probabilities = model.predict_proba(digits.test[0])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), model.predict(digits.test[0]))
    assert np.mean(model.predict(digits.test[0]) == digits.test[1]) == pytest.approx(
        model.score(*digits.test), abs=1e-6
    )


def test_the_same_seed_reproduces_the_run_bit_for_bit(backend: Backend, digits) -> None:
    network = anynet.mlp([64, 16, 10], dropout=0.2, scale=digits.scale)
    runs = [
        anynet.fit(network, digits.train, validation=50, epochs=2, seed=seed, backend=backend)
        for seed in (3, 3, 4)
    ]
    assert curve(runs[0]) == curve(runs[1])
    assert curve(runs[0]) != curve(runs[2])
    np.testing.assert_array_equal(
        runs[0].predict_proba(digits.test[0]), runs[1].predict_proba(digits.test[0])
    )


def test_data_kept_on_the_host_give_the_same_run(backend: Backend, digits, network) -> None:
    runs = [
        anynet.fit(
            network, digits.train, validation=50, epochs=2, backend=backend, resident=resident
        )
        for resident in (True, False)
    ]
    np.testing.assert_allclose(curve(runs[0]), curve(runs[1]), rtol=1e-6)


def test_progress_does_not_change_the_run_and_reports_exact_losses(
    backend: Backend, digits, network
) -> None:
    seen: list[anynet.Progress] = []
    options = {"epochs": 2, "batch_size": 8, "backend": backend}
    reported = anynet.fit(network, digits.train, progress=seen.append, **options)
    silent = anynet.fit(network, digits.train, **options)
    np.testing.assert_allclose(curve(reported), curve(silent), rtol=1e-6)
    ends = [progress for progress in seen if progress.samples == progress.total]
    assert [progress.epoch for progress in ends] == [1, 2]
    assert [progress.loss for progress in ends] == curve(reported)
    assert all(progress.total == len(digits.train[0]) for progress in seen)
    assert 15 <= len(seen) / 2 <= 22


def test_history_contains_the_evaluated_losses_and_scores(digits, network) -> None:
    held_out = (digits.test[0][:100], digits.test[1][:100])
    model = anynet.fit(
        network,
        digits.train,
        validation=held_out,
        epochs=3,
        learning_rate=Exponential(0.1, decay=0.5),
        patience=None,
        target_accuracy=None,
        backend="numpy",
    )
    records = model.history.records
    assert [record.epoch for record in records] == [1, 2, 3]
    assert [record.learning_rate for record in records] == pytest.approx([0.1, 0.05, 0.025])
    assert all(record.seconds > 0 for record in records)
    best = model.history.best
    assert best is records[model.history.best_epoch - 1]
    assert best.validation_accuracy == max(record.validation_accuracy for record in records)
    assert model.score(*held_out) == best.validation_accuracy
    assert model.evaluate(*held_out).loss == pytest.approx(best.validation_loss, rel=1e-6)
    assert model.history.stopped == "all 3 epochs done"
    columns = model.history.to_dict()
    assert list(columns) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "seconds",
    ]
    lines = model.history.to_csv().splitlines()
    assert lines[0] == ",".join(columns)
    assert len(lines) == 4


def test_training_stops_at_the_target_accuracy(digits, network) -> None:
    model = anynet.fit(
        network, digits.train, validation=100, epochs=50, target_accuracy=0.9, backend="numpy"
    )
    scores = [record.validation_score for record in model.history.records]
    assert scores[-1] >= 0.9 > max(scores[:-1])
    assert model.history.stopped == "validation score reached 0.9"


def test_training_stops_without_improvement_and_restores_the_best_weights(digits, network) -> None:
    held_out = (digits.test[0], digits.test[1])
    model = anynet.fit(
        network,
        digits.train,
        validation=held_out,
        epochs=60,
        learning_rate=0.5,
        patience=3,
        target_accuracy=None,
        backend="numpy",
    )
    scores = [record.validation_score for record in model.history.records]
    assert len(scores) < 60
    assert model.history.best_epoch == int(np.argmax(scores)) + 1 == len(scores) - 3
    assert model.score(*held_out) == max(scores)
    assert model.history.stopped == "validation score has not risen for 3 epochs"


def test_min_delta_requires_a_larger_improvement(digits, network) -> None:
    options = {"validation": 100, "epochs": 30, "patience": 2, "target_accuracy": None}
    strict = anynet.fit(network, digits.train, min_delta=0.2, backend="numpy", **options)
    plain = anynet.fit(network, digits.train, backend="numpy", **options)
    assert len(strict.history.records) < len(plain.history.records)


def test_plateaus_reduce_the_learning_rate(digits, network) -> None:
    rule = ReduceOnPlateau(0.5, factor=0.1, patience=1)
    model = anynet.fit(
        network,
        digits.train,
        validation=100,
        epochs=25,
        learning_rate=rule,
        patience=None,
        target_accuracy=None,
        backend="numpy",
    )
    rates = [record.learning_rate for record in model.history.records]
    assert rates[0] == pytest.approx(0.5)
    assert rates[-1] < 0.06
    for before, after in itertools.pairwise(rates):
        assert after in (pytest.approx(before), pytest.approx(before / 10))


def test_plateaus_reduce_the_learning_rate_within_a_warmup(digits, network) -> None:
    rule = Warmup(ReduceOnPlateau(0.5, factor=0.1, patience=1), epochs=2)
    model = anynet.fit(
        network,
        digits.train,
        validation=100,
        epochs=25,
        learning_rate=rule,
        patience=None,
        target_accuracy=None,
        backend="numpy",
    )
    rates = [record.learning_rate for record in model.history.records]
    assert rates[0] == pytest.approx(0.25, rel=0.01)
    assert max(rates) == pytest.approx(0.5)
    assert rates[-1] < 0.06


def test_a_diverging_loss_raises_with_a_suggestion(backend: Backend, digits, network) -> None:
    with pytest.raises(
        anynet.DivergedError, match=r"epoch 1: try a smaller learning rate \(now 1e\+30\)"
    ) as caught:
        anynet.fit(network, digits.train, epochs=3, learning_rate=1e30, backend=backend)
    assert caught.value.epoch == 1
    assert caught.value.model is None


def test_an_overflow_of_the_validation_loss_raises(rng) -> None:
    x, y = rng.standard_normal((50, 2)), rng.standard_normal(50)
    held_out = (np.full((5, 2), 1e30), np.zeros(5))
    with pytest.raises(anynet.DivergedError, match="validation loss is not finite in epoch 1"):
        anynet.fit(anynet.mlp([2, 4, 1]), (x, y), validation=held_out, backend="numpy")


def test_a_later_divergence_raises_with_the_best_model(digits, network) -> None:
    class Exploding(Constant):
        def __call__(self, step, steps_per_epoch, *, backend):
            rate = super().__call__(step, steps_per_epoch, backend=backend)
            return backend.xp.where(step < 2 * steps_per_epoch, rate, 1e30)

    with pytest.raises(anynet.DivergedError) as caught:
        anynet.fit(network, digits.train, epochs=5, learning_rate=Exploding(0.1), backend="numpy")
    assert caught.value.epoch == 3
    assert caught.value.model.history.best_epoch == 2
    two_epochs = anynet.fit(network, digits.train, epochs=2, backend="numpy")
    assert caught.value.model.score(*digits.test) == two_epochs.score(*digits.test)


def test_ctrl_c_raises_with_the_best_model(digits, network) -> None:
    def press(record: anynet.EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        anynet.fit(network, digits.train, callbacks=[press], backend="numpy")
    assert isinstance(caught.value, anynet.TrainingInterrupted)
    assert caught.value.model.history.best_epoch == 2
    assert caught.value.model.history.stopped == "interrupted"
    assert caught.value.model.score(*digits.test) > 0.7


def test_ctrl_c_before_the_first_epoch_raises_without_a_model(digits, network) -> None:
    def press(_: anynet.Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(anynet.TrainingInterrupted) as caught:
        anynet.fit(network, digits.train, progress=press, backend="numpy")
    assert caught.value.model is None


def test_callbacks_receive_every_epoch_and_can_stop_the_run(digits, network) -> None:
    seen = []
    model = anynet.fit(
        network,
        digits.train,
        callbacks=[seen.append, lambda record: record.epoch == 3],
        backend="numpy",
    )
    assert seen == model.history.records
    assert len(seen) == 3
    assert model.history.stopped == "a callback asked to stop"


def test_averaged_weights_are_scored(digits, network) -> None:
    options = {"epochs": 3, "optimizer": SGD(momentum=0.9), "backend": "numpy"}
    averaged = anynet.fit(network, digits.train, average=0.99, **options)
    plain = anynet.fit(network, digits.train, **options)
    assert curve(averaged) == curve(plain)
    assert averaged.score(*digits.test) > 0.9
    assert not np.array_equal(
        averaged.predict_proba(digits.test[0]), plain.predict_proba(digits.test[0])
    )


def test_sample_weights_affect_training(digits, network) -> None:
    x, y = digits.train
    only = np.where(y < 5, 1.0, 0.0)
    model = anynet.fit(network, (x, y, only), epochs=10, backend="numpy")
    x, y = digits.test
    low = y < 5
    assert model.score(x[low], y[low]) > 0.9
    assert model.score(x[~low], y[~low]) < 0.05
    assert model.score(x, y, np.where(low, 1.0, 0.0)) == pytest.approx(model.score(x[low], y[low]))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_a_regression_is_learnt(loss: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((600, 5))
    y = np.exp(0.5 * x[:, 0] - 0.3 * x[:, 1])
    model = anynet.fit(
        anynet.mlp([5, 32, 1]),
        (x[:500], y[:500]),
        loss=loss,
        optimizer=Adam(),
        learning_rate=0.01,
        epochs=40,
        validation=50,
        backend="numpy",
    )
    assert model.history.metric == "r2"
    assert model.score(x[500:], y[500:]) > 0.9
    predicted = model.predict(x[500:])
    assert predicted.shape == (100,)
    spread = np.sum((y[500:] - y[500:].mean()) ** 2)
    assert model.score(x[500:], y[500:]) == pytest.approx(
        1 - np.sum((y[500:] - predicted) ** 2) / spread, rel=1e-4
    )
    with pytest.raises(anynet.InvalidArgumentError, match="use predict"):
        model.predict_proba(x)


def test_multilabel_targets_are_learnt(rng: np.random.Generator) -> None:
    x = rng.standard_normal((800, 4))
    y = (x[:, :3] + 0.1 * x[:, 1:] > 0).astype(int)
    model = anynet.fit(anynet.mlp([4, 32, 3]), (x[:700], y[:700]), epochs=30, backend="numpy")
    assert model.loss.kind == "binary_cross_entropy"
    assert model.score(x[700:], y[700:]) > 0.85
    predicted = model.predict(x[700:])
    assert predicted.shape == (100, 3)
    assert set(np.unique(predicted)) == {0, 1}
    np.testing.assert_array_equal(model.predict_proba(x[700:]) > 0.5, predicted == 1)


def test_two_classes_are_learnt_with_one_output(rng: np.random.Generator) -> None:
    x = rng.standard_normal((500, 3))
    y = (x.sum(axis=1) > 0).astype(int)
    model = anynet.fit(anynet.mlp([3, 16, 1]), (x, y), epochs=15, backend="numpy")
    assert model.predict(x).shape == (500,)
    assert model.score(x, y) > 0.95


def test_arrays_are_trained_on_their_own_backend_and_predictions_stay_there(
    digits, network
) -> None:
    torch = pytest.importorskip("torch")
    jnp = pytest.importorskip("jax.numpy")
    x, y = digits.train
    plain = anynet.fit(network, (x, y), epochs=2, backend="numpy")
    for make, name in [(torch.asarray, "torch"), (jnp.asarray, "jax")]:
        model = anynet.fit(network, (make(x), make(y)), epochs=2)
        assert model.backend.name == name
        np.testing.assert_allclose(curve(model), curve(plain), rtol=1e-4)
        predicted = model.predict(make(digits.test[0]))
        assert type(predicted) is type(make(y))
        assert isinstance(model.predict(digits.test[0]), np.ndarray)
        np.testing.assert_array_equal(np.asarray(predicted), model.predict(digits.test[0]))
        assert type(plain.predict(make(digits.test[0]))) is type(make(y))


def test_images_with_two_axes_are_accepted(digits, network) -> None:
    x, y = digits.train
    images = x.reshape(-1, 8, 8)
    flat = anynet.fit(network, (x, y), epochs=1, backend="numpy")
    square = anynet.fit(network, (images, y), epochs=1, backend="numpy")
    assert curve(flat) == curve(square)
    np.testing.assert_array_equal(square.predict(images), flat.predict(x))


def test_a_batch_size_above_the_number_of_samples_uses_all_samples(digits, network) -> None:
    whole = anynet.fit(network, digits.train, epochs=2, batch_size=10**6, backend="numpy")
    exact = anynet.fit(
        network, digits.train, epochs=2, batch_size=len(digits.train[0]), backend="numpy"
    )
    np.testing.assert_allclose(curve(whole), curve(exact), rtol=1e-6)


def test_input_arrays_are_not_modified(backend: Backend, digits, network) -> None:
    x, y = digits.train[0].astype(np.float32), digits.train[1].copy()
    before = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    anynet.fit(network, (x, y), epochs=1, backend=backend)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_one_sample_is_sufficient(backend: Backend) -> None:
    model = anynet.fit(
        anynet.mlp([2, 3, 2]), (np.ones((1, 2)), np.array([1])), epochs=2, backend=backend
    )
    assert model.predict(np.ones((1, 2))).shape == (1,)


def test_repr_of_a_model_is_one_line(digits) -> None:
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    model = anynet.fit(network, digits.train, validation=0.1, epochs=2, backend="numpy")
    score = model.history.best.validation_score
    assert repr(model) == (
        f"Model(64-16-10 relu; cross_entropy; numpy on cpu, float32; "
        f"epoch {model.history.best_epoch} of 2: validation accuracy {score:.4f})"
    )
    plain = anynet.fit(anynet.mlp([2, 1]), (np.eye(2), np.ones(2)), epochs=1, backend="numpy")
    shown = f"training r2 {plain.history.best.train_score:.4f}"
    assert str(plain) == (
        f"Model(2-1; squared_error; numpy on cpu, float32; epoch 1 of 1: {shown})"
    )
    assert repr(dataclasses.replace(model, history=None)) == (
        "Model(64-16-10 relu; cross_entropy; numpy on cpu, float32)"
    )


@pytest.mark.parametrize("validation", [None, 0.1])
def test_a_classifier_no_better_than_guessing_is_reported(digits, validation: float | None) -> None:
    network = anynet.mlp([64, 32, 10], activation="tanh", scale=digits.scale)
    options: dict[str, Any] = {"epochs": 3, "backend": "numpy", "validation": validation}
    model = anynet.fit(network, digits.train, learning_rate=1000.0, **options)
    assert re.search(
        r"2\.3 of guessing: .*learning rate \(now 1000\)",
        model.history.warning,
    )
    assert anynet.fit(network, digits.train, **options).history.warning == ""


def test_a_regression_worse_than_the_mean_is_reported(rng) -> None:
    x = rng.standard_normal((200, 3)).astype(np.float32)
    network, y = anynet.mlp([3, 8, 1], activation="tanh"), x.sum(axis=1)
    options: dict[str, Any] = {"epochs": 4, "backend": "numpy"}
    model = anynet.fit(network, (x, y), learning_rate=3.0, **options)
    assert "no better than the mean's 0" in model.history.warning
    assert anynet.fit(network, (x, y), **options).history.warning == ""


@pytest.mark.parametrize(
    ("train", "validation", "learnt"),
    [(0.9, None, True), (1.1, None, False), (1.1, 0.9, True), (0.9, 1.1, True), (1.1, 1.1, False)],
)
def test_the_guessing_check_uses_training_and_validation_loss(
    train: float, validation: float | None, learnt: bool
) -> None:
    chance = 3 * np.log(2)
    held_out = None if validation is None else validation * chance
    record = anynet.EpochRecord(1, 0.1, train * chance, 0.5, held_out, 0.5, 1.0)
    assert (no_better_than_guessing(record, BinaryCrossEntropy(), 3) == "") == learnt


@pytest.mark.parametrize("shuffle", [True, False])
def test_dropped_remainders_leave_whole_batches_only(data, network, shuffle: bool) -> None:
    x, y = data
    sizes: list[tuple[int, int]] = []
    options = {"backend": "numpy", "shuffle": shuffle, "batch_size": 64, "epochs": 2}
    whole = len(y) // 64 * 64
    assert whole < len(y)
    dropped = anynet.fit(
        network,
        data,
        drop_last=True,
        progress=lambda now: sizes.append((now.samples, now.total)),
        **options,
    )
    assert {total for _, total in sizes} == {max(seen for seen, _ in sizes)} == {whole}
    (member,) = anynet.fit_population(network, data, [{"drop_last": True}], **options)
    for ours, theirs in zip(tree.leaves(dropped.params), tree.leaves(member.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    if not shuffle:  # then the rows that are dropped are the last
        fewer = anynet.fit(network, (x[:whole], y[:whole]), **options)
        for ours, theirs in zip(
            tree.leaves(dropped.params), tree.leaves(fewer.params), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_fewer_rows_than_a_batch_are_one_batch_that_is_not_dropped() -> None:
    x = np.random.default_rng(0).standard_normal((20, 3))
    data, network = (x, np.arange(20) % 2), anynet.mlp([3, 2])
    options = {"backend": "numpy", "batch_size": 256, "epochs": 3}
    dropped = anynet.fit(network, data, drop_last=True, **options)
    kept = anynet.fit(network, data, **options)
    assert dropped.history.records[-1].train_loss == kept.history.records[-1].train_loss
