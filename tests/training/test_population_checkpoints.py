"""Checkpoints of populations: continued training equals uninterrupted training bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.errors import CheckpointError, TrainingInterrupted

EPOCHS = 8


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(160, 6)).astype(np.float32)
    return x, (x @ rng.normal(size=6) > 0).astype(np.int64)


def members() -> list[dict[str, Any]]:
    """Return five members that stop at different epochs, and two of another group."""
    rates = [0.3, 0.1, 0.02, 0.5, 0.05]
    rows = np.arange(160)
    first = [
        {"learning_rate": rate, "seed": at, "patience": 1 + at, "held_out": rows[at::5]}
        for at, rate in enumerate(rates)
    ]
    wide = [{"network": anynet.mlp([6, 12, 2]), "seed": at, "held_out": rows[:32]} for at in (7, 8)]
    for one in (*first, *wide):
        one["samples"] = np.setdiff1d(rows, one["held_out"])
    return [*first, *wide]


def trained(backend: Any, **how: Any) -> list[anynet.Model]:
    network = anynet.mlp([6, 8, 2], dropout=0.2)
    options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 32, "scoring": "loss"}
    options |= {"optimizer": "adam", "average": 0.9, "target_accuracy": None, "learning_rate": 0.1}
    return anynet.fit_population(
        network, how.pop("data", data()), members(), backend=backend, **options, **how
    )


def assert_same(found: list[anynet.Model], expected: list[anynet.Model]) -> None:
    for one, other in zip(found, expected, strict=True):
        for left, right in zip(one.params, other.params, strict=True):
            for name in left:
                a, b = (
                    model.backend.to_host(p[name]) for model, p in ((one, left), (other, right))
                )
                np.testing.assert_array_equal(a, b)
        assert one.history is not None
        assert other.history is not None
        assert [record[:6] for record in one.history.records] == [
            record[:6] for record in other.history.records
        ]
        assert one.history.stopped == other.history.stopped
        assert one.history.best_epoch == other.history.best_epoch


def interrupt(backend: Any, folder: Path, calls: int, every: int = 1) -> None:
    """Train, and press Ctrl-C after a number of epochs of any group."""
    count = 0

    def pressed(_: Any) -> None:
        nonlocal count
        count += 1
        if count == calls:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        trained(backend, checkpoint=anynet.Checkpoints(folder, every), progress=pressed)


@pytest.mark.parametrize(("calls", "every"), [(1, 1), (3, 2), (6, 1), (10, 3)])
def test_continued_training_equals_uninterrupted_training(
    backend: Any, tmp_path: Path, calls: int, every: int
) -> None:
    straight = trained(backend)
    interrupt(backend, tmp_path / "folder", calls, every)
    assert_same(trained(backend, checkpoint=tmp_path / "folder"), straight)
    # finished: nothing is trained again
    assert_same(trained(backend, checkpoint=tmp_path / "folder"), straight)


def test_training_with_checkpoints_equals_training_without(backend: Any, tmp_path: Path) -> None:
    assert_same(trained(backend, checkpoint=tmp_path), trained(backend))


def test_other_data_and_other_populations_are_errors(tmp_path: Path) -> None:
    interrupt("numpy", tmp_path, 2)
    with pytest.raises(CheckpointError, match="data differ"):
        trained("numpy", checkpoint=tmp_path, data=data(seed=1))
    with pytest.raises(CheckpointError, match="options"):
        trained("numpy", checkpoint=tmp_path, clip_norm=1.0)
    other = tmp_path / "fit"
    network = anynet.mlp([6, 8, 2])
    anynet.fit(network, data(), epochs=1, backend="numpy", checkpoint=other)
    with pytest.raises(CheckpointError, match="population"):
        trained("numpy", checkpoint=other)


def test_a_signal_is_delivered_after_a_checkpoint_is_written(tmp_path: Path) -> None:
    import signal

    def pressed(progress: Any) -> None:
        if progress.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(TrainingInterrupted) as caught:
        trained("numpy", checkpoint=anynet.Checkpoints(tmp_path, "100min"), progress=pressed)
    found: Any = caught.value.model
    assert len(found[0].history.records) >= 2
    assert list(tmp_path.glob("step-*"))
    assert_same(trained("numpy", checkpoint=tmp_path), trained("numpy"))
