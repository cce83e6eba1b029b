"""Predictions and evaluations run in slices: small ones on a CPU, by free memory on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends.numpy import NumPyBackend
from anynet.backends.numpy import xp as numpy_xp
from anynet.backends.portable import Backend, Loop, Memory
from anynet.nn import Network
from anynet.training.evaluate import slice_rows

GIB = 2**30
N = 40_000


@dataclass(frozen=True)
class Device(NumPyBackend):
    """NumPy with the memory of a device."""

    free: int = 64 * GIB

    def memory(self) -> Memory:
        return Memory(self.free, 80 * GIB)

    def loop(self, step: Any) -> Any:
        return Loop(step)


def device(free: int = 64 * GIB) -> Device:
    return Device(numpy_xp, "cpu", free=free)


@pytest.mark.parametrize(
    ("free", "row_bytes", "rows"),
    [
        (64 * GIB, 100, 2**15),
        (64 * GIB, 2**15, 2**15),  # exactly 1 GiB
        (64 * GIB, 2**15 + 1, 2**14),
        (GIB, 2**15, 2**13),  # a quarter of the free memory
        (64 * GIB, 2**40, 1),
        (0, 100, 1),
        (64 * GIB, 0, 2**15),
    ],
)
def test_slices_on_a_device_are_bounded_by_its_free_memory(free, row_bytes, rows) -> None:
    assert device(free).slice_rows(row_bytes) == rows


@pytest.mark.parametrize("row_bytes", [1, 10_000, 2**40])
def test_slices_on_a_cpu_have_one_size(backend: Backend, row_bytes: int) -> None:
    if backend.memory() is None:
        assert backend.slice_rows(row_bytes) == 1024


@pytest.mark.parametrize(("free", "slices"), [(64 * GIB, 2), (2**20, 157), (None, 40)])
def test_predictions_and_scores_are_the_same_in_slices_of_any_size(
    monkeypatch: pytest.MonkeyPatch, free: int | None, slices: int
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((N, 64), dtype=np.float32), rng.integers(0, 3, N)
    cpu = anynet.get_backend("numpy")
    model = anynet.fit(anynet.mlp([64, 16, 3]), (x[:500], y[:500]), epochs=1, backend=cpu)
    sizes: list[int] = []
    predict = Network.predict

    def noting(self: Network, params: Any, x: Any, **options: Any) -> Any:
        sizes.append(x.shape[0])
        return predict(self, params, x, **options)

    expected = model.predict(x), model.predict_proba(x), model.evaluate(x, y)
    monkeypatch.setattr(Network, "predict", noting)
    there = model if free is None else model.to(device(free))
    np.testing.assert_array_equal(there.predict(x), expected[0])
    assert len(sizes) == slices
    assert max(sizes) * 4 * 64 * 4 <= max(GIB if free is None else free // 4, 4 * 64 * 4)
    np.testing.assert_allclose(there.predict_proba(x), expected[1], rtol=1e-5, atol=1e-7)
    got = there.evaluate(x, y)
    assert got.score == expected[2].score
    assert got.loss == pytest.approx(expected[2].loss, rel=1e-5)


def test_training_with_validation_is_the_same_in_slices_of_any_size() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((3000, 8), dtype=np.float32), rng.integers(0, 3, 3000)
    models = [
        anynet.fit(anynet.mlp([8, 6, 3]), (x, y), validation=2500, epochs=3, backend=backend)
        for backend in (anynet.get_backend("numpy"), device(), device(2**16))
    ]
    first = models[0]
    for other in models[1:]:
        for one, two in zip(first.history.records, other.history.records, strict=True):
            assert one.validation_loss == pytest.approx(two.validation_loss, rel=1e-5)
        for leaf, same in zip(tree.leaves(first.params), tree.leaves(other.params), strict=True):
            np.testing.assert_array_equal(leaf, same)


def test_members_of_a_population_share_the_memory_of_a_slice() -> None:
    network = anynet.mlp([64, 16, 3])
    alone, many = (slice_rows(network, device(), members) for members in (1, 100_000))
    assert alone == 2**15
    assert many * 100_000 * 4 * 64 * 4 <= GIB


def test_augmented_predictions_draw_the_same_bits_on_every_backend() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((1500, 64), dtype=np.float32)
    model = anynet.fit(anynet.mlp([64, 3]), (x, np.arange(1500) % 3), epochs=1, backend="numpy")
    noise = anynet.augment.Noise(0.1)
    on_cpu, there = (
        anynet.predict_augmented(one, x, noise, times=1) for one in (model, model.to(device()))
    )
    np.testing.assert_array_equal(on_cpu, there)
