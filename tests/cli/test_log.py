"""``--log``: each epoch is recorded in files, for TensorBoard and with MLflow."""

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anynet as library
from anynet.cli import progress

QUICK = ("digits", "--layers", "8", "--epochs", "3", "--backend", "numpy", "--quiet")

Command = Callable[..., Any]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_have_the_figures_of_the_history(anynet: Command, tmp_path: Path) -> None:
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    run = tmp_path / "run"
    assert anynet("train", *QUICK, "--log", f"{table},{lines}", "--out", run).code == 0
    logged = [json.loads(line) for line in lines.read_text().splitlines()]
    found = rows(table)
    for each, line, record in zip(found, logged, rows(run / "history.csv"), strict=True):
        assert each["epoch"] == record["epoch"] == str(line["epoch"])
        assert each["validation_score"] == record["validation_accuracy"]
        assert float(record["validation_accuracy"]) == line["validation_score"]
    assert "\nlog = " not in (run / "config.toml").read_text()


def test_the_networks_of_a_preset_are_members(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    anynet("example")
    flags = ("--target", "survived", "--members", "2", "--time-limit", "0.5", "--quiet")
    assert anynet("train", "ship.csv", *flags, "--log", "a.csv", "--out", "run").code == 0
    found = [(each["member"], each["epoch"]) for each in rows(Path("a.csv"))]
    assert sorted(found) == sorted(
        (each["member"], each["epoch"]) for each in rows(Path("run/history.csv"))
    )


def test_a_resumed_run_continues_its_log(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, log = tmp_path / "run", tmp_path / "a.csv"
    finish = progress.ProgressBar.finish

    def interrupted(self: progress.ProgressBar, record: library.EpochRecord) -> None:
        finish(self, record)
        if record.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(progress.ProgressBar, "finish", interrupted)
        flags = ("--checkpoint-every", "1", "--log", log, "--out", run)
        assert anynet("train", *QUICK, *flags).code == 130
    before = [each["epoch"] for each in rows(log)]
    assert before
    assert anynet("resume", run, "--quiet", "--log", log).code == 0
    assert [each["epoch"] for each in rows(log)] == ["1", "2", "3"]


@pytest.mark.slow
def test_mlflow_has_the_options_of_the_run(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    try:
        flags = ("--log", "mlflow:mine", "--out", tmp_path / "run")
        assert anynet("train", *QUICK, *flags).code == 0
        (run,) = mlflow.search_runs(experiment_names=["mine"], output_format="list")
    finally:
        mlflow.set_tracking_uri(None)
    assert run.info.status == "FINISHED"
    assert run.data.params["layers"] == "(8,)"
    assert run.data.params["optimizer"] == "adam"
    assert "validation_score" in run.data.metrics


def test_tensorboard_has_the_epochs(anynet: Command, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    flags = ("--log", f"tensorboard:{tmp_path / 'tb'}", "--out", tmp_path / "run")
    assert anynet("train", *QUICK, *flags).code == 0
    events = reader.EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    assert [event.step for event in events.Scalars("validation_score")] == [1, 2, 3]


@pytest.mark.parametrize("checkpoints", [(), ("--checkpoint-every", "1")])
def test_an_existing_log_is_refused_before_anything_is_written(
    fails: Callable[..., str], checkpoints: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "a.csv"
    log.write_text("mine")
    error = fails("train", *QUICK, *checkpoints, "--log", log, "--out", tmp_path / "run")
    assert "a.csv" in error
    assert "anynet resume" in error
    assert "resume=True" not in error
    assert log.read_text() == "mine"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("target", ["a.txt", "tensorboard", "tensorboard:", "mlflow:", "wandb"])
def test_unknown_targets_are_usage_errors(fails: Callable[..., str], target: str) -> None:
    error = fails("train", "digits", "--log", target, code=2)
    assert "tensorboard:DIR" in error
    assert target in error
