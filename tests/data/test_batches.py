"""Orders and batches: every sample once per epoch, from the device or from the host."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anynet import InvalidArgumentError, tree
from anynet.backends import Backend
from anynet.data.batches import HostBatches, ResidentBatches, Rows, epoch_order, split_order
from anynet.data.subset import train_validation_split


@given(n=st.integers(1, 300), batch=st.integers(1, 100), parts=st.integers(1, 30))
def test_every_sample_is_in_exactly_one_batch(n: int, batch: int, parts: int) -> None:
    order = epoch_order(n, seed=1, epoch=2)
    arrays = split_order(order, batch, parts)
    np.testing.assert_array_equal(np.concatenate([a.ravel() for a in arrays]), order)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    sizes = [a.shape[1] for a in arrays]
    assert all(size == batch for size in sizes[:-1])
    assert sizes[-1] in (batch, n % batch)
    assert len(arrays) <= parts + 1
    short_first = split_order(order, batch, parts, short_first=True)
    assert short_first[0].shape[1] == sizes[-1]
    assert sorted(a.shape for a in short_first) == sorted(a.shape for a in arrays)


def test_each_epoch_and_each_seed_has_its_own_order() -> None:
    orders = [epoch_order(500, seed, epoch) for seed, epoch in [(0, 1), (0, 2), (1, 1)]]
    np.testing.assert_array_equal(orders[0], epoch_order(500, 0, 1))
    assert np.mean(orders[0] == orders[1]) < 0.05
    assert np.mean(orders[0] == orders[2]) < 0.05
    np.testing.assert_array_equal(epoch_order(5, 0, 1, shuffle=False), range(5))


@pytest.mark.parametrize("block_bytes", [1, 400, 10**9])
def test_host_batches_give_the_same_samples(backend: Backend, rng, block_bytes: int) -> None:
    rows = Rows(
        rng.integers(255, size=(50, 6)).astype(np.uint8),
        rng.integers(3, size=50).astype(np.int32),
        rng.uniform(size=50).astype(np.float32),
    )
    resident = ResidentBatches(rows, backend)
    host = HostBatches(rows, backend, block_bytes)

    def seen(batches, part):
        got = []
        for order, data in batches.blocks(part):
            for index in range(order.shape[0]):
                batch = data.gather(order[index, ...], backend)
                got.append([backend.to_host(leaf) for leaf in tree.leaves(batch)])
        return got

    for part in split_order(epoch_order(50, 0, 1), 8):
        for ours, theirs in zip(seen(host, part), seen(resident, part), strict=True):
            for one, other in zip(ours, theirs, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)


def test_members_can_gather_different_rows(backend: Backend) -> None:
    data = Rows(np.arange(12, dtype=np.uint8).reshape(6, 2), np.arange(6, dtype=np.int32))
    rows = backend.to_device(np.array([[0, 5, 1], [2, 2, 4]], dtype=np.int32))
    taken = tree.map(backend.to_device, data).gather(rows, backend)
    np.testing.assert_array_equal(backend.to_host(taken.y), [[0, 5, 1], [2, 2, 4]])
    np.testing.assert_array_equal(backend.to_host(taken.x), data.x[[[0, 5, 1], [2, 2, 4]]])


@given(n=st.integers(2, 200), share=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_splits_contain_every_sample_once(n: int, share: float, seed: int) -> None:
    if not 0 < round(share * n) < n:
        return
    for validation in (share, round(share * n)):
        training, held_out = train_validation_split(n, validation, seed)
        np.testing.assert_array_equal(np.sort(np.concatenate([training, held_out])), np.arange(n))
        assert len(held_out) == round(share * n)


@pytest.mark.parametrize("validation", [0, 10, 11, -1, 0.0, 1.0, 0.01, 2.5, True, "3", np.nan])
def test_splits_without_training_samples_raise(validation) -> None:
    with pytest.raises(InvalidArgumentError, match="validation must"):
        train_validation_split(10, validation, 0)
