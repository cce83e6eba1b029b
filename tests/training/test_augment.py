"""Training on augmented samples: in the step, in ``fit`` and in populations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augmentations import CASES, pipeline
from oracles import numeric_gradient

import anynet
from anynet import tree
from anynet.augment import Affine, Elastic, Erase, Mixup, Noise
from anynet.backends import Backend, Loop
from anynet.backends.numpy_calls import CallRecorder
from anynet.data.batches import Rows
from anynet.nn import LOSSES, CrossEntropy
from anynet.optim import SGD, Constant
from anynet.training.state import initial_state
from anynet.training.step import MixedLoss, TrainingStep

N_SAMPLES = 192


@pytest.fixture
def some(digits: anynet.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = digits.train
    return x[:N_SAMPLES], y[:N_SAMPLES]


@pytest.fixture
def network(digits: anynet.Dataset) -> anynet.Network:
    return anynet.mlp([64, 16, 10], scale=digits.scale, dropout=0.2)


def curve(model: anynet.Model) -> list[float]:
    assert model.history is not None
    return [record.train_loss for record in model.history.records]


def test_the_loss_curve_is_the_same_on_every_backend(backend64: Backend, some, network) -> None:
    options: dict[str, Any] = {"augment": CASES, "epochs": 3, "batch_size": 32}
    got = curve(anynet.fit(network, some, backend=backend64, **options))
    reference = anynet.get_backend("numpy", dtype="float64")
    expected = curve(anynet.fit(network, some, backend=reference, **options))
    np.testing.assert_allclose(got, expected, rtol=1e-7)
    plain = curve(anynet.fit(network, some, backend=reference, **options | {"augment": None}))
    assert min(abs(np.array(plain) - expected)) > 0.01


def test_every_epoch_draws_new_images(some) -> None:
    """With a learning rate of 0 only the images can change the loss."""
    frozen = anynet.mlp([64, 16, 10])
    options: dict[str, Any] = {"epochs": 3, "learning_rate": 1e-30, "backend": "numpy"}
    assert len({round(loss, 5) for loss in curve(anynet.fit(frozen, some, **options))}) == 1
    augmented = curve(anynet.fit(frozen, some, augment="affine", **options))
    assert len({round(loss, 5) for loss in augmented}) == 3


@pytest.mark.parametrize("case", [*CASES, CASES], ids=lambda case: getattr(case, "kind", "all"))
def test_the_recorded_step_is_bitwise_equal_to_the_plain_step(rng, monkeypatch, case: Any) -> None:
    monkeypatch.setattr(CallRecorder, "worth", 1)
    backend = anynet.get_backend("numpy")
    some = case if isinstance(case, list) else [case]
    network = anynet.mlp([64, 8, 10], scale=1 / 255)
    step = TrainingStep(
        network, CrossEntropy(), SGD(), Constant(0.1), 5, backend, augment=pipeline(backend, *some)
    )
    rows = Rows(
        rng.integers(0, 256, (90, 64)).astype(np.uint8), rng.integers(0, 10, 90).astype(np.int32)
    )
    order = rng.integers(0, 90, (7, 16)).astype(np.int32)

    def start() -> Any:
        return initial_state(network, step.loss, step.optimizer, 3, backend)

    loop: Any = backend.loop(step)
    recorded = loop.run(start(), order, rows)
    assert loop.report.replayed == len(order)
    expected = Loop(step).run(start(), order, rows)
    for got, wanted in zip(tree.leaves(recorded), tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_the_validation_set_is_not_augmented(some, network) -> None:
    model = anynet.fit(
        network, some, validation=some, augment=[Noise(9.0)], epochs=1, backend="numpy"
    )
    assert model.history.best.validation_score == pytest.approx(model.score(*some))


def test_population_members_match_single_runs(some, network) -> None:
    """Different seeds and strengths share one computation; other augmentations need another."""
    backend = anynet.get_backend("numpy", dtype="float64")
    configs: list[dict[str, Any]] = [
        {"seed": 1, "augment": [Affine(), Elastic(5, 2), Mixup()]},
        {"seed": 2, "augment": [Affine(rotation=30), Elastic(9, 2), Mixup()]},
        {"seed": 3, "augment": "erase"},
        {"seed": 4},
    ]
    options: dict[str, Any] = {"epochs": 3, "backend": backend, "augment": [Noise()]}
    groups = []
    models = anynet.fit_population(
        network, some, configs, progress=lambda p: groups.append(p.members), **options
    )
    assert sorted(set(groups)) == [1, 2]
    for model, config in zip(models, configs, strict=True):
        np.testing.assert_allclose(
            curve(model), curve(anynet.fit(network, some, **options | config)), rtol=1e-9
        )


def test_a_group_is_split_if_its_augmentation_exceeds_the_memory_limit(some) -> None:
    """Deforming a batch of 192 images of 64 pixels needs about 16 copies of it, 0.8 MB."""
    network, groups = anynet.mlp([64, 10]), []
    options: dict[str, Any] = {"batch_size": N_SAMPLES, "epochs": 1, "backend": "numpy"}
    for augment in (None, "elastic"):
        anynet.fit_population(
            network,
            some,
            [{"seed": seed} for seed in range(4)],
            augment=augment,
            memory_limit=1_500_000,
            progress=lambda now: groups.append(now.groups),
            **options,
        )
    assert groups == [1, 4, 4, 4, 4]


def test_members_with_a_shared_order_see_the_same_images(some) -> None:
    """With equal weights and a learning rate of 0, their losses are equal."""
    network = anynet.mlp([64, 10])
    configs = [{"seed": seed, "network": network} for seed in (1, 2)]
    common: dict[str, Any] = {"epochs": 2, "learning_rate": 1e-30, "backend": "numpy"}
    for augment in ([Erase(), Elastic(5, 2), Mixup()], [Noise()]):
        shared = anynet.fit_population(
            network, some, configs, shared_order=True, augment=augment, **common
        )
        alone = anynet.fit_population(
            network, some, configs[:1], shared_order=True, augment=augment, **common
        )
        assert curve(shared[0]) == pytest.approx(curve(alone[0]), rel=1e-6)
        first, second = (model.to(anynet.get_backend("numpy")) for model in shared)
        assert not np.array_equal(first.params[0]["weight"], second.params[0]["weight"])


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_mixed_losses_matches_finite_differences(
    backend64: Backend, rng, kind: str, weighted: bool
) -> None:
    loss = LOSSES[kind]()
    logits = rng.standard_normal((2, 5, 3))
    target = {
        "classes": rng.integers(0, 3, 5).astype(np.int32),
        "labels": rng.integers(0, 2, (5, 3)).astype(float),
        "values": rng.random((5, 3)),
    }[loss.task]
    weight = rng.uniform(0.5, 2, 5) if weighted else None
    share = np.array([0.6, 0.9])
    to_device = backend64.to_device
    mixed = MixedLoss(loss, to_device(share))

    def call(what: MixedLoss, z: np.ndarray, turn: int = 1) -> tuple[Any, Any]:
        rows = [
            None if a is None else to_device(np.ascontiguousarray(a[::turn]))
            for a in (target, weight)
        ]
        return what(to_device(z), *rows, backend=backend64)

    def value(z: np.ndarray) -> np.ndarray:
        return backend64.to_host(call(mixed, z)[0])

    got = call(mixed, logits)[1]
    expected = numeric_gradient(lambda z: float(value(z).sum()), logits)
    np.testing.assert_allclose(backend64.to_host(got), expected, rtol=1e-5, atol=1e-8)
    swapped = MixedLoss(loss, to_device(1 - share))
    other = call(swapped, logits, turn=-1)[0]
    np.testing.assert_allclose(backend64.to_host(other), value(logits), rtol=1e-12)


def test_mixup_and_noise_train_a_regression_on_a_table(rng) -> None:
    x = rng.standard_normal((300, 5)).astype(np.float32)
    y = (x @ rng.standard_normal((5, 2))).astype(np.float32)
    model = anynet.fit(
        anynet.mlp([5, 32, 2]), (x, y), augment="mixup,noise", epochs=30, backend="numpy"
    )
    assert model.score(x, y) > 0.9


def test_fit_and_populations_check_augmentations_and_image_shapes(some, network) -> None:
    x, y = some
    with pytest.raises(anynet.InvalidArgumentError, match="not a square"):
        anynet.fit(anynet.mlp([60, 10]), (x[:, :60], y), augment="elastic", backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match=r"configs\[1\]: augment must be"):
        anynet.fit_population(network, some, [{}, {"augment": "elastik"}], backend="numpy")
    narrow = anynet.fit(
        anynet.mlp([60, 10]),
        (x[:, :60], y),
        augment="affine",
        image_shape=(6, 10),
        epochs=1,
        backend="numpy",
    )
    stacked = anynet.fit(
        anynet.mlp([60, 10]),
        (x[:, :60].reshape(-1, 6, 10), y),
        augment="affine",
        epochs=1,
        backend="numpy",
    )
    assert curve(narrow) == curve(stacked)


def test_a_resumed_run_continues_with_the_same_images(some, network, tmp_path) -> None:
    options: dict[str, Any] = {"augment": CASES, "backend": "numpy", "learning_rate": 0.05}
    whole = anynet.fit(network, some, epochs=4, **options)
    anynet.fit(network, some, epochs=2, checkpoint=tmp_path / "c", **options)
    resumed = anynet.resume(tmp_path / "c", some, epochs=4)
    assert curve(resumed) == curve(whole)
