"""``anynet info``: runs, models, ensembles, estimators, unfinished runs, earlier versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet as package
from anynet.cli.info import sparkline


def facts(anynet: Any, path: Any) -> tuple[str, dict[str, Any]]:
    """Return the text and the JSON about a run."""
    text, as_json = anynet("info", path), anynet("info", path, "--json")
    assert text.code == as_json.code == 0, (text, as_json)
    return text.out, json.loads(as_json.out, parse_constant=pytest.fail)


def test_run_has_all_facts(anynet: Any, digits_run: Any) -> None:
    text, found = facts(anynet, digits_run.folder)
    for part in ("scale", "units=32", "2,410 parameters", "digits", "layers 32", "images 8 × 8"):
        assert part in text
    assert found["finished"]
    assert found["parameters"] == 2410 == found["networks"][0]["parameters"]
    assert found["about"]["test_accuracy"] == digits_run.result["test_accuracy"]
    assert f"{digits_run.result['test_accuracy']:.4f}" in text
    assert found["about"]["anynet"] == package.__version__
    (curves,) = found["curves"]
    assert len(curves["train_loss"]) == 3
    assert found["options"]["layers"] == [32]


def test_model_file_alone_lacks_what_it_does_not_record(
    anynet: Any, digits_run: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mine.safetensors"
    shutil.copy(digits_run.folder / "model.safetensors", path)
    text, found = facts(anynet, path)
    assert "not recorded" in text
    assert found["options"] == found["about"] == {}
    assert found["data"]["dataset"] == "digits"


def test_run_of_an_earlier_version(anynet: Any, digits_run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(digits_run.folder, folder)
    about = "[about]\nvalidation_loss = nan\ntest_accuracy = 0.5\n"
    (folder / "config.toml").write_text(f'dataset = "digits"\nformer-option = 3\n{about}')
    (folder / "history.csv").unlink()
    text, found = facts(anynet, folder)
    assert "former option 3" in text
    assert found["curves"] == []
    assert found["about"] == {"test_accuracy": 0.5}


def test_preset_of_a_table(anynet: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{a:.2f},{'xy'[b]},{('no', 'yes')[a > 0]}" for a, b in _rows(rng, 80)]
    (tmp_path / "t.csv").write_text("\n".join(["size,kind,sold", *lines]))
    run = tmp_path / "run"
    how = ("--members", 2, "--backend", "numpy", "--quiet", "--out", run)
    assert anynet("train", tmp_path / "t.csv", "--target", "sold", *how).code == 0
    text, found = facts(anynet, run)
    assert found["ensemble"]
    assert len(found["networks"]) == len(found["curves"]) == 2
    assert "kind (category)" in text
    assert "median of 2 networks" in text


def _rows(rng: Any, n: int) -> list[tuple[float, int]]:
    return list(zip(rng.normal(size=n).tolist(), rng.integers(2, size=n).tolist(), strict=True))


def test_saved_estimator(anynet: Any, tmp_path: Path, rng: Any) -> None:
    x = rng.standard_normal((60, 3))
    estimator = package.MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs").fit(x, x[:, 0])
    estimator.save(tmp_path / "estimator.safetensors")
    text, _ = facts(anynet, tmp_path / "estimator.safetensors")
    assert "MLPRegressor" in text
    assert "solver lbfgs" in text


@pytest.mark.parametrize("networks", [1, 2])
def test_unfinished_run_shows_its_newest_checkpoint(
    anynet: Any, tmp_path: Path, digits: Any, networks: int
) -> None:
    folder = tmp_path / "run"
    network = package.mlp([64, 16, 10], scale=digits.scale)
    checkpoints = folder / "checkpoints"
    if networks == 1:
        package.fit(network, digits.train, epochs=2, backend="numpy", checkpoint=checkpoints)
    else:
        seeds = [{"seed": 0}, {"seed": 1}]
        package.fit_population(
            network, digits.train, seeds, epochs=2, backend="numpy", checkpoint=checkpoints
        )
    before = sorted(path.name for path in checkpoints.iterdir())
    text, found = facts(anynet, folder)
    assert not found["finished"]
    assert len(found["networks"]) == networks
    assert "after epoch 2 of 2" in text
    assert f"anynet resume {folder}" in text
    assert len(found["curves"][0]["train_loss"]) == 2
    assert sorted(path.name for path in checkpoints.iterdir()) == before
    newest = max(checkpoints.glob("step-*.safetensors"))
    assert facts(anynet, newest)[1]["parameters"] == found["parameters"]
    for path in checkpoints.glob("step-*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    assert "no readable checkpoint" in facts(anynet, folder)[0]


def test_names_from_the_model_do_not_control_the_terminal(
    anynet: Any, tmp_path: Path, digits: Any
) -> None:
    model = package.fit(
        package.mlp([64, 10]),
        digits.train,
        epochs=1,
        backend="numpy",
        metadata={"dataset": "a\x1b[31m", "classes": ["\nforged"] * 10},
    )
    model.save(tmp_path / "m.safetensors")
    text, _ = facts(anynet, tmp_path / "m.safetensors")
    assert "\x1b" not in text
    assert "\nforged" not in text


def test_what_is_not_a_run_is_refused(fails: Any, digits_run: Any, tmp_path: Path) -> None:
    assert "there is no model" in fails("info", tmp_path)
    assert f"such as {digits_run.folder}" in fails("info", digits_run.folder.parent)
    (tmp_path / "results.json").write_text("{}")
    assert "study" in fails("info", tmp_path)
    (tmp_path / "m.safetensors").write_bytes(b"no model")
    assert "m.safetensors" in fails("info", tmp_path / "m.safetensors")


def test_damaged_history_is_reported(fails: Any, digits_run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(digits_run.folder, folder)
    (folder / "history.csv").write_text("epoch,train_loss\n1,many\n")
    assert "history.csv is damaged" in fails("info", folder)


def test_sparkline_spans_its_values() -> None:
    assert sparkline([0, 1, None, 4, 7]) == "▁▂ ▅█"
    assert sparkline([2, 2]) == "▁▁"
    assert sparkline([]) == sparkline([None]) == ""
    long = sparkline(list(range(600)))
    assert len(long) == 60
    assert (long[0], long[-1]) == ("▁", "█")
