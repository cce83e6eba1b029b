"""The command line on a CUDA device: the results of NumPy to rounding, from captured steps."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import anynet as library
from anynet.cli import main, progress

pytestmark = pytest.mark.cuda

Command = Callable[..., Any]

QUICK = ("--layers", "16", "--batch-size", "16", "--epochs", "3", "--quiet")
RUNS = {
    "sgd": (),
    "all parts": (
        *("--optimizer", "adam", "--learning-rate", "0.02", "--schedule", "cosine"),
        *("--layer-norm", "--dropout", "0.1", "--average", "0.5", "--clip-norm", "1"),
        *("--augment", "affine,noise,mixup", "--label-smoothing", "0.1"),
    ),
    "float64": ("--dtype", "float64", "--momentum", "0.9"),
    "from disk": ("--stream",),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, digits: library.Dataset) -> Path:
    """Return a read-only folder with images, a table, and runs of NumPy on them."""
    place = tmp_path_factory.mktemp("cuda")
    (place / "images").mkdir()
    for part, count in (("train", 330), ("test", 60)):
        x, y = getattr(digits, part)
        ending = "" if part == "train" else "_test"
        np.save(place / "images" / f"x{ending}.npy", (x[:count] * 15).reshape(-1, 8, 8))
        np.save(place / "images" / f"y{ending}.npy", y[:count])
    rng = np.random.default_rng(0)
    rows = [
        [round(a, 3), "pqr"[n % 3], round(2 * a + n % 3, 3)] for n, a in enumerate(rng.random(200))
    ]
    with (place / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["a", "kind", "value"], *rows])
    for name, options in RUNS.items():
        run_here("train", place / "images", *QUICK, *options, "--out", place / name)
    run_here("train", place / "table.csv", *TABLE, "--out", place / "table")
    return place


TABLE = ("--target", "value", *QUICK)


def run_here(*arguments: object) -> None:
    assert main([*map(str, arguments), "--backend", "numpy"]) == 0


def history(run: Path) -> list[list[str]]:
    with (run / "history.csv").open(newline="") as file:
        return [row[:-1] for row in csv.reader(file)]  # without the durations


def assert_close(run: Path, expected: Path) -> None:
    """Check that weights and history of two runs are equal to rounding."""
    mine, numpys = (load_file(each / "model.safetensors") for each in (run, expected))
    assert mine.keys() == numpys.keys()
    for name, array in numpys.items():
        np.testing.assert_allclose(mine[name], array, rtol=2e-3, atol=5e-4, err_msg=name)
    (names, *rows), (numpys_names, *numpys_rows) = history(run), history(expected)
    assert names == numpys_names
    values = [
        [[float(one or "nan") for one in row] for row in each] for each in (rows, numpys_rows)
    ]
    np.testing.assert_allclose(*values, rtol=1e-3, atol=0.01)


def assert_same(run: Path, other: Path) -> None:
    """Check that models and histories are equal bit for bit."""
    model, others_model = (each / "model.safetensors" for each in (run, other))
    assert model.read_bytes() == others_model.read_bytes()
    assert history(run) == history(other)


@pytest.mark.parametrize("name", RUNS)
def test_training_matches_numpy(
    on_cuda: str, anynet: Command, place: Path, tmp_path: Path, name: str
) -> None:
    train = ("train", place / "images", *QUICK, *RUNS[name], "--device", "cuda")
    code, out, err = anynet(*train, "--backend", on_cuda, "--out", tmp_path / "run", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["backend"], result["device"]) == (on_cuda, "cuda:0")
    assert_close(tmp_path / "run", place / name)


def test_tables_are_trained_and_predicted(
    on_cuda: str, anynet: Command, place: Path, tmp_path: Path
) -> None:
    where = ("--backend", on_cuda, "--device", "cuda")
    run, predictions = tmp_path / "run", []
    assert anynet("train", place / "table.csv", *TABLE, *where, "--out", run).code == 0
    assert_close(run, place / "table")
    for how in (where, ("--backend", "numpy")):
        code, out, _ = anynet("predict", run, place / "table.csv", "--json", *how)
        assert code == 0
        predictions.append([row["value"] for row in json.loads(out)])
    np.testing.assert_allclose(*predictions, rtol=1e-4)


def test_a_run_of_numpy_is_scored_and_predicts_on_cuda(
    on_cuda: str, anynet: Command, place: Path
) -> None:
    answers = []
    for where in (("--backend", "numpy"), ("--backend", on_cuda, "--device", "cuda")):
        images = place / "images" / "x_test.npy"
        scored = anynet("evaluate", place / "sgd", place / "images", "--json", *where)
        predicted = anynet("predict", place / "sgd", images, "--json", *where)
        assert (scored.code, predicted.code) == (0, 0)
        answers.append((json.loads(scored.out), json.loads(predicted.out)))
    (numpys_scores, numpys_rows), (scores, rows) = answers
    assert scores["confusion"] == numpys_scores["confusion"]
    assert [row["class"] for row in rows] == [row["class"] for row in numpys_rows]
    probabilities = [[row["probability"] for row in each] for each in (rows, numpys_rows)]
    np.testing.assert_allclose(*probabilities, rtol=1e-4)


def test_an_interrupted_run_resumes_bit_for_bit(
    on_cuda: str, anynet: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ("train", place / "images", *QUICK, *RUNS["all parts"], "--backend", on_cuda)
    train += ("--device", "cuda", "--checkpoint-every", "1", "--out")
    assert anynet(*train, tmp_path / "straight").code == 0
    finish = progress.ProgressBar.finish

    def finished(self: progress.ProgressBar, record: library.EpochRecord) -> None:
        finish(self, record)
        if record.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(progress.ProgressBar, "finish", finished)
        assert anynet(*train, tmp_path / "run").code == 130
    shutil.copytree(tmp_path / "run", tmp_path / "moved")
    code, out, _ = anynet("resume", tmp_path / "run", "--json")
    assert code == 0
    assert json.loads(out)["device"] == "cuda:0"
    assert_same(tmp_path / "run", tmp_path / "straight")
    assert anynet("resume", tmp_path / "moved", "--backend", "numpy", "--quiet").code == 0
    assert_close(tmp_path / "moved", tmp_path / "straight")


def test_a_killed_process_resumes_bit_for_bit(on_cuda: str, place: Path, tmp_path: Path) -> None:
    train = [sys.executable, "-m", "anynet", "train", str(place / "images"), *QUICK[:-1]]
    train += ["--backend", on_cuda, "--device", "cuda", "--checkpoint-every", "1", "--out"]
    with subprocess.Popen(
        [*train, str(tmp_path / "run")], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("epoch 1/3")
        process.kill()
    done = []
    for command in (["resume", tmp_path / "run"], [*train[3:], tmp_path / "straight"]):
        words = [*train[:3], *map(str, command), "--quiet"]
        done.append(subprocess.run(words, capture_output=True, text=True, check=False))
    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * 2
    assert_same(tmp_path / "run", tmp_path / "straight")


def test_a_study_gives_the_results_of_numpy(
    on_cuda: str, anynet: Command, place: Path, tmp_path: Path
) -> None:
    study = ("study", "learning-rate", place / "images", "--seeds", "2", "--epochs", "2")
    curves = []
    for name, where in ((on_cuda, ("--device", "cuda")), ("numpy", ())):
        out = ("--backend", name, *where, "--out", tmp_path / name)
        assert anynet(*study, "--values", "0.1", "0.3", *out).code == 0
        rows = json.loads((tmp_path / name / "results.json").read_text())["rows"]
        curves.append([row["curve"] for row in rows])
    assert len(curves[0]) == 4
    np.testing.assert_allclose(*curves, atol=0.05)


def test_the_list_of_backends_names_device_memory_and_version(anynet: Command) -> None:
    cupy = pytest.importorskip("cupy")
    code, out, _ = anynet("backends")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("cupy")]
    assert line.split()[1:4] == ["yes", cupy.__version__, "cuda:0"]
    assert f" of {cupy.cuda.Device(0).mem_info[1] / 2**30:.1f} GiB free" in line
