"""``mpiexec -n 2 anynet train --parallel mpi``: one run folder, one output, one error."""

import csv
import json

import mpi
import numpy as np
import pytest

from anynet.cli import main
from anynet.cli.progress import ProgressBar

OPTIONS = ["digits", "--layers", "16", "--epochs", "2", "--batch-size", "100", "--backend", "numpy"]
OPTIONS += ["--dtype", "float64", "--parallel", "mpi"]


def slow(*arguments):
    return pytest.param(*arguments, marks=pytest.mark.slow)


def history(folder):
    with (folder / "history.csv").open() as file:
        return [
            [float(row["train_loss"]), float(row["learning_rate"])] for row in csv.DictReader(file)
        ]


def test_two_processes_write_the_run_of_one(tmp_path):
    code, out, err = mpi.run(2, "-m", "anynet", "train", *OPTIONS, "--out", tmp_path / "two")
    assert code == 0, err
    assert main(["train", *OPTIONS, "--out", str(tmp_path / "one"), "--quiet"]) == 0
    np.testing.assert_allclose(history(tmp_path / "two"), history(tmp_path / "one"), rtol=1e-6)
    files = [{path.name for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]
    assert out.count("run folder") == 1
    assert err.count("epoch 2/2") == 1
    assert "parallel" not in (tmp_path / "two" / "config.toml").read_text()


@pytest.mark.slow
def test_another_number_of_processes_resumes_a_run(tmp_path, monkeypatch):
    options = ["train", *OPTIONS, "--checkpoint-every", "1", "--quiet"]
    assert main([*options, "--out", str(tmp_path / "straight")]) == 0

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "finish", interrupt)
        assert main([*options, "--out", str(tmp_path / "run")]) == 130
    code, out, err = mpi.run(2, "-m", "anynet", "resume", tmp_path / "run", "--parallel", "mpi")
    assert code == 0, err
    assert out.count("run folder") == 1
    np.testing.assert_allclose(history(tmp_path / "run"), history(tmp_path / "straight"), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["train", "digits", "--parallel", "mpi", "--out", "."], "exists already"),
        slow(["train", "digits", "--parallel", "mpj"], "did you mean 'mpi'"),
        slow(["train", "absent.csv", "--target", "y", "--parallel", "mpi"], "absent.csv"),
        slow(["train", "digits", "--batch-size", "1", "--parallel", "mpi"], "fewer processes"),
        slow(["resume", "absent", "--parallel", "mpi"], "there is no run"),
    ],
)
def test_an_error_is_one_line_of_one_process(options, expected, tmp_path):
    code, _, err = mpi.run(2, "-m", "anynet", *options, cwd=tmp_path)
    lines = [line for line in err.splitlines() if line.strip()]
    assert code in (1, 2)
    assert len(lines) == 1, err
    assert expected in lines[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_runs_of_a_study_are_handed_out(tmp_path):
    options = ["study", "learning-rate", "digits", "--values", "0.1", "0.2", "--seeds", "6"]
    options += ["--epochs", "1", "--backend", "numpy"]
    code, out, err = mpi.run(
        3, "-m", "anynet", *options, "--parallel", "mpi", "--out", tmp_path / "three"
    )
    assert code == 0, err
    assert out.count("report ") == 1
    assert "12/12" in err
    assert main([*options, "--quiet", "--out", str(tmp_path / "one")]) == 0
    found = [
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("three", "one")
    ]
    accuracies = [
        sorted((str(row["options"]), row["seed"], row["test_accuracy"]) for row in each["rows"])
        for each in found
    ]
    assert accuracies[0] == accuracies[1]
