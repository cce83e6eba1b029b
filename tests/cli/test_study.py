"""``anynet study`` end to end on the digits: results, continuation, errors."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anynet as library
from anynet.cli.study import read_study
from anynet.errors import InvalidArgumentError
from anynet.study import Range, run

QUICK = ("--seeds", 2, "--epochs", 2, "--backend", "numpy")
PLOTS = ("accuracy", "curves", "time")

Command = Callable[..., Any]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert isinstance(rows, list)
    return rows


@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("depth", "layers", [["8"], ["8,4"]]),
        ("width", "layers", [["8,4"], ["16,4"]]),
        ("learning-rate", "learning_rate", [["0.1"], ["0.5"]]),
        ("batch-size", "batch_size", [["64"], ["128"]]),
        ("decay", "decay", [["0.9"], ["1"]]),
    ],
)
def test_an_experiment_writes_its_results(
    anynet: Command, tmp_path: Path, name: str, option: str, values: list[list[str]]
) -> None:
    out = tmp_path / "study"
    flat = [text for value in values for text in value]
    outcome = anynet("study", name, "digits", *QUICK, "--values", *flat, "--out", out)
    assert outcome.code == 0, outcome.err
    assert {path.name for path in out.iterdir()} == {
        "results.json",
        "results.csv",
        "report.md",
        *(f"{name}-{what}.png" for what in PLOTS),
    }
    rows = rows_of(out)
    assert [row["seed"] for row in rows] == [0, 1, 0, 1]
    expected = [[int(v) for v in text.split(",")] if option == "layers" else float(text)
                for text in flat for _ in range(2)]  # fmt: skip
    assert [row["options"][option] for row in rows] == expected
    with (out / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line, row in zip(lines, rows, strict=True):
        assert float(line["test_accuracy"]) == row["test_accuracy"]
        assert float(line["seconds"]) == row["seconds"]
        assert (line["epochs"], line["epochs_run"]) == ("2", "2")
    assert outcome.err.count("validation 0.") == 4
    assert f"report {out / 'report.md'}" in outcome.out


def test_the_defaults_match_the_report(anynet: Command, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert anynet("study", "decay", "digits", *QUICK, "--seeds", 1, "--out", out).code == 0
    rows = rows_of(out)
    assert [row["options"]["decay"] for row in rows] == [0.9, 0.93, 0.95, 0.98, 1.0]
    for row in rows:
        fixed = row["options"]
        assert (fixed["layers"], fixed["learning_rate"]) == ([128, 64], 0.1)
        assert (fixed["batch_size"], fixed["patience"], fixed["momentum"]) == (64, 5, 0.0)


def test_a_run_with_seed_0_equals_anynet_train(anynet: Command, tmp_path: Path) -> None:
    out = tmp_path / "study"
    config = tmp_path / "study.toml"
    config.write_text("[grid]\ndecay = [0.9]\n")
    assert anynet("study", "grid", "digits", *QUICK, "--config", config, "--out", out).code == 0
    options = ("--epochs", 2, "--backend", "numpy", "--decay", 0.9, "--json")
    outcome = anynet("train", "digits", *options, "--out", tmp_path / "run")
    run, row = json.loads(outcome.out), rows_of(out)[0]
    assert row["test_accuracy"] == run["test_accuracy"]
    assert row["validation_accuracy"] == pytest.approx(run["validation_accuracy"])


def test_the_report_summarises_all_experiments(anynet: Command, tmp_path: Path) -> None:
    out = tmp_path / "study"
    outcome = anynet("study", "report", "digits", *QUICK, "--seeds", 1, "--out", out, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert len(outcome.out.splitlines()) == 6
    rows = rows_of(out)
    assert len(rows) == 20  # the defaults are a point of each experiment and are trained once
    text = (out / "report.md").read_text()
    assert text.count("\n## ") == 7
    assert len(list(out.glob("*.png"))) == 15


def test_a_study_continues_and_can_be_extended(
    anynet: Command, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "study"
    study = ("study", "batch-size", "digits", *QUICK, "--out", out, "--values")
    real, begun = run.train_group, []

    def pressed(configs: Any, **shared: Any) -> Any:
        begun.append([config["batch_size"] for config in configs])
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(configs, **shared)

    monkeypatch.setattr(run, "train_group", pressed)
    outcome = anynet(*study, 64, 128)
    assert outcome.code == 130
    assert outcome.err.endswith(
        f"anynet: interrupted: 2 finished runs are kept in {out}; the same command continues\n"
    )
    assert not (out / "report.md").exists()
    before = rows_of(out)
    assert "2 of 4 runs are there already" in anynet(*study, 64, 128).err
    assert rows_of(out)[:2] == before
    assert anynet(*study, 32, 64, 128).code == 0
    assert begun == [[64, 64], [128, 128], [128, 128], [32, 32]]
    whole = (out / "results.json").read_bytes()
    assert anynet(*study, 64, 128).err == ""
    assert (out / "results.json").read_bytes() == whole


def test_the_default_folder_is_reused(anynet: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = ("study", "decay", "digits", *QUICK, "--values", 1)
    assert "runs/study-decay-digits/report.md" in anynet(*study).out
    assert anynet(*study).err == ""
    assert "holds another study" in anynet(*study, "--epochs", 3).err


def test_other_data_belong_to_another_study(
    anynet: Command, fails: Command, tmp_path: Path
) -> None:
    import numpy as np

    x, y = library.load_dataset("digits").train
    np.savez(tmp_path / "own.npz", x_train=x[:200], y_train=y[:200], x_test=x[:99], y_test=y[:99])
    study = ("study", "decay", tmp_path / "own.npz", *QUICK, "--values", 1, "--out", tmp_path / "s")
    assert anynet(*study).code == 0
    np.savez(tmp_path / "own.npz", x_train=x[9:209], y_train=y[9:209], x_test=x[:99], y_test=y[:99])
    assert "another study: its data is" in fails(*study)


GRID = """
epochs = 2
optimizer = "adam"
[grid]
learning-rate = [0.01, 0.001]
layers = [[], [8, 4]]
dropout = [0.0, 0.5]
"""


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def test_a_grid_from_a_file(anynet: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--config", config(tmp_path, GRID), "--seeds", 1, "--backend", "numpy", "--out", out)
    assert anynet("study", "grid", "digits", *options).code == 0
    rows = rows_of(out)
    points = {
        (
            row["options"]["learning_rate"],
            tuple(row["options"]["layers"]),
            row["options"]["dropout"],
        )
        for row in rows
    }
    assert len(rows) == len(points) == 8
    assert all(row["options"]["optimizer"] == "adam" for row in rows)
    assert all(row["options"]["weight_decay"] == 0 for row in rows)
    assert "| learning rate | layers | dropout |" in (out / "report.md").read_text()


SEARCH = """
epochs = 1
[grid]
learning-rate = { low = 0.01, high = 1, log = true }
batch-size = { low = 16, high = 64 }
layers = [[8], [16]]
"""


def test_a_random_search_from_a_file(anynet: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--config", config(tmp_path, SEARCH), "--seeds", 1, "--out", out)
    study = ("study", "grid", "digits", *options, "--backend", "numpy", "--n-trials")
    assert anynet(*study, 3).code == 0
    first = rows_of(out)
    assert anynet(*study, 5).code == 0
    rows = rows_of(out)
    assert rows[:3] == first
    assert len({row["options"]["learning_rate"] for row in rows}) == len(rows) == 5
    assert all(16 <= row["options"]["batch_size"] <= 64 for row in rows)


def test_a_search_with_optuna(anynet: Command, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    out = tmp_path / "out"
    options = ("--config", config(tmp_path, SEARCH), "--seeds", 2, "--out", out)
    how = ("--sampler", "tpe", "--population", 2, "--backend", "numpy", "--n-trials")
    assert anynet("study", "grid", "digits", *options, *how, 3).code == 0
    first = rows_of(out)
    assert len(first) == 6
    assert anynet("study", "grid", "digits", *options, *how, 4).code == 0
    assert rows_of(out)[:6] == first
    assert len(rows_of(out)) == 8
    assert (out / "optuna.log").exists()


def test_samplers_of_optuna_are_errors_if_it_is_missing(
    fails: Command, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    options = ("--config", config(tmp_path, SEARCH), "--n-trials", 3, "--sampler", "tpe")
    message = fails("study", "grid", "digits", *options, "--out", tmp_path / "out")
    for fact in ("pip install optuna", "--sampler random"):
        assert fact in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[grid]\nlerning-rate = [0.1]", "no option 'lerning-rate'; did you mean 'learning-rate'?"),
        ("epohcs = 3\n[grid]\ndecay = [1]", "no option 'epohcs'; did you mean 'epochs'?"),
        ("epochs = 3", "expected a table [grid]"),
        ("grid = 3", "expected a table [grid]"),
        ("[grid]", "the grid is empty: name at least one option"),
        ("[grid]\ndecay = []", "the grid is empty: decay has no values"),
        ("[grid]\ndecay = [0.9, 1.5]", "decay: expected a number above 0 and at most 1, not 1.5"),
        ("[grid]\ndecay = [0]", "decay: expected a number above 0"),
        ("[grid]\nbatch-size = [0]", "batch-size: expected a whole number of at least 1, not 0"),
        ("[grid]\nactivation = ['rleu']", "did you mean 'relu'?"),
        ("[grid]\nlayers = [128, 64]", "layers: expected whole numbers"),
        ("[grid]\ndecay = 0.9", "decay: expected a list of values, not 0.9"),
        ("[grid]\nseed = [1, 2]", "seed is the same for all runs"),
        ("[grid]\nbackend = ['numpy']", "backend is the same for all runs"),
        ("decay = 1\n[grid]\ndecay = [1]", "'decay' is given twice"),
        ("[grid]\nbatch-size = [1]\nbatch_size = [2]", "'batch_size' is given twice"),
        ("seed = 3\n[grid]\ndecay = [1]", "seed cannot be in the file of a study: use --seeds"),
        ("out = 'x'\n[grid]\ndecay = [1]", "use --out"),
        ("[grid]\ndecay = { low = 0.1, high = 1 }", "give a list, or use --n-trials"),
        ("validation = 0\n[grid]\ndecay = [1]", "validation must be at least 1"),
        ("[grid\n", "is not a TOML file"),
        (
            "[grid]\nmomentum = [0.9]\noptimizer = ['sgd', 'adam']",
            "not an option of adam",
        ),
    ],
)
def test_invalid_files_are_errors(fails: Command, tmp_path: Path, text: str, message: str) -> None:
    options = ("--config", config(tmp_path, text), "--backend", "numpy", "--out", tmp_path / "out")
    assert message in fails("study", "grid", "digits", *options)
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decay = { low = 0.1, hihg = 1 }", "not 'hihg'; did you mean 'high'?"),
        ("decay = { low = 0.1 }", "needs low and high"),
        ("decay = { low = 0.1, high = 2 }", "at most 1, not 2"),
        ("decay = { low = 1, high = 0.1 }", "low below high"),
        ("dropout = { low = 0, high = 0.5, log = true }", "low above 0"),
        ("dropout = { low = 0, high = 0.5, log = 1 }", "log of a range must be true or false"),
        ("batch-size = { low = 1.5, high = 3 }", "whole number"),
        ("activation = { low = 'relu', high = 'tanh' }", "a range is for numbers"),
    ],
)
def test_invalid_ranges_are_errors(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_study(config(tmp_path, f"[grid]\n{text}"), searched=True)
    assert message in str(caught.value)


def test_ranges_have_the_types_of_their_options(tmp_path: Path) -> None:
    _, space = read_study(config(tmp_path, SEARCH), searched=True)
    assert space == {
        "learning_rate": Range(0.01, 1.0, log=True),
        "batch_size": Range(16, 64),
        "layers": [(8,), (16,)],
    }
    assert space["batch_size"].whole
    assert not space["learning_rate"].whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("decay", "digits", "--values", "2"), "at most 1, not '2'"),
        (("decay", "digits", "--values"), "expected at least one argument"),
        (("batch-size", "digits", "--values", "64", "0"), "at least 1, not '0'"),
        (("decay", "digits", "--seeds", "0"), "at least 1, not '0'"),
        (("decay", "digits", "--jobs", "0"), "at least 1, not '0'"),
        (("decay", "digits", "--vlaues", "1"), "did you mean '--values'?"),
        (("decay", "digits", "--joblib", "daks"), "invalid choice"),
        (("deth", "digits"), "invalid choice"),
        (("grid", "digits"), "--config"),
        (("decay",), "DATASET"),
    ],
)
def test_usage_errors_exit_with_code_2(
    anynet: Command, arguments: tuple[str, ...], message: str
) -> None:
    outcome = anynet("study", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("decay", "digitz"), "did you mean 'digits'"),
        (("decay", "digits", "--backend", "nympy"), "backend must be one of"),
        (("grid", "digits", "--config", "none.toml"), "none.toml"),
    ],
)
def test_a_failure_leaves_no_folder(
    fails: Command, tmp_path: Path, monkeypatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails("study", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_other_and_damaged_folders_are_not_changed(fails: Command, tmp_path: Path) -> None:
    study = ("study", "decay", "digits", *QUICK, "--values", 1, "--out", tmp_path)
    (tmp_path / "thesis.txt").write_text("of years")
    assert "holds other files" in fails(*study)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "results.json").write_text("{")
    assert "is damaged" in fails(*study)
    assert (tmp_path / "results.json").read_text() == "{"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "thesis.txt"]


def test_a_sampler_requires_the_number_of_trials(anynet: Command, tmp_path: Path) -> None:
    options = ("--config", config(tmp_path, GRID), "--sampler", "tpe")
    outcome = anynet("study", "grid", "digits", *options)
    assert outcome.code == 2
    assert "--sampler tpe needs --n-trials" in outcome.err


def test_worker_processes_give_the_same_results(anynet: Command, tmp_path: Path) -> None:
    study = ("study", "depth", "digits", *QUICK, "--values", "8", "16", "--quiet", "--out")
    assert anynet(*study, tmp_path / "here").code == 0
    assert anynet(*study, tmp_path / "there", "--jobs", 2).code == 0
    untimed = [
        sorted(
            ({**row, "seconds": 0} for row in rows_of(tmp_path / name)),
            key=lambda row: (row["options"]["layers"], row["seed"]),
        )
        for name in ("here", "there")
    ]
    assert untimed[0] == untimed[1]
