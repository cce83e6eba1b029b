"""``anynet train`` end to end on the digits: results, reproduction, errors, recovery."""

import csv
import json
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import anynet as library
from anynet.cli import plots, progress
from anynet.cli.options import TrainOptions
from anynet.cli.recipe import VALIDATION_ROWS, resolve
from anynet.data import Dataset, write_idx

FILES = {"model.safetensors", "config.toml", "history.csv", "curves.png", "confusion.png"}
QUICK = ("digits", "--layers", "8", "--epochs", "2", "--backend", "numpy")

Command = Callable[..., Any]


def test_the_files_of_the_run_folder(digits_run: Any) -> None:
    folder, result = digits_run
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    for name in ("curves.png", "confusion.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 400
    config = tomllib.loads((folder / "config.toml").read_text())
    assert (config["backend"], config["device"]) == ("numpy", "cpu")
    assert config["learning-rate"] == 0.003
    assert config["validation"] == 143  # a tenth of 1438
    assert config["about"]["anynet"] == library.__version__
    assert config["about"]["test_accuracy"] == result["test_accuracy"]


def test_without_validation_all_rows_are_trained_on_and_the_last_epoch_is_kept(
    anynet: Command, tmp_path: Path
) -> None:
    options = ("--validation", "0", "--target-accuracy", "0.01", "--learning-rate", "0.01")
    outcome = anynet("train", *QUICK, *options, "--out", tmp_path / "run", "--json")
    result = json.loads(outcome.out)
    assert result["validation_accuracy"] is None
    assert (result["epochs"], result["best_epoch"]) == (2, 2)
    assert result["samples_per_second"] * result["seconds"] == pytest.approx(2 * 1438)
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert config["validation"] == 0
    assert "validation_accuracy" not in config["about"]


def test_network_options_are_applied(anynet: Command, tmp_path: Path) -> None:
    options = ["--activation", "scaled_tanh", "--initializer", "ciresan_uniform"]
    dropout = ("--input-dropout", "0.2", "--max-norm", "0.1", "--signed-inputs", "--average", "0")
    anynet("train", *QUICK, *options, *dropout, "--out", tmp_path / "run")
    model = library.load(tmp_path / "run", backend="numpy")
    kinds = [layer.kind for layer in model.network.layers]
    assert kinds == ["scale", "dropout", "dense", "scale", "activation", "scale", "dense"]
    assert (model.network.layers[0].factor, model.network.layers[0].offset) == (2 / 16, -1)
    for layer in model.params:
        if "weight" in layer:
            assert np.linalg.norm(layer["weight"], axis=0).max() == pytest.approx(0.1, rel=1e-6)


def test_the_fields_of_the_json_result(digits_run: Any) -> None:
    folder, result = digits_run
    expected = {
        "test_accuracy": float,
        "validation_accuracy": float,
        "train_accuracy": float,
        "epochs": int,
        "seconds": float,
        "samples_per_second": float,
        "backend": str,
        "device": str,
        "dtype": str,
        "run": str,
    }
    assert {name: type(result[name]) for name in expected} == expected
    assert result["run"] == str(folder)
    assert (result["backend"], result["device"], result["dtype"]) == ("numpy", "cpu", "float32")
    assert 0.5 < result["test_accuracy"] <= 1


def test_the_history_agrees_with_the_result(digits_run: Any) -> None:
    folder, result = digits_run
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    best = rows[result["best_epoch"] - 1]
    assert float(best["validation_accuracy"]) == pytest.approx(result["validation_accuracy"])
    rates = [float(row["learning_rate"]) for row in rows]
    np.testing.assert_allclose(rates, [0.003, 0.00285, 0.0027075], rtol=1e-6)


def test_the_model_agrees_with_the_result(digits_run: Any) -> None:
    folder, result = digits_run
    model = library.load(folder / "model.safetensors", backend="numpy")
    digits = library.load_dataset("digits")
    assert model.score(*digits.test) == pytest.approx(result["test_accuracy"])
    assert model.metadata == {
        "dataset": "digits",
        "classes": list("0123456789"),
        "image": {"shape": [8, 8], "box": 8},
        "scale": 1 / 16,
    }


def test_the_config_of_a_run_reproduces_it(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    folder, result = digits_run
    config = folder / "config.toml"
    outcome = anynet("train", "--config", config, "--json", "--out", tmp_path / "again")
    again = json.loads(outcome.out)
    timed = {"seconds", "samples_per_second", "run"}
    assert {k: v for k, v in again.items() if k not in timed} == {
        k: v for k, v in result.items() if k not in timed
    }
    first = load_file(folder / "model.safetensors")
    second = load_file(tmp_path / "again" / "model.safetensors")
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    written = (tmp_path / "again" / "config.toml").read_text()
    assert written.split("[about]")[0] == config.read_text().split("[about]")[0]


def test_every_option_can_be_used(anynet: Command, tmp_path: Path) -> None:
    for number, options in enumerate(
        [
            "--optimizer adam --schedule one-cycle --activation tanh --dropout 0.1 --warmup 1",
            "--optimizer adamw --schedule cosine --layer-norm --average 0.9 --dtype float64",
            "--optimizer rmsprop --schedule step --decay 0.5 --clip-norm 1 --label-smoothing 0.1",
            (
                "--momentum 0.9 --nesterov --weight-decay 1e-4 "
                "--schedule plateau --warmup 1 --min-delta 0.01"
            ),
            "--schedule inverse-scaling --patience 1 --target-accuracy 0.1 --seed 7",
            "--schedule constant --batch-size 5000 --validation 9 --device cpu",
        ]
    ):
        out = tmp_path / str(number)
        outcome = anynet("train", *QUICK, *options.split(), "--json", "--out", out)
        assert outcome.code == 0, outcome.err
        result = json.loads(outcome.out)
        assert result["epochs"] <= 2
        warning = result["warning"] and f"anynet: warning: {result['warning']}\n"
        assert outcome.err == warning  # two epochs with a very low rate are insufficient


def test_the_output_of_train(anynet: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code, out, err = anynet("train", *QUICK, "--out", folder)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("numpy ")
    assert " on cpu, float32: " in lines[0]
    assert "1,295 rows to train on, 143 held out, 359 to test; layers 64-8-10" in lines[1]
    assert lines[2].startswith("test accuracy 0.")
    assert lines[3] == f"run folder {folder}"
    assert [line[:10] for line in err.splitlines()] == ["epoch 1/2 ", "epoch 2/2 "]


def test_quiet_prints_only_the_result(anynet: Command, tmp_path: Path) -> None:
    code, out, err = anynet("train", *QUICK, "--quiet", "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["test", "run"]


def test_a_progress_bar_is_shown_on_a_terminal(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, _, err = anynet("train", *QUICK, "--out", tmp_path / "run")
    assert "loss " in err
    assert "samples/s" in err
    assert "accuracy " in err


def test_the_default_run_folder(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = anynet("train", *QUICK, "--json")
    run = Path(json.loads(outcome.out)["run"])
    assert run.parent == Path("runs")
    assert run.name.startswith("digits-2")
    assert {path.name for path in run.iterdir()} == FILES


def test_paths_in_the_config_are_absolute(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("own.npz", x_train=rng.random((40, 3)), y_train=np.arange(40) % 2)
    assert anynet("train", "own.npz", "--epochs", 1, "--out", "run", "--data-dir", ".").code == 0
    config = tomllib.loads(Path("run/config.toml").read_text())
    assert config["dataset"] == str(tmp_path / "own.npz")
    assert config["data-dir"] == str(tmp_path)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir("below")
    assert anynet("train", "--config", "../run/config.toml", "--out", "again").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digitz"], "did you mean 'digits'"),
        (["digits", "--validation", "1438"], "leaves nothing to train on"),
        (
            ["digits", "--optimizer", "adam", "--momentum", "0.9"],
            "not an option of adam",
        ),
        (["digits", "--nesterov"], "momentum above 0"),
        (["digits", "--backend", "nympy"], "backend must be one of"),
        (["digits", "--backend", "numpy", "--device", "cuda"], "cpu"),
        (["digits", "--device", "cuda:x"], "cuda:x"),
        (["mnist", "--data-dir", "."], "put train-images-idx3-ubyte.gz"),
        (["digits", "--data-dir", "none", "--config", "none.toml"], "none.toml"),
        (["digits", "--learning-rate", "1e38", "--schedule", "constant"], "not finite in epoch 1"),
    ],
)
def test_a_failure_prints_one_line_and_leaves_no_folder(
    fails: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails("train", *arguments, "--json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizer", "adam", "--momentum", "0.9"], "not an option of adam"),
        (["--nesterov"], "momentum above 0"),
        (["--validation", "1438"], "leaves nothing to train on"),
        (["--backend", "nympy"], "backend must be one of"),
    ],
)
def test_invalid_options_are_errors_before_any_output(
    fails: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in fails("train", "digits", *arguments, "--out", tmp_path / "run")


def test_an_existing_folder_is_an_error_before_training(
    fails: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anynet.cli.job.load_data", lambda *_, **__: pytest.fail("too late"))
    assert "exists already" in fails("train", *QUICK, "--out", tmp_path)
    (tmp_path / "file").touch()
    assert "cannot write" in fails("train", *QUICK, "--out", tmp_path / "file" / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failure_after_training_keeps_the_model(
    fails: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "confusion.png"))

    monkeypatch.setattr(plots, "save_confusion", full)
    run = tmp_path / "runs" / "run"
    message = fails("train", *QUICK, "--quiet", "--out", run)
    assert message.endswith(f"confusion.png: No space left on device; the model is kept in {run}\n")
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert {path.name for path in run.iterdir()} == FILES - {"confusion.png"}
    digits = library.load_dataset("digits")
    about = tomllib.loads((run / "config.toml").read_text())["about"]
    assert library.load(run).score(*digits.test) == pytest.approx(about["test_accuracy"])


def test_the_model_is_saved_elsewhere_if_the_disk_is_full(
    fails: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, run, spare = library.Model.save, tmp_path / "runs" / "run", tmp_path / "spare"

    def full(model: library.Model, path: Path) -> None:
        if spare not in path.parents:
            raise OSError(28, "No space left on device", str(path))
        save(model, path)

    spare.mkdir()
    monkeypatch.setattr(library.Model, "save", full)
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    message = fails("train", *QUICK, "--quiet", "--out", run)
    (saved,) = spare.glob("*/model.safetensors")
    assert message.endswith(f"No space left on device; the model was saved as {saved} instead\n")
    assert library.load(saved).score(*library.load_dataset("digits").test) > 0.1
    assert [path.name for path in tmp_path.iterdir()] == ["spare"]


def interrupt_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send Ctrl-C after an epoch is recorded."""
    finish = progress.ProgressBar.finish

    def pressed(self: progress.ProgressBar, record: library.EpochRecord) -> None:
        finish(self, record)
        if record.epoch == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.ProgressBar, "finish", pressed)


def test_ctrl_c_keeps_the_best_epoch(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_in(2, monkeypatch)
    out = tmp_path / "run"
    outcome = anynet("train", *QUICK, "--epochs", 9, "--json", "--out", out)
    result = json.loads(outcome.out)
    assert outcome.code == 130
    assert outcome.err.startswith(
        f"anynet: interrupted: kept epoch {result['best_epoch']}, the best of 2; "
    )
    assert "--checkpoint-every" in outcome.err
    assert {path.name for path in out.iterdir()} == FILES
    assert result["stopped"] == "interrupted"
    model = library.load(out / "model.safetensors", backend="numpy")
    assert model.score(*library.load_dataset("digits").test) == result["test_accuracy"]


def test_ctrl_c_before_the_first_epoch_leaves_no_folder(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.ProgressBar, "update", pressed)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # for a bar with updates
    outcome = anynet("train", *QUICK, "--out", tmp_path / "run")
    assert outcome.code == 130
    assert outcome.err.endswith("anynet: interrupted: nothing was written\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rows", "held_out"), [(60000, VALIDATION_ROWS), (1438, 143), (5, 1)])
def test_default_number_of_validation_rows(rows: int, held_out: int) -> None:
    data = np.zeros((rows, 1)), np.zeros(rows, dtype=np.int64)
    dataset = Dataset("rows", data, data, ("a", "b"), 1.0, None, None)
    options = resolve(TrainOptions(dataset="digits"), dataset, library.get_backend("numpy"))
    assert options.validation == held_out


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.1), ("adam", 0.001), ("adamw", 0.001)])
def test_default_learning_rates(optimizer: str, rate: float) -> None:
    options = TrainOptions(dataset="digits", optimizer=optimizer)
    resolved = resolve(options, library.load_dataset("digits"), library.get_backend("numpy"))
    assert resolved.learning_rate == rate


def test_the_environment_variable_selects_the_backend(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "ANYNET_BACKEND", "torch")
    pytest.importorskip("torch")
    outcome = anynet("train", *QUICK[:-2], "--json", "--out", tmp_path / "run")
    assert json.loads(outcome.out)["backend"] == "torch"


def test_evaluate_finds_the_data_of_training(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYNET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "anynet.data.datasets.fetch_dataset", lambda *_: pytest.fail("tried to download")
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    for part, rows in (("train", 30), ("t10k", 10)):
        images = rng.integers(0, 256, (rows, 4, 3), dtype=np.uint8)
        write_idx(tmp_path / "data" / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / "data" / f"{part}-labels-idx1-ubyte", np.arange(rows, dtype="u1") % 10)
    train = ("train", "mnist", "--epochs", "1", "--backend", "numpy", "--quiet")
    assert anynet(*train, "--data-dir", "data", "--out", "run").code == 0
    for run in ("run", "run/model.safetensors"):
        outcome = anynet("evaluate", run, "mnist")
        assert (outcome.code, outcome.err) == (0, "")
        assert "on 10 test rows" in outcome.out
    other = anynet("evaluate", "run", "mnist", "--data-dir", "cache")
    assert "the data folder" in other.err
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(pytest.fail.Exception, match="tried to download"):
        anynet("evaluate", "run", "mnist")


def test_a_run_no_better_than_guessing_is_reported(anynet: Command, tmp_path: Path) -> None:
    arguments = (
        "--activation",
        "tanh",
        "--learning-rate",
        1000,
        "--json",
        "--out",
        tmp_path / "run",
    )
    code, out, err = anynet("train", *QUICK, *arguments)
    assert code == 0
    assert err.startswith("anynet: warning: the loss is ")
    assert err.count("\n") == 1
    assert json.loads(out)["warning"] in err
    assert anynet("train", *QUICK, "--json", "--out", tmp_path / "other").err == ""


def test_reduced_precision_on_numpy_is_an_error(
    anynet: Command, fails: Any, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    error = fails("train", "digits", "--backend", "numpy", "--precision", "bfloat16")
    assert "full precision only, got precision 'bfloat16'" in error
    options = ("--backend", "torch", "--precision", "bfloat16", "--epochs", 1, "--layers", 8)
    outcome = anynet("train", "digits", *options, "--out", tmp_path / "run")
    assert outcome.code == 0
    assert "float32, products in bfloat16: " in outcome.out
    assert 'precision = "bfloat16"' in (tmp_path / "run" / "config.toml").read_text()
