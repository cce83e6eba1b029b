"""The blockwise order: every sample once, shuffled within windows, read in blocks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anynet.data.batches import _grouped, block_order, split_order, steps_in

BORDERS = np.arange(0, 10_001, 100)


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    batch=st.integers(1, 50),
    window=st.integers(1, 400),
    epoch=st.integers(1, 3),
)
def test_every_sample_occurs_once(counts: list[int], batch: int, window: int, epoch: int) -> None:
    borders = np.cumsum([0, *counts])
    order = block_order(borders, 0, epoch, batch, window)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(borders[-1]))
    np.testing.assert_array_equal(order, block_order(borders, 0, epoch, batch, window))


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = [block_order(BORDERS, *key, 32, 1000) for key in [(0, 1), (0, 2), (1, 1)]]
    assert np.mean(orders[0] == orders[1]) < 0.05
    assert np.mean(orders[0] == orders[2]) < 0.05


def test_a_window_of_all_samples_shuffles_uniformly() -> None:
    """Positions are uniform: the expected position of every sample is the middle."""
    places = np.array([np.argsort(block_order(BORDERS, 0, e, 32, 10_000)) for e in range(1, 40)])
    late, early = places[:, 9_000:].mean(), places[:, :1_000].mean()
    np.testing.assert_allclose([late, early], 5_000, atol=60)
    neighbours = np.abs(np.diff(places, axis=1)).mean()
    np.testing.assert_allclose(neighbours, 10_000 / 3, rtol=0.02)


def test_each_read_group_is_one_window_of_few_blocks() -> None:
    """Read groups match the windows: only blocks at their edges are read twice."""
    batch, window = 32, 1000
    order = block_order(BORDERS, 3, 1, batch, window)
    parts = split_order(order, batch, parts=7, short_first=True)
    groups = list(_grouped(parts, window))
    samples = [np.concatenate([part.ravel() for part in group]) for group in groups]
    np.testing.assert_array_equal(np.concatenate(samples)[16:], order[: 10_000 - 16])
    assert [len(each) for each in samples] == [16 + 992] + [992] * 9 + [64]
    blocks = [np.unique(each // 100) for each in samples]
    assert all(len(each) <= 12 for each in blocks)
    assert sum(map(len, blocks)) <= 100 + 2 * len(groups)
    first = samples[1]
    assert np.unique(first[:32] // 100).size > 6  # a batch mixes the blocks of its window
    assert not np.all(np.diff(first) > 0)


@given(
    n=st.integers(1, 300),
    batch=st.integers(1, 60),
    pieces=st.integers(1, 9),
    rows=st.integers(1, 500),
    short_first=st.booleans(),
)
def test_groups_contain_the_order_in_sequence(n, batch, pieces, rows, short_first) -> None:
    parts = split_order(np.arange(n, dtype=np.int32), batch, pieces, short_first)
    groups = list(_grouped(parts, rows))
    flat = [part.ravel() for group in groups for part in group]
    np.testing.assert_array_equal(np.concatenate(flat), np.concatenate([p.ravel() for p in parts]))
    most = steps_in(rows, min(batch, n)) * min(batch, n) + n % batch
    assert max(sum(part.size for part in group) for group in groups) <= most
