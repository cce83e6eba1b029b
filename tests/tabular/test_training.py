"""The training of presets: how rows are held out, and what the ensemble consists of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anynet.errors import InvalidArgumentError
from anynet.tabular import Problem, train_preset
from anynet.tabular.fast import Fast
from anynet.tabular.pack import Pack
from anynet.tabular.training import split_members

PROBLEM = Problem("classes", 0, 3, 0, (), 3, 0)


def test_folds_hold_out_every_row_once_and_each_class_in_proportion() -> None:
    y = np.repeat([0, 1, 2], [50, 30, 20])
    splits = split_members(y, PROBLEM, 0.2, folds=True)
    held = np.concatenate([split["held_out"] for split in splits])
    assert sorted(held) == list(range(100))
    for split in splits:
        assert np.bincount(y[split["held_out"]]).tolist() == [10, 6, 4]
        assert not np.intersect1d(split["samples"], split["held_out"]).size
        assert len(split["samples"]) == 80


@pytest.mark.parametrize("n_rows", [2, 7, 11, 103])
def test_the_parts_of_all_splits_have_the_same_sizes(n_rows: int) -> None:
    y = np.random.default_rng(0).normal(size=n_rows)
    splits = split_members(y, PROBLEM, 0.2, folds=True)
    assert len({len(split["samples"]) for split in splits}) == 1
    assert len({len(split["held_out"]) for split in splits}) == 1
    assert all(len(s["samples"]) + len(s["held_out"]) == n_rows for s in splits)


@pytest.mark.parametrize("n_rows", [9, 14])
def test_rows_beyond_equal_parts_are_drawn_at_random(n_rows: int) -> None:
    y = np.arange(n_rows)
    held = [
        np.concatenate([split["held_out"] for split in splits])
        for seed in range(30)
        for splits in [split_members(y, PROBLEM._replace(seed=seed), 0.2, folds=True)]
    ]
    assert {len(set(each.tolist())) for each in held} == {n_rows // 5 * 5}
    counts = np.bincount(np.concatenate(held), minlength=n_rows)
    assert counts.min() > 0
    assert counts[-4:].mean() > 0.5 * counts[:4].mean()


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(InvalidArgumentError, match="2 rows"):
        split_members(np.zeros(1), PROBLEM, 0.2, folds=False)


def test_members_are_validated_on_their_own_rows_and_refitted_on_all() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = (x @ [1, -1, 0.5] > 0).astype(np.int64)
    problem = PROBLEM._replace(n_outputs=2)
    preset = Fast(n_members=3, epochs=20, width=16)
    ensemble = train_preset(preset, (x, y), problem, backend="numpy")
    assert len(ensemble.models) == 3
    for model in ensemble.models:
        losses = [record.validation_loss for record in model.history.records]
        assert model.history.best_epoch == int(np.argmin(losses)) + 1
    refitted = train_preset(preset, (x, y), problem, refit=True, backend="numpy")
    for again, first in zip(refitted.models, ensemble.models, strict=True):
        rates = [record.learning_rate for record in again.history.records]
        assert rates == [record.learning_rate for record in first.history.records][: len(rates)]
    epochs = [len(m.history.records) for m in refitted.models]
    assert epochs == [m.history.best_epoch for m in ensemble.models]
    assert ensemble.score(x, y) > 0.85


@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_pack_is_selected_while_it_trains_unless_it_writes_checkpoints(
    tmp_path: Any, checkpoints: bool
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = (x @ [1, -1, 0.5] > 0).astype(np.int64)
    problem = PROBLEM._replace(n_outputs=2, n_numbers=3)
    folder = tmp_path / "folder" if checkpoints else None
    preset = Pack(n_members=4, size=3, width=16, epochs=12)
    ensemble = train_preset(preset, (x, y), problem, checkpoint=folder, backend="numpy")
    assert 1 <= len(ensemble.models) <= 3
    assert ensemble.score(x, y) > 0.7
    of_last = [len(one.history.records) == one.history.best_epoch for one in ensemble.models]
    assert checkpoints or all(of_last)
