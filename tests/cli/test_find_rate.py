"""``anynet study find-rate``: its files, its suggestion, and its errors."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet as library

FAST = ("study", "find-rate", "digits", "--backend", "numpy", "--layers", "16", "--quiet")

Command = Callable[..., Any]


def test_the_suggestion_is_that_of_python(anynet: Command, tmp_path: Path) -> None:
    out = tmp_path / "found"
    options = ("--optimizer", "sgd", "--batch-size", "64", "--augment", "", "--seed", "1")
    outcome = anynet(*FAST, *options, "--json", "--out", out)
    assert outcome.code == 0
    result = json.loads(outcome.out)
    data = library.load_dataset("digits")
    (x, y), held_out = data.train, result["folder"]
    assert held_out == str(out)
    kept, _ = library.data.subset.train_validation_split(len(x), 143, 1)
    found = library.find_learning_rate(
        library.mlp([64, 16, 10], scale=data.scale), (x[kept], y[kept]), seed=1, backend="numpy"
    )
    assert result["suggestion"] == found.suggestion
    with (out / "find-rate.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert np.array([float(row["loss"]) for row in rows]) == pytest.approx(found.losses)
    assert (out / "find-rate.png").read_bytes().startswith(b"\x89PNG")


def test_the_text_names_rate_and_picture(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = anynet(*FAST)
    assert outcome.code == 0
    (picture,) = Path("runs").glob("find-rate-digits-*/find-rate.png")
    assert str(picture) in outcome.out
    assert "suggested learning rate 0.0" in outcome.out


def test_tables_have_the_defaults_of_a_single_network(
    anynet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    anynet("example")
    flags = ("--target", "survived", "--backend", "numpy", "--json", "--out", "found")
    outcome = anynet("study", "find-rate", "ship.csv", *flags)
    assert outcome.code == 0
    result = json.loads(outcome.out)
    assert (result["dataset"], result["optimizer"]) == ("ship", "adam")
    assert 1e-4 < result["suggestion"] < 0.1


def test_existing_folders_and_invalid_values_are_refused(
    fails: Callable[..., str], tmp_path: Path
) -> None:
    assert "exists already" in fails(*FAST, "--out", tmp_path)
    assert "low must be below high" in fails(
        *FAST, "--low", "1", "--high", "0.1", "--out", tmp_path / "a"
    )
    assert "at least 20" in fails(*FAST, "--steps", "3", code=2)
    assert "--epochs" in fails(*FAST, "--epochs", "3", code=2)
    assert list(tmp_path.iterdir()) == []
