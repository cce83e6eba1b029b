"""The training step: formulas of the report, equal curves on all backends, populations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.data.batches import ResidentBatches, Rows, epoch_order, split_order
from anynet.nn import CrossEntropy, SquaredError
from anynet.optim import SGD, Adam, Cosine, Exponential, RMSprop
from anynet.training.state import TrainState, initial_state, zero_sums
from anynet.training.step import TrainingStep
from bench import report_algorithm

BATCH = 32


def samples(digits: anynet.Dataset, n: int = 800) -> Rows:
    x, y = digits.train
    return Rows(x[:n], y[:n].astype(np.int32))


def losses(step: TrainingStep, state: TrainState, order: Any, rows: Rows) -> np.ndarray:
    """Run one step at a time and return each batch's loss; (steps, *P)."""
    backend = step.backend
    loop, curve = backend.loop(step), []
    for index in range(order.shape[0]):
        state = state._replace(
            sums=zero_sums(step.loss, step.network, tuple(state.seed.shape), backend)
        )
        part = backend.to_device(order[index : index + 1])
        state = loop.run(state, part, tree.map(backend.to_device, rows))
        curve.append(backend.to_host(state.sums.loss) / backend.to_host(state.sums.weight))
    return np.array(curve)


def make_step(network: Any, backend: Backend, **options: Any) -> TrainingStep:
    arguments = {
        "loss": CrossEntropy(),
        "optimizer": SGD(),
        "schedule": Exponential(0.1, decay=0.9),
        "steps_per_epoch": 25,
    } | options
    return TrainingStep(network, backend=backend, **arguments)


def test_a_hundred_steps_match_the_report_on_every_backend(backend64: Backend, digits) -> None:
    rows = samples(digits)
    network = anynet.mlp([64, 32, 16, 10], scale=digits.scale)
    layers = [(layer["weight"], layer["bias"]) for layer in network.init_host(5) if layer]
    order = np.concatenate(
        [split_order(epoch_order(800, 5, epoch), BATCH)[0] for epoch in range(1, 5)]
    )
    assert order.shape == (100, BATCH)
    expected = []
    for index, batch in enumerate(order):
        x, y = rows.x[batch] * digits.scale, np.eye(10)[rows.y[batch]]
        layers, value = report_algorithm.update(layers, x, y, 0.1 * 0.9 ** (index // 25))
        expected.append(value)

    step = make_step(network, backend64)
    state = initial_state(network, step.loss, step.optimizer, 5, backend64)
    np.testing.assert_allclose(losses(step, state, order, rows), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": SGD(momentum=0.9, nesterov=True, weight_decay=1e-3), "clip_norm": 0.5},
        {"optimizer": SGD(momentum=0.9), "max_norm": 1.5},
        {"optimizer": SGD(momentum=0.9), "adversarial": 4.0},
        {"optimizer": RMSprop(), "schedule": Cosine(0.003, epochs=4)},
        {"optimizer": Adam(), "schedule": Cosine(0.01, epochs=4), "average": 0.9},
    ],
    ids=["sgd", "max norm", "adversarial", "rmsprop", "adam"],
)
def test_the_loss_curve_is_the_same_on_every_backend(backend64: Backend, digits, options) -> None:
    rows = samples(digits)
    network = anynet.mlp(
        [64, 24, 10], activation="gelu", dropout=0.2, layer_norm=True, scale=digits.scale
    )
    order = np.tile(split_order(epoch_order(800, 1, 1), BATCH)[0], (4, 1))

    def curve(backend: Backend) -> np.ndarray:
        step = make_step(network, backend, **options)
        state = initial_state(
            network, step.loss, step.optimizer, 1, backend, average=step.average is not None
        )
        return losses(step, state, order, rows)

    got = curve(backend64)
    reference = curve(anynet.get_backend("numpy", dtype="float64"))
    np.testing.assert_allclose(got, reference, rtol=1e-6)
    assert got[-10:].mean() < 0.5 * got[:10].mean()


@pytest.mark.parametrize("shared", [True, False], ids=["shared order", "own orders"])
def test_a_population_of_three_matches_three_single_runs(
    backend64: Backend, digits, shared: bool
) -> None:
    rows = samples(digits)
    seeds = (3, 4, 5)
    network = anynet.mlp([64, 16, 10], dropout=0.3, layer_norm=True, scale=digits.scale)
    orders = [split_order(epoch_order(800, 0 if shared else seed, 1), BATCH)[0] for seed in seeds]
    factors = np.array([1.0, 0.5, 2.0])
    step = make_step(
        network,
        backend64,
        optimizer=SGD(momentum=0.9, weight_decay=1e-3),
        clip_norm=1.0,
        max_norm=1.2,
        average=0.9,
    )

    def run(seed: Any, order: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, Any]:
        state = initial_state(network, step.loss, step.optimizer, seed, backend64, average=True)
        state = state._replace(rate_factor=backend64.to_device(factor))
        curve = losses(step, state, order, rows)
        final = initial_state(network, step.loss, step.optimizer, seed, backend64, average=True)
        final = final._replace(rate_factor=backend64.to_device(factor))
        final = backend64.loop(step).run(
            final, backend64.to_device(order), tree.map(backend64.to_device, rows)
        )
        return curve, tree.map(backend64.to_host, final._replace(seed=None, step=None))

    order = orders[0] if shared else np.stack(orders, axis=1)
    curve, final = run(seeds, order, factors)
    for member, seed in enumerate(seeds):
        alone, final_alone = run(seed, orders[member], factors[member])
        np.testing.assert_allclose(curve[:, member], alone, rtol=1e-9)
        for stacked, single in zip(tree.leaves(final), tree.leaves(final_alone), strict=True):
            np.testing.assert_allclose(stacked[member], single, rtol=1e-9, atol=1e-12)


def test_the_running_sums_are_those_of_the_epoch(
    backend64: Backend, rng: np.random.Generator
) -> None:
    """Check weighted loss and squared errors of a network that does not learn (rate 0)."""
    x, y = rng.standard_normal((50, 3)), rng.standard_normal((50, 2))
    weight = rng.uniform(0, 2, 50)
    network = anynet.mlp([3, 4, 2])
    step = make_step(
        network, backend64, loss=SquaredError(), schedule=Exponential(0.0), steps_per_epoch=4
    )
    state = initial_state(network, step.loss, step.optimizer, 0, backend64)
    params = network.init(0, backend64)
    batches = ResidentBatches(Rows(x, y, weight), backend64)
    loop = backend64.loop(step)
    for part in split_order(epoch_order(50, 0, 1), 16):
        for rows, data in batches.blocks(part):
            state = loop.run(state, rows, data)
    predicted = backend64.to_host(
        network.predict(params, backend64.to_device(x), backend=backend64)
    )
    squares = weight[:, None] * (predicted - y) ** 2
    assert float(backend64.to_host(state.sums.weight)) == pytest.approx(weight.sum(), rel=1e-12)
    np.testing.assert_allclose(backend64.to_host(state.sums.score), squares.sum(0), rtol=1e-12)
    assert float(backend64.to_host(state.sums.loss)) == pytest.approx(squares.sum() / 4, rel=1e-12)
    assert int(backend64.to_host(state.step)) == 4


def test_equal_configurations_give_equal_steps_for_reuse_of_compiled_loops() -> None:
    network = anynet.mlp([3, 2])
    one, other = (make_step(network, anynet.get_backend("numpy")) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != make_step(anynet.mlp([3, 3]), anynet.get_backend("numpy"))
