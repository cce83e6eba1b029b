"""``anynet resume``: unfinished runs are detected, continued and finished without loss."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import anynet as library
from anynet.cli import main, plots, progress
from anynet.data.locks import locked

FILES = {"model.safetensors", "config.toml", "history.csv", "curves.png", "confusion.png"}
QUICK = ("digits", "--layers", "8", "--epochs", "4", "--backend", "numpy", "--quiet")
OFTEN = ("--checkpoint-every", "1")

Command = Callable[..., Any]


def left(where: Path) -> set[str]:
    return {path.name for path in where.iterdir()}


def outcome_of(run: Path) -> dict[str, Any]:
    """Return all results of a finished run except times."""
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    config = tomllib.loads((run / "config.toml").read_text())
    config["about"].pop("finished")
    config.pop("checkpoint-every", None)
    return {
        "model": (run / "model.safetensors").read_bytes(),
        "history": [row[:-1] for row in rows],
        "config": config,
        "files": left(run),
    }


def press(number: int, epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a signal at the end of an epoch."""
    finish = progress.ProgressBar.finish

    def finished(self: progress.ProgressBar, record: library.EpochRecord) -> None:
        finish(self, record)
        if record.epoch == epoch:
            signal.raise_signal(number)

    monkeypatch.setattr(progress.ProgressBar, "finish", finished)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an uninterrupted run."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert main(["train", *QUICK, "--out", str(run)]) == 0
    return run


