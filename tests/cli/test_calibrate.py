"""``--calibrate``: fitted to the validation rows, part of the model, refused where it has none."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet as library

Command = Callable[..., Any]
#: Few rows to train on: there are errors among the validation rows.
FEW = ("--layers", 32, "--epochs", 30, "--learning-rate", 0.02, "--backend", "numpy")
FEW = (*FEW, "--validation", 0.8, "--augment", "", "--average", 0, "--seed", 3)
CALIBRATE = ("--calibrate", "temperature")


@pytest.fixture(scope="module")
def rows(digits: library.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that the runs hold out."""
    from anynet.data.subset import train_validation_split

    x, y = digits.train
    _, held_out = train_validation_split(len(y), round(0.8 * len(y)), 3)
    return x[held_out], y[held_out]


def test_the_run_holds_the_calibrated_model(
    anynet: Command, rows: Any, tmp_path: Path, digits: library.Dataset
) -> None:
    plain, run = tmp_path / "plain", tmp_path / "run"
    assert anynet("train", "digits", *FEW, "--out", plain).code == 0
    result = json.loads(anynet("train", "digits", *FEW, *CALIBRATE, "--json", "--out", run).out)
    models = [library.load(folder, backend="numpy") for folder in (plain, run)]
    expected = library.calibrate(models[0], rows)
    np.testing.assert_array_equal(expected.params[-1]["weight"], models[1].params[-1]["weight"])
    assert result["temperature"] == models[1].metadata["temperature"] != 1
    assert models[1].evaluate(*rows).loss < models[0].evaluate(*rows).loss
    assert models[1].score(*digits.test) == models[0].score(*digits.test)
    written = tomllib.loads((run / "config.toml").read_text())
    assert written["calibrate"] == "temperature"
    assert written["about"]["temperature"] == result["temperature"]
    again = anynet("train", "--config", run / "config.toml", "--out", tmp_path / "again")
    assert f"temperature {result['temperature']:.4f}" in again.out
    first = (run / "model.safetensors").read_bytes()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == first


def test_a_resumed_run_is_calibrated(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    options = (*FEW, *CALIBRATE, "--checkpoint-every", 10)
    assert anynet("train", "digits", *options, "--out", whole).code == 0

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("anynet.cli.artifacts.kept", fails)
        assert anynet("train", "digits", *options, "--out", run).code == 1
    assert anynet("resume", run).code == 0
    found = (run / "model.safetensors").read_bytes()
    assert found == (whole / "model.safetensors").read_bytes()
    assert library.load(run, backend="numpy").metadata["temperature"] != 1


def test_rows_that_determine_no_temperature_are_a_warning(anynet: Command, tmp_path: Path) -> None:
    options = ("--layers", 64, "--epochs", 20, "--backend", "numpy", "--validation", 3)
    outcome = anynet("train", "digits", *options, *CALIBRATE, "--out", tmp_path / "run")
    assert outcome.code == 0
    assert "warning: the model is not calibrated" in outcome.err
    assert "temperature" not in library.load(tmp_path / "run", backend="numpy").metadata


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--validation", 0), "--validation must be at least 1"),
        (("--calibrate", "platt"), "temperature"),
    ],
)
def test_invalid_options_are_errors(
    anynet: Command, tmp_path: Path, options: tuple[Any, ...], words: str
) -> None:
    outcome = anynet("train", "digits", *CALIBRATE, *options, "--out", tmp_path / "run")
    assert outcome.code in (1, 2)
    assert words in outcome.err
    assert not (tmp_path / "run").exists()


def test_presets_and_values_are_refused(fails: Command, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    lines = [f"{n},{n % 7},{'yn'[n % 2]}" for n in range(80)]
    table.write_text("\n".join(["a,b,c", *lines]))
    where = ("--backend", "numpy", "--out", tmp_path / "run")
    preset = fails("train", table, "--target", "c", *CALIBRATE, *where)
    assert "single networks" in preset
    assert "anynet.calibrate" in preset
    values = fails("train", table, "--target", "a", "--layers", 4, *CALIBRATE, *where)
    assert "leave it out for values" in values
    (tmp_path / "s.toml").write_text('calibrate = "temperature"\n[grid]\ndecay = [1]\n')
    study = fails("study", "grid", "digits", "--config", tmp_path / "s.toml")
    assert "do not depend on it" in study
