"""What training reports to ``logging``, and that it is silent by default."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import anynet
from anynet.optim import ReduceOnPlateau
from anynet.tabular import Fast, Problem, train_preset


def blobs(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return (rng.normal(0, 0.3, (n, 4)) + y[:, None]).astype(np.float32), y


NETWORK = anynet.mlp([4, 8, 3])
OPTIONS = {"epochs": 3, "patience": None, "target_accuracy": None, "backend": "numpy"}


def levels(caplog: pytest.LogCaptureFixture, word: str) -> list[int]:
    """Return the levels of the messages that contain a word."""
    return [each.levelno for each in caplog.records if word in each.getMessage()]


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "anynet")


def test_fit_logs_backend_epochs_and_kept_weights(caplog: pytest.LogCaptureFixture) -> None:
    model = anynet.fit(NETWORK, blobs(), validation=0.2, **OPTIONS)
    assert {record.name for record in caplog.records} == {"anynet"}
    first, *epochs, last = [record.getMessage() for record in caplog.records]
    assert "numpy on cpu, float32" in first
    assert "72 samples, 18 held out" in first
    for record, text in zip(model.history.records, epochs, strict=True):
        assert text.startswith(f"epoch {record.epoch}/3: loss {record.train_loss:.4f}, ")
        assert f"validation accuracy {record.validation_score:.4f}" in text
    assert model.history.stopped in last
    assert f"weights of epoch {model.history.best_epoch} are kept" in last
    assert {record.levelno for record in caplog.records} == {logging.INFO}


def test_a_reduced_learning_rate_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    rate = ReduceOnPlateau(0.1, factor=0.5, patience=1, min_delta=1.0)
    anynet.fit(NETWORK, blobs(), validation=0.2, learning_rate=rate, **OPTIONS)
    assert levels(caplog, "0.5 of its value") == [logging.INFO]


def test_epochs_of_members_are_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    members = [{"seed": 0}, {"seed": 1}]
    anynet.fit_population(NETWORK, blobs(), members, validation=0.2, **OPTIONS)
    assert levels(caplog, "member 1: epoch ") == [logging.DEBUG] * 3
    assert levels(caplog, "of 2 members continue") == [logging.INFO] * 3
    assert levels(caplog, "member 1: training ended") == [logging.INFO]


def test_a_diverged_member_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    members = [{"learning_rate": 0.1}, {"learning_rate": 1e30}]
    anynet.fit_population(NETWORK, blobs(), members, loss="cross_entropy", **OPTIONS)
    assert levels(caplog, "member 1: the training loss is not finite") == [logging.WARNING]


def test_checkpoints_and_resumption_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    anynet.fit(NETWORK, blobs(), checkpoint=tmp_path / "c", **OPTIONS)
    assert set(levels(caplog, "checkpoint of step")) == {logging.DEBUG}
    anynet.resume(tmp_path / "c", blobs(), epochs=5)
    assert levels(caplog, "resumed from") == [logging.INFO]
    assert levels(caplog, "epoch 5/5") == [logging.INFO]


def test_estimators_log_what_verbose_prints(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = blobs()
    estimator = anynet.MLPClassifier((8,), max_iter=3, tol=10, n_iter_no_change=1, verbose=True)
    estimator.fit(x, y)
    printed = capsys.readouterr().out.splitlines()
    logged = [record.getMessage() for record in caplog.records]
    assert printed
    assert [line for line in logged if line in printed] == printed
    assert "numpy on cpu" in logged[0]
    assert "training ended after epoch" in logged[-1]


def test_presets_log_their_networks(caplog: pytest.LogCaptureFixture) -> None:
    problem = Problem("classes", 90, n_inputs=4, n_numbers=4, levels=(), n_outputs=3, seed=0)
    train_preset(Fast(n_members=2), blobs(), problem, backend="numpy", time_limit=0.2)
    assert levels(caplog, "preset fast") == [logging.INFO]
    assert levels(caplog, "training begins") == [logging.INFO]


def test_nothing_is_printed_by_default() -> None:
    code = (
        "import numpy as np, anynet\n"
        "x, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 2\n"
        "members = [{'learning_rate': 1e30}]\n"
        "anynet.fit_population(anynet.mlp([4, 2]), (x, y), members, backend='numpy', epochs=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
