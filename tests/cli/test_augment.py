"""Augmentation and preprocessing on the command line."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import anynet as library
from anynet.augment import Affine, Deslant, Elastic, NormaliseWidth, preprocess
from anynet.cli.augment import versions_of
from anynet.cli.options import TrainOptions
from anynet.cli.recipe import augmentations_of, preprocessing_of, resolve_strengths
from anynet.errors import InvalidArgumentError

Command = Callable[..., Any]
TRAIN = ["train", "digits", "--layers", "16", "--epochs", "2", "--backend", "numpy", "--json"]


def table(path: Path) -> str:
    """Write a data set whose samples are not images."""
    rng = np.random.default_rng(0)
    np.savez(path, x_train=rng.random((40, 64)), y_train=np.arange(40) % 2)
    return str(path)


def test_a_run_records_its_strengths_and_can_be_reproduced(anynet: Command, tmp_path: Path) -> None:
    flags = ["--augment", "elastic,affine", "--augment-alpha", "5", "--augment-halved", "1,7"]
    first = json.loads(anynet(*TRAIN, *flags, "--out", tmp_path / "a").out)
    config = tomllib.loads((tmp_path / "a" / "config.toml").read_text())
    assert config["augment"] == ["elastic", "affine"]
    assert config["augment-alpha"] == 5
    assert config["augment-sigma"] == Elastic.sigma
    assert config["augment-halved"] == [1, 7]
    assert "augment-noise" not in config
    again = anynet(
        "train", "--config", tmp_path / "a" / "config.toml", "--json", "--out", tmp_path / "b"
    )
    assert json.loads(again.out)["validation_accuracy"] == first["validation_accuracy"]
    histories = [(tmp_path / run / "history.csv").read_text().splitlines() for run in "ab"]
    losses = [[line.split(",")[2] for line in lines] for lines in histories]
    assert losses[0] == losses[1]
    plain = json.loads(anynet(*TRAIN, "--out", tmp_path / "c").out)
    assert plain["train_accuracy"] != first["train_accuracy"]


def test_options_give_augmentations_in_the_given_order() -> None:
    options = TrainOptions(augment=("elastic", "affine"), augment_rotation=5.0, augment_either=True)
    assert augmentations_of(options) == (Elastic(), Affine(rotation=5.0, either=True))
    assert resolve_strengths(options).augment_shift == Affine.shift
    steps = TrainOptions(preprocess=("width", "deslant"), preprocess_width=12)
    assert preprocessing_of(steps) == (NormaliseWidth(12), Deslant())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--augment-alpha", "3"], "--augment-alpha is of elastic: add elastic to --augment"),
        (["--augment", "noise", "--augment-either"], "--augment-either is of affine"),
        (["--augment", "", "--augment-halved", "1"], "leave --augment-halved out"),
        (["--augment", "affine", "--augment-halved", "99"], "0 to 9 in digits, got 99"),
        (["--preprocess-width", "8"], "is of width: add width to --preprocess"),
        (["--augment", "affine", "--augment-rotation", "90"], "below 90, in degrees"),
        (["--preprocess", "width"], "ink of 20 pixels does not fit images of width 8"),
    ],
)
def test_incompatible_options_are_errors(
    fails: Command, tmp_path: Path, flags: list[str], message: str
) -> None:
    assert message in fails(*TRAIN, *flags, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_names_suggest_the_nearest_one(fails: Command) -> None:
    assert "did you mean 'elastic'?" in fails(*TRAIN, "--augment", "elastik", code=2)
    assert "did you mean 'deslant'?" in fails(*TRAIN, "--preprocess", "deslent", code=2)
    assert "did you mean '--augment-alpha'?" in fails(*TRAIN, "--augment-alfa", "3", code=2)


def test_image_options_on_tables_are_errors(
    fails: Command, anynet: Command, tmp_path: Path
) -> None:
    own = table(tmp_path / "own.npz")
    out = ["--out", tmp_path / "run"]
    assert "own has no images: leave affine out" in fails("train", own, "--augment", "affine", *out)
    assert "--preprocess deslant is for images" in fails(
        "train", own, "--preprocess", "deslant", *out
    )
    assert "own has no images to draw" in fails("augment", own, "--out", tmp_path / "grid.png")
    assert anynet("train", own, "--augment", "mixup,noise", "--epochs", "1", *out).code == 0


def test_preprocessing_is_stored_in_the_model(anynet: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ["--preprocess", "deslant,width", "--preprocess-width", "6"]
    result = json.loads(anynet(*TRAIN, *flags, "--out", run).out)
    scores = json.loads(anynet("evaluate", run, "digits", "--json").out)
    assert scores["accuracy"] == result["test_accuracy"]
    model = library.load(run, backend="numpy")
    x, y = library.load_dataset("digits").test
    steps = [Deslant(), NormaliseWidth(6)]
    assert model.score(preprocess(x, steps, (8, 8)), y) == pytest.approx(scores["accuracy"])
    np.save(tmp_path / "some.npy", x[:20])
    answers = json.loads(anynet("predict", run, tmp_path / "some.npy", "--json").out)
    expected = model.predict(preprocess(x[:20].astype(float), steps, (8, 8)))
    assert [answer["class"] for answer in answers] == [str(k) for k in expected]


def test_a_model_with_unknown_preprocessing_is_an_error(fails: Command, tmp_path: Path) -> None:
    x, y = library.load_dataset("digits").train
    network = library.mlp([64, 10])
    metadata = {"preprocess": [{"kind": "sharpen"}]}
    model = library.fit(network, (x, y), epochs=1, backend="numpy", metadata=metadata)
    model.save(tmp_path / "m.safetensors")
    message = fails("evaluate", tmp_path / "m.safetensors", "digits")
    assert "known are deslant, width" in message


def test_evaluate_averages_over_versions(anynet: Command, fails: Command, digits_run: Any) -> None:
    flags = [
        "--augment",
        "affine",
        "--augment-rotation",
        "5",
        "--augment-shift",
        "0.2",
        "--seed",
        "3",
    ]
    found = anynet("evaluate", digits_run.folder, "digits", "--json", *flags, "--times", "3")
    model = library.load(digits_run.folder, backend="numpy")
    x, y = library.load_dataset("digits").test
    gentle = Affine(rotation=5, shift=0.2)
    mean = library.predict_augmented(model, x, gentle, times=3, seed=3)
    assert json.loads(found.out)["accuracy"] == np.mean(mean.argmax(axis=1) == y)
    assert "add --augment" in fails("evaluate", digits_run.folder, "digits", "--times", "3")


def test_augment_draws_a_grid(anynet: Command, fails: Command, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    command = ["augment", "digits", "--augment", "erase", "--versions", "4", "--out", out]
    assert "10 images, each with 4 versions" in anynet(*command).out
    picture = np.asarray(Image.open(out).convert("L"))
    assert picture.min() < 20
    assert picture.max() == 255
    assert "exists already" in fails(*command)
    assert "name a DATASET" in fails("augment", "--out", tmp_path / "b.png", code=2)


def test_the_grid_contains_originals_and_new_versions(digits: library.Dataset) -> None:
    grid = versions_of(digits, (Elastic(5, 2),), 3, 0)
    assert grid.shape == (10, 4, 8, 8)
    for label, row in enumerate(grid):
        originals = digits.train[0][digits.train[1] == label]
        np.testing.assert_array_equal(row[0].ravel(), originals[0])
        assert len({version.tobytes() for version in row}) == 4
    np.testing.assert_array_equal(versions_of(digits, (), 2, 0)[:, 1:], grid[:, [0, 0]])


def test_studies_support_augmentation_and_preprocessing(
    anynet: Command, fails: Command, tmp_path: Path
) -> None:
    config = tmp_path / "study.toml"
    text = 'backend = "numpy"\nepochs = 1\nlayers = [8]\naugment = ["elastic"]\n'
    config.write_text(text + 'preprocess = ["deslant"]\n[grid]\naugment-alpha = [1.0, 6.0]\n')
    out, grid = tmp_path / "study", ["study", "grid", "digits", "--config", config]
    assert anynet(*grid, "--seeds", "1", "--out", out).code == 0
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["augment_alpha"] for row in rows} == {"1.0", "6.0"}
    config.write_text(text + '[grid]\npreprocess = [["deslant"], []]\n')
    message = fails(*grid, "--out", tmp_path / "other")
    assert "preprocess cannot be studied" in message


def test_strengths_of_unused_augmentations_raise() -> None:
    with pytest.raises(InvalidArgumentError, match="--augment-mixup is of mixup"):
        resolve_strengths(TrainOptions(augment_mixup=0.2))
