"""Ctrl-C and SIGTERM take effect after a checkpoint is written."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from runs import same, stop_at

import anynet

FIRST = "step-000000000000.safetensors"


def test_sigterm_takes_its_usual_effect_after_the_checkpoint_is_written(
    data, network, tmp_path: Path
) -> None:
    class LeavingError(Exception):
        pass

    def leave(*_: Any) -> None:
        raise LeavingError

    options = {"epochs": 3, "backend": "numpy", "batch_size": 32}
    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(LeavingError):
            anynet.fit(
                network,
                data,
                **options,
                checkpoint=anynet.Checkpoints(tmp_path, every=100),
                progress=lambda now: now.epoch == 2 and signal.raise_signal(signal.SIGTERM),
            )
        assert signal.getsignal(signal.SIGTERM) is leave
    finally:
        signal.signal(signal.SIGTERM, before)
    names = sorted(path.name for path in tmp_path.glob("step-*"))
    # ten steps of one epoch, one of the next
    assert names == [FIRST, "step-000000000011.safetensors"]
    same(anynet.fit(network, data, **options), anynet.resume(tmp_path, data))


def test_a_second_signal_takes_effect_immediately(data, network, tmp_path: Path) -> None:
    def press_twice(_: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(anynet.TrainingInterrupted) as stop:
        anynet.fit(network, data, backend="numpy", checkpoint=tmp_path, progress=press_twice)
    assert isinstance(stop.value.__cause__, KeyboardInterrupt)
    assert [path.name for path in tmp_path.glob("step-*")] == [FIRST]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ignored_signals_stay_ignored(data, network, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        model = anynet.fit(
            network, data, epochs=1, backend="numpy", checkpoint=tmp_path, progress=stop_at(1, 1)
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert model.history.stopped == "all 1 epochs done"


def test_a_thread_writes_checkpoints_without_handling_signals(
    data, network, tmp_path: Path
) -> None:
    models: list[anynet.Model] = []

    def train() -> None:
        models.append(
            anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path / "run")
        )

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    same(models[0], anynet.resume(tmp_path / "run", data))


def test_ctrl_c_in_the_last_batch_keeps_the_results_of_the_run(
    data, network, tmp_path: Path
) -> None:
    straight = anynet.fit(network, data, epochs=1, backend="numpy")
    with pytest.raises(anynet.TrainingInterrupted) as stop:
        anynet.fit(
            network, data, epochs=1, backend="numpy", checkpoint=tmp_path, progress=stop_at(1, 300)
        )
    assert isinstance(stop.value.model, anynet.Model)
    same(straight, anynet.resume(tmp_path, data))
