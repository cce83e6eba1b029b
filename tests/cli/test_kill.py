"""A run that is killed repeatedly at random times ends like an uninterrupted run."""

import csv
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anynet.cli import main

EPOCHS = 40


def options(folder: Path) -> list[str]:
    """Return options of a run with many short epochs, which often writes checkpoints."""
    return [
        str(folder / "data.npz"),
        *("--layers", "24,12", "--dropout", "0.1", "--optimizer", "adam", "--average", "0.9"),
        *("--schedule", "plateau", "--decay-epochs", "3", "--epochs", str(EPOCHS)),
        *("--patience", str(EPOCHS), "--backend", "numpy", "--batch-size", "50"),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the data and train the uninterrupted reference run."""
    folder = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(1200, 20)), rng.integers(0, 4, 1200)
    np.savez(
        folder / "data.npz", x_train=x[:1000], y_train=y[:1000], x_test=x[1000:], y_test=y[1000:]
    )
    assert main(["train", *options(folder), "--quiet", "--out", str(folder / "straight")]) == 0
    return folder


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "anynet", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_at_random(process: subprocess.Popen[str], rng: random.Random) -> bool:
    """Kill a process, sometimes while it starts and otherwise during one of its epochs.

    Returns
    -------
    bool
        Whether the process was still running.
    """
    assert process.stderr is not None
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0, 1.5))
    else:
        for _ in range(rng.randrange(1, EPOCHS // 3)):
            line = process.stderr.readline()
            if not line.startswith("epoch"):
                break
        time.sleep(rng.uniform(0, 0.03))
    process.kill()
    said = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert process.returncode in (0, -9), said
    return process.returncode == -9


def check_same(run: Path, straight: Path) -> None:
    assert (run / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    histories = []
    for each in (run, straight):
        with (each / "history.csv").open(newline="") as file:
            histories.append([row[:-1] for row in csv.reader(file)])
    assert histories[0] == histories[1]
    assert len(histories[0]) == EPOCHS + 1
    assert main(["resume", str(run)]) == 0  # a finished run is not changed
    assert {path.name for path in run.iterdir()} == {path.name for path in straight.iterdir()}


def finished(run: Path) -> bool:
    return run.exists() and not (run / "checkpoints").exists()


def kill_until(kills: int, folder: Path, every: str, seed: int) -> None:
    """Train, kill and resume; when a run is finished, compare it and start another."""
    rng, killed, number = random.Random(seed), 0, 0
    while killed < kills:
        number += 1
        run = folder / f"{every}-{number}"
        arguments = ["train", *options(folder), "--checkpoint-every", every, "--out", str(run)]
        while not finished(run):
            killed += kill_at_random(start(*arguments), rng)
            if run.exists():
                arguments = ["resume", str(run)]
        check_same(run, folder / "straight")


@pytest.mark.slow
def test_a_run_killed_several_times_equals_the_uninterrupted_run(folder: Path) -> None:
    kill_until(4, folder, "1", seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("every", ["1", "0.0001min"])
def test_fifty_kills(folder: Path, every: str) -> None:
    kill_until(50, folder, every, seed=2)