@pytest.fixture
def unfinished(anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the same run, interrupted after two epochs."""
    with monkeypatch.context() as patch:
        press(signal.SIGINT, 2, patch)
        outcome = anynet("train", *QUICK, *OFTEN, "--out", tmp_path / "run")
    run = tmp_path / "run"
    assert outcome.code == 130
    assert outcome.out == ""
    assert outcome.err == f"anynet: interrupted: anynet resume {run} continues it\n"
    return run


def test_checkpoints_do_not_change_the_results(
    anynet: Command, straight: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert anynet("train", *QUICK, *OFTEN, "--out", run).code == 0
    assert outcome_of(run) == outcome_of(straight)
    assert left(tmp_path) == {"run"}
    assert left(run) == FILES
    assert tomllib.loads((run / "config.toml").read_text())["checkpoint-every"] == 1


def test_an_interrupted_run_resumes(anynet: Command, straight: Path, unfinished: Path) -> None:
    assert left(unfinished) == {"config.toml", "checkpoints"}
    outcome = anynet("resume", unfinished, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome_of(unfinished) == outcome_of(straight)
    result = json.loads(outcome.out)
    assert (result["run"], result["epochs"]) == (str(unfinished), 4)


def test_the_output_of_resume(anynet: Command, unfinished: Path) -> None:
    code, out, err = anynet("resume", unfinished)
    assert code == 0
    assert "1,295 rows to train on" in out
    assert out.endswith(f"run folder {unfinished}\n")
    assert [line[:10] for line in err.splitlines()] == ["epoch 3/4 ", "epoch 4/4 "]


def test_sigterm_acts_like_ctrl_c_with_its_own_exit_code(
    anynet: Command, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        press(signal.SIGTERM, 1, patch)
        outcome = anynet("train", *QUICK, *OFTEN, "--out", run)
        assert outcome.code == 143
        assert outcome.err == f"anynet: interrupted: anynet resume {run} continues it\n"
        press(signal.SIGTERM, 3, patch)
        assert anynet("resume", run, "--quiet").code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert anynet("resume", run, "--quiet").code == 0
    assert outcome_of(run) == outcome_of(straight)


def test_sigterm_without_checkpoints_keeps_the_best_epoch(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(signal.SIGTERM, 2, monkeypatch)
    outcome = anynet("train", *QUICK, "--out", tmp_path / "run")
    assert outcome.code == 143
    assert "the best of 2" in outcome.err
    assert left(tmp_path / "run") == FILES


@pytest.mark.parametrize("command", ["evaluate", "predict", "export", "load"])
def test_loading_an_unfinished_run_reports_how_to_resume(
    fails: Command, unfinished: Path, command: str, tmp_path: Path
) -> None:
    message = f"is unfinished: anynet resume {unfinished} finishes it"
    if command == "load":
        with pytest.raises(library.ModelFileError, match="is unfinished: anynet resume"):
            library.load(unfinished)
        return
    arguments = {
        "evaluate": ["digits"],
        "predict": ["some.png"],
        "export": ["--format", "onnx", "--out", tmp_path / "model.onnx"],
    }
    assert message in fails(command, unfinished, *arguments[command])


def test_finished_and_missing_runs_are_not_resumed(
    anynet: Command, fails: Command, straight: Path, tmp_path: Path
) -> None:
    before = outcome_of(straight)
    assert "the run is finished" in anynet("resume", straight).err
    assert "the run is finished" in fails("resume", straight, "--epochs", "9")
    assert outcome_of(straight) == before
    assert "there is no run" in fails("resume", tmp_path)
    assert "there is no run" in fails("resume", tmp_path / "none")
    assert "exists already" in fails("train", *QUICK, *OFTEN, "--out", straight)


def test_resuming_a_run_in_use_is_an_error(fails: Command, unfinished: Path) -> None:
    before = left(unfinished / "checkpoints")
    with locked(unfinished / "checkpoints" / "lock", "here"):
        assert "is in use by another run" in fails("resume", unfinished)
        assert "exists already" in fails("train", *QUICK, "--out", unfinished)
    assert left(unfinished / "checkpoints") == before


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    anynet: Command, straight: Path, unfinished: Path
) -> None:
    for path in (unfinished / "checkpoints").iterdir():
        path.unlink()
    assert anynet("resume", unfinished, "--quiet").code == 0
    assert outcome_of(unfinished) == outcome_of(straight)


def test_a_run_resumes_with_another_backend(
    anynet: Command, fails: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        press(signal.SIGINT, 2, patch)
        torch = ("--backend", "torch", "--precision", "bfloat16", "--validation", "500")
        assert anynet("train", *QUICK, *torch, *OFTEN, "--out", run).code == 130
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda _: None)
        message = fails("resume", run)
    assert "torch, which is not installed" in message
    assert f"choose another --backend; anynet resume {run} continues it" in message
    assert anynet("resume", run, "--backend", "numpy", "--quiet").code == 0
    config = tomllib.loads((run / "config.toml").read_text())
    assert (config["backend"], config["device"], config["validation"]) == ("numpy", "cpu", 500)
    assert "precision" not in config
    assert left(run) == FILES


def test_resume_with_more_epochs_extends_the_run(
    anynet: Command, unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        press(signal.SIGINT, 5, patch)
        assert anynet("resume", unfinished, "--epochs", 6, "--quiet").code == 130
    result = json.loads(anynet("resume", unfinished, "--json").out)
    assert (result["epochs"], result["stopped"]) == (6, "all 6 epochs done")
    assert tomllib.loads((unfinished / "config.toml").read_text())["epochs"] == 6


def test_moved_data_can_be_given_and_changed_data_are_an_error(
    anynet: Command, fails: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.random((80, 3)), "y_train": np.arange(80) % 2}
    own, run = tmp_path / "own.npz", tmp_path / "run"
    np.savez(own, **arrays)
    with monkeypatch.context() as patch:
        press(signal.SIGINT, 1, patch)
        assert anynet("train", own, *QUICK[1:], *OFTEN, "--out", run).code == 130
    own.rename(tmp_path / "moved.npz")
    assert "own.npz" in fails("resume", run)
    np.savez(own, x_train=arrays["x_train"] + 1, y_train=arrays["y_train"])
    message = fails("resume", run, "--quiet")
    assert "the data differ" in message
    assert "restore the original data" in message
    assert "anynet resume" not in message
    assert anynet("resume", run, tmp_path / "moved.npz", "--quiet").code == 0
    assert left(run) == FILES


def test_a_run_on_a_table_resumes(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{'xyz'[n % 3]},{a * 2 + n % 3:.3f}" for n, a in enumerate(rng.random(90))]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    table = (tmp_path / "table.csv", "--target", "y", *QUICK[1:], "--patience", "9")
    runs = tmp_path / "straight", tmp_path / "left"
    assert anynet("train", *table, "--out", runs[0]).code == 0
    with monkeypatch.context() as patch:
        press(signal.SIGINT, 2, patch)
        assert anynet("train", *table, *OFTEN, "--out", runs[1]).code == 130
    assert anynet("resume", runs[1], "--quiet").code == 0
    assert outcome_of(runs[0]) == outcome_of(runs[1])


def test_a_plot_that_fails_keeps_the_checkpoints(
    anynet: Command,
    fails: Command,
    straight: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "curves.png")

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(plots, "save_curves", full)
        message = fails("train", *QUICK, *OFTEN, "--out", run)
    assert message.endswith(f"No space left on device; anynet resume {run} continues it\n")
    assert "unfinished" in fails("evaluate", run, "digits")
    with monkeypatch.context() as patch:
        patch.setattr(
            "anynet.training.trainer.Cohort.train", lambda *_: pytest.fail("trained again")
        )
        assert anynet("resume", run, "--quiet").code == 0
    assert outcome_of(run) == outcome_of(straight)


def test_a_damaged_checkpoint_is_reported(straight: Path, unfinished: Path) -> None:
    newest = max((unfinished / "checkpoints").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    ran = subprocess.run(
        [sys.executable, "-m", "anynet", "resume", unfinished, "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    assert ran.stderr.startswith(f"anynet: warning: '{newest}' cannot be read as a checkpoint: ")
    assert ran.stderr.endswith("; continuing from the one before it\n")
    assert outcome_of(unfinished) == outcome_of(straight)


def test_a_run_that_diverges_again_does_not_suggest_resume(fails: Command, tmp_path: Path) -> None:
    rates = ("--learning-rate", "1e38", "--schedule", "constant")
    message = fails("train", *QUICK, *rates, *OFTEN, "--out", tmp_path / "run")
    assert "not finite in epoch 1" in message
    assert "anynet resume" not in message


@pytest.mark.parametrize("value", ["0", "1.5", "min", "1h", "-3", "five"])
def test_invalid_intervals_are_usage_errors(anynet: Command, value: str) -> None:
    outcome = anynet("train", "digits", f"--checkpoint-every={value}")
    assert outcome.code == 2
    assert all(fact in outcome.err for fact in ("epochs, such as 5", "minutes, such as 10min"))


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX resource limits")
def test_a_disk_that_fills_up_keeps_the_last_checkpoint(
    straight: Path, anynet: Command, tmp_path: Path
) -> None:
    """The limit on the file size applies to a separate process only."""
    run, model = tmp_path / "run", straight / "model.safetensors"
    room = sum(array.nbytes for array in load_file(model).values())  # less than a checkpoint needs
    script = (
        "import resource, signal, sys; from anynet.cli import main, progress\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "finish = progress.ProgressBar.finish\n"
        "def filled(self, record):\n"
        "    if record.epoch == 3:\n"
        f"        resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "progress.ProgressBar.finish = filled\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["train", *QUICK, *OFTEN, "--out", str(run)]
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("anynet: error: cannot write a checkpoint to ")
    assert ran.stderr.endswith(f"the newest of them; anynet resume {run} continues it\n")
    assert anynet("resume", run, "--quiet").code == 0
    assert outcome_of(run) == outcome_of(straight)


def test_resume_removes_leftover_checkpoints_of_a_finished_run(
    anynet: Command, straight: Path
) -> None:
    """The run was killed after its last file and before its checkpoints were removed."""
    before = outcome_of(straight)
    (straight / ".checkpoints.done").mkdir()
    (straight / ".checkpoints.done" / "step-000000000001.safetensors").touch()
    assert anynet("resume", straight).code == 0
    assert outcome_of(straight) == before


@pytest.mark.parametrize(
    ("line", "edited", "option", "values"),
    [
        ("learning-rate = 0.003", "learning-rate = 0.5", "learning-rate", ("0.5", "0.003")),
        ('optimizer = "adam"', 'optimizer = "sgd"', "optimizer", ("'sgd'", "'adam'")),
        ("batch-size = 32", "batch-size = 64", "batch-size", ("64", "32")),
        ("seed = 0", "seed = 1", "seed", ("1", "0")),
        ("layers = [\n    8,\n]", "layers = [8, 8]", "layers", ("[8, 8]", "[8]")),
        ("patience = 20\n", "", "patience", ("not set", "20")),
        ("nesterov = false", "nesterov = true", "nesterov", ("true", "false")),
        ("seed = 0", "seed = 0\nclip-norm = 2", "clip-norm", ("2.0", "not set")),
        ('schedule = "exponential"', 'schedule = "constant"', "schedule", ("'constant'",)),
        ("validation = 143", "validation = 100", "validation", ("100", "143")),
        ("checkpoint-every = 1", "checkpoint-every = 9", "checkpoint-every", ("9", "1")),
    ],
)
def test_edited_configurations_are_errors(
    fails: Command, unfinished: Path, line: str, edited: str, option: str, values: tuple[str, ...]
) -> None:
    config = unfinished / "config.toml"
    before = config.read_text()
    assert line in before
    config.write_text(before.replace(line, edited))
    changed = config.read_text()
    message = fails("resume", unfinished, "--quiet")
    assert f"{option} is {values[0]}, but the run began with" in message
    assert all(value in message for value in values)
    assert "anynet resume" not in message
    assert config.read_text() == changed
    assert {"lock", "options.toml"} < left(unfinished / "checkpoints")


def test_a_failed_resume_does_not_change_the_configuration(
    anynet: Command, fails: Command, unfinished: Path, straight: Path, tmp_path: Path
) -> None:
    before = (unfinished / "config.toml").read_bytes()
    x, y = library.load_dataset("digits").train
    np.savez(tmp_path / "other.npz", x_train=x[:200], y_train=y[:200])
    for arguments in ((tmp_path / "other.npz",), ("--epochs", 1)):
        fails("resume", unfinished, *arguments, "--quiet")
        assert (unfinished / "config.toml").read_bytes() == before
    assert anynet("resume", unfinished, "--quiet").code == 0
    assert outcome_of(unfinished) == outcome_of(straight)


def test_epochs_and_reporting_options_may_be_edited_before_resume(
    anynet: Command, unfinished: Path, straight: Path
) -> None:
    config = unfinished / "config.toml"
    config.write_text(config.read_text().replace("epochs = 4", "epochs = 5") + "quiet = true\n")
    assert anynet("resume", unfinished).code == 0
    text = (straight / "history.csv").read_text().splitlines()
    now = (unfinished / "history.csv").read_text().splitlines()
    assert len(now) == 6
    assert [line.rpartition(",")[0] for line in now[:5]] == [
        line.rpartition(",")[0] for line in text
    ]
    assert left(unfinished) == FILES


def test_the_model_is_saved_if_the_run_folder_disappears(
    fails: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    run = tmp_path / "run"
    finish = progress.ProgressBar.finish

    def finished(self: progress.ProgressBar, record: library.EpochRecord) -> None:
        finish(self, record)
        if record.epoch == 2:
            shutil.rmtree(run)

    monkeypatch.setattr(progress.ProgressBar, "finish", finished)
    message = fails("train", *QUICK, *OFTEN, "--out", run)
    (saved,) = (tmp_path / "temporary").glob("*/model.safetensors")
    assert f"the model was saved as {saved}" in message
    assert "anynet resume" not in message
    assert library.load(saved, "numpy").network.n_outputs == 10
