"""Recipes: each is valid and trains at a reduced size; the documented results are measured."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.augment import Affine, Elastic
from anynet.cli import build_parser
from anynet.cli.config import read_config
from anynet.cli.options import TrainOptions
from anynet.cli.train import options_of
from anynet.nn import Activation, Dense, Scale
from bench.recipes import RECIPES, RESULTS, Recipe, make_table, measure, reached

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / RECIPES).glob("*.toml"))
SMALL: dict[str, Any] = {"backend": "numpy", "epochs": 1, "layers": (24, 12)}


@pytest.fixture(autouse=True)
def _mnist_in_small(monkeypatch: pytest.MonkeyPatch, digits: anynet.Dataset) -> None:
    """Replace MNIST by scikit-learn's digits enlarged to 28 x 28 bytes."""

    def enlarge(x: np.ndarray) -> np.ndarray:
        images = np.kron(x.reshape(-1, 8, 8) * (255 / 16), np.ones((3, 3)))
        return np.pad(images, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784).astype(np.uint8)

    (x, y), (x_test, y_test) = digits.train, digits.test

    def load(name: str, *_: Any, **__: Any) -> anynet.Dataset:
        return anynet.Dataset(
            name=name,
            train=(enlarge(x[:500]), y[:500]),
            test=(enlarge(x_test[:200]), y_test[:200]),
            classes=digits.classes,
            scale=1 / 255,
            image_shape=(28, 28),
            image_box=20,
        )

    monkeypatch.setattr(anynet, "load_dataset", load)
    monkeypatch.chdir(ROOT)


def test_all_required_recipes_exist() -> None:
    reports = [f"report-{sizes}" for sizes in ("128-64", "512-64", "512-128", "512-256")]
    others = ["simard", "best-cpu", "ciresan", "ciresan-committee", "permutation-invariant"]
    assert set(NAMES) == {*reports, *others, "fashion"}


@pytest.mark.parametrize("name", NAMES)
def test_anynet_train_accepts_the_recipe(name: str) -> None:
    arguments = build_parser().parse_args(["train", "--config", f"recipes/{name}.toml"])
    assert options_of(arguments) == TrainOptions(**read_config(Path(f"recipes/{name}.toml")))


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_trains_at_a_reduced_size(name: str) -> None:
    recipe = Recipe(name, **SMALL)
    row = recipe.run(seed=1, keep=None)
    assert row["accuracy"] == pytest.approx(1 - row["wrong"] / 200)
    model = recipe.fit(recipe.dataset, 1)
    members = model.models if isinstance(model, anynet.Ensemble) else [model]
    assert len(members) == recipe.members
    for member in members:
        assert member.history.stopped == "all 1 epochs done"
        assert member.history.best_epoch == 1


@pytest.mark.parametrize("name", [name for name in NAMES if (RESULTS / f"{name}.json").exists()])
def test_the_documented_accuracy_is_the_measured_one(name: str) -> None:
    found = json.loads((RESULTS / f"{name}.json").read_text())
    about = tomllib.loads(Path(f"recipes/{name}.toml").read_text())["about"]
    assert about["reached"] == reached(found)
    options = Recipe(name, backend="numpy").options
    recorded = json.loads(json.dumps(vars(options) | {"data_dir": None}, default=str))
    for option, value in found["options"].items():
        if option not in ("backend", "device"):
            assert recorded[option] == value, option


def test_recipes_of_the_report_are_faster_than_its_algorithm() -> None:
    for row in make_table(RESULTS):
        if row["recipe"].startswith("report-"):
            assert row["seconds"] < row["report's algorithm"], row


def test_the_ciresan_recipe_has_the_published_network() -> None:
    recipe = Recipe("ciresan", backend="numpy")
    from anynet.cli.recipe import fit_options, network_of

    made = fit_options(recipe.options, recipe.dataset)
    network, schedule = network_of(recipe.options, recipe.dataset), made.learning_rate
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    assert [layer.units for layer in dense] == [2500, 2000, 1500, 1000, 500, 10]
    assert network.layers[:5] == (
        *(Scale(2 / 255, -1.0), Dense(2500, "ciresan_uniform")),
        *(Scale(2 / 3), Activation("tanh"), Scale(1.7159)),
    )
    assert made.augment == (
        Affine(rotation=15, shear=15, scale=0.175, shift=0, halved=(1, 7), either=True),
        Elastic(alpha=37, sigma=5.5),
    )
    steps = np.array([0, recipe.options.epochs * 480])
    first, last = schedule(steps, 480, backend=recipe.backend)
    assert first / last == pytest.approx(1000, rel=0.01)


def test_the_ciresan_network_learns() -> None:
    """Use the full size: with such small weights the signal vanishes in narrow layers."""
    recipe = Recipe("ciresan", backend="numpy", epochs=4, batch_size=50)
    records = recipe.fit(recipe.dataset, 0).history.records
    assert records[-1].train_loss < 0.8 * records[0].train_loss


def test_results_are_written_after_each_seed_and_replaced(tmp_path: Path, monkeypatch) -> None:
    options = 'dataset = "mnist"\nbackend = "numpy"\nlayers = [8]\nepochs = 1\nvalidation = 0\n'
    (tmp_path / "quick.toml").write_text(options + "[about]\nmust-reach = 0.1\n")
    monkeypatch.setattr("bench.recipes.RECIPES", tmp_path)
    monkeypatch.setattr("bench.recipes.REPORT_EPOCHS", 1)
    monkeypatch.setattr("bench.recipes.REPORT_HELD_OUT", 100)
    results = tmp_path / "results"
    first = measure("quick", [0, 1], report=True, idle=True, keep=tmp_path, results=results)
    again = measure("quick", [1, 2], results=results)
    assert [row["seed"] for row in again["seeds"]] == [0, 1, 2]
    for row, before in zip(again["seeds"], first["seeds"], strict=False):
        assert row["accuracy"] == before["accuracy"]
    assert [row["machine_idle"] for row in again["seeds"]] == [True, False, False]
    assert [row["includes_compilation"] for row in again["seeds"]] == [True, True, False]
    assert json.loads((results / "quick.json").read_text()) == again
    assert (tmp_path / "quick-1.safetensors").exists()
    (row,) = make_table(results)
    assert row["must reach"] == 0.1
    assert row["reached"].endswith("(3 seeds)")
    assert row["seconds"] == first["seeds"][0]["seconds"]
    (tmp_path / "quick.toml").write_text(options.replace("[8]", "[9]") + "[about]\n")
    assert len(measure("quick", [0], results=results)["seeds"]) == 1


def test_a_recipe_with_validation_rows_raises(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "bad.toml").write_text('dataset = "mnist"\nvalidation = 9\n[about]\n')
    monkeypatch.setattr("bench.recipes.RECIPES", tmp_path)
    with pytest.raises(anynet.InvalidArgumentError, match="expected validation = 0"):
        Recipe("bad", backend="numpy")
