"""Mistyped flags, swapped arguments, files of the wrong kind: errors contain the fix."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anynet.cli.synonyms import SYNONYMS

Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--lr", "--learning-rate"),
        ("--lr=0.1", "--learning-rate"),
        ("-lr", "--learning-rate"),
        ("--LR", "--learning-rate"),
        ("--learning_rate", "--learning-rate"),
        ("--learn", "--learning-rate"),
        ("--lerning-rate", "--learning-rate"),
        ("--bs", "--batch-size"),
        ("--batch", "--batch-size"),
        ("--wd", "--weight-decay"),
        ("--hidden", "--layers"),
        ("--hidden_layer_sizes", "--layers"),
        ("--gpu", "--device cuda"),
        ("--cuda", "--device cuda"),
        ("--output", "--out"),
        ("-o", "--out"),
        ("--aug", "--augment"),
        ("--epoch", "--epochs"),
        ("--max-iter", "--epochs"),
        ("--no-nesterovv", "--no-nesterov"),
    ],
)
def test_an_unknown_flag_suggests_the_right_one(
    fails: Callable[..., str], flag: str, meant: str
) -> None:
    assert f"; did you mean {meant!r}?" in fails("train", "digits", flag, "3", code=2)


@pytest.mark.parametrize("flag", ["--nothing-like-it", "-z", "--", "--1"])
def test_no_flag_is_suggested_without_similarity(fails: Callable[..., str], flag: str) -> None:
    assert "did you mean" not in fails("backends", flag, "x", code=2)


def test_a_command_without_the_option_does_not_suggest_it(fails: Callable[..., str]) -> None:
    assert "learning-rate" not in fails("evaluate", "run", "digits", "--lr", "1", code=2)
    assert "'--out'" in fails("predict", "run", "x.png", "--output", "1", code=2)
    assert "'--jobs'" in fails("study", "depth", "digits", "--workers", "1", code=2)


def test_synonyms_are_not_options_and_refer_to_existing_options(anynet: Command) -> None:
    commands = (["train"], ["predict"], ["study", "grid"], ["evaluate"])
    helps = " ".join(anynet(*command, "--help").out for command in commands)
    known = set(re.findall(r"--([a-z-]+)", helps))
    assert not known & set(SYNONYMS)
    assert {option.partition(" ")[0] for option in SYNONYMS.values()} <= known


def test_a_config_file_suggests_the_right_option(fails: Callable[..., str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('dataset = "digits"\nlr = 0.1\n')
    assert "'lr'; did you mean 'learning-rate'?" in fails("train", "--config", config)


def test_swapped_arguments_are_errors_with_the_order(
    fails: Callable[..., str], digits_run: Any, tmp_path: Path
) -> None:
    run, rows = digits_run.folder, tmp_path / "rows.npy"
    np.save(rows, np.eye(2, 64))
    model = run / "model.safetensors"
    for command in (
        ("predict", rows, run),
        ("predict", tmp_path / "absent.png", rows, run),
        ("predict", rows, model),
        ("evaluate", "digits", run),
        ("resume", "digits", run),
        ("export", tmp_path / "x.onnx", "--format", "onnx", "--out", run),
    ):
        error = fails(*command)
        assert f"{command[1]} is not a run" in error
        assert f"put {command[-1]} first" in error


@pytest.mark.parametrize("command", [("train",), ("study", "depth"), ("augment",)])
def test_runs_and_configurations_as_data_are_errors(
    fails: Callable[..., str], digits_run: Any, tmp_path: Path, command: tuple[str, ...]
) -> None:
    config = digits_run.folder / "config.toml"
    out = ("--out", tmp_path / "out")
    assert f"--config {config}" in fails(*command, config, *out)
    for run in (digits_run.folder, digits_run.folder / "model.safetensors"):
        assert f"{run} is a run, not a data set" in fails(*command, run, *out)
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_the_name_of_a_data_set_does_not_hide_it(
    anynet: Command, digits_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits").symlink_to(digits_run.folder)
    monkeypatch.chdir(tmp_path)
    outcome = anynet("evaluate", "digits", "digits", "--json")
    assert json.loads(outcome.out)["accuracy"] == digits_run.result["test_accuracy"]


def test_a_folder_as_config_is_an_error(fails: Callable[..., str], digits_run: Any) -> None:
    assert "is a folder: expected a TOML file" in fails("train", "--config", digits_run.folder)


@pytest.mark.parametrize("shape", [(6, 8, 8, 1), (6, 1, 8, 8)])
def test_a_model_of_one_channel_images_predicts_pictures(
    anynet: Command, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    images = np.zeros((60, 8, 8), np.uint8)
    images[:30, 1:7, 1:3] = images[30:, 2:4, 1:7] = 200
    path, run = tmp_path / "own.npz", tmp_path / "run"
    labels = np.repeat(["tall", "wide"], 30)[:, None]
    np.savez(path, x=images.reshape(60, *shape[1:]), y=labels)
    trained = anynet("train", path, "--layers", 8, "--epochs", 20, "--out", run)
    assert trained.code == 0, trained
    stack, flat, one = (tmp_path / f"{name}.npy" for name in ("stack", "flat", "one"))
    np.save(stack, images[27:33].reshape(shape))
    np.save(flat, images[27:33].reshape(6, 64))
    np.save(one, images[0].reshape(8, 8, 1))
    expected = ["tall"] * 3 + ["wide"] * 3
    for file, classes in ((stack, expected), (flat, expected), (one, ["tall"])):
        answers = json.loads(anynet("predict", run, file, "--json").out)
        assert [each["class"] for each in answers] == classes


def test_a_model_of_colour_images_accepts_arrays_and_reports_its_training_data(
    anynet: Command, tmp_path: Path, rng: np.random.Generator
) -> None:
    x = rng.integers(0, 255, (40, 4, 4, 3), dtype=np.uint8)
    path, run, rows = tmp_path / "own.npz", tmp_path / "run", tmp_path / "rows.npy"
    np.savez(path, x=x, y=np.arange(40) % 2)
    assert anynet("train", path, "--layers", 8, "--epochs", 1, "--out", run).code == 0
    np.save(rows, x[:5])
    assert len(json.loads(anynet("predict", run, rows, "--json").out)) == 5
    np.save(rows, x[0])
    assert len(json.loads(anynet("predict", run, rows, "--json").out)) == 1
    picture = tmp_path / "photo.png"
    assert anynet("example", tmp_path).code == 0
    outcome = anynet("predict", run, picture)
    assert outcome.code == 1
    assert "not trained on pictures" in outcome.err
    assert "rows of 48 features" in outcome.err


def test_resuming_a_finished_run_prints_its_result_as_json(
    anynet: Command, digits_run: Any
) -> None:
    outcome = anynet("resume", digits_run.folder, "--json")
    result = json.loads(outcome.out)
    assert (outcome.code, result["run"]) == (0, str(digits_run.folder))
    assert result["test_accuracy"] == digits_run.result["test_accuracy"]
    assert "finished" in outcome.err
