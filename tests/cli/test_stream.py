"""``anynet train FOLDER --stream``: runs on a data set that stays on disk."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anynet import EpochRecord
from anynet.cli.job import load_data
from anynet.cli.options import TrainOptions
from anynet.cli.progress import ProgressBar
from anynet.data import load_dataset, write_idx
from anynet.data.read import is_too_large, open_dataset
from anynet.data.sources import Source
from anynet.errors import AnynetError

QUICK = ("--layers", "32", "--epochs", "3", "--backend", "numpy", "--json")
Command = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (x, y), (x_test, y_test) = (getattr(load_dataset("digits"), part) for part in ("train", "test"))
    for name, array in (
        ("x", x * 15),
        ("y", y + 3),
        ("x_test", x_test * 15),
        ("y_test", y_test + 3),
    ):
        np.save(folder / f"{name}.npy", array.reshape(-1, 8, 8) if array.ndim == 2 else array)
    return folder


def same_data(one: Any, other: Any) -> None:
    for name in ("name", "classes", "scale", "image_shape", "image_box"):
        assert getattr(one, name) == getattr(other, name), name
    for part in ("train", "test"):
        (x, y), (wanted, labels) = getattr(one, part), getattr(other, part)
        assert isinstance(x, Source)
        np.testing.assert_array_equal(x.read(np.arange(len(x))), wanted)
        np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("test_set", [True, False])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_folder_gives_the_same_data_set_on_disk_and_in_memory(
    folder: Path, test_set: bool, dtype: str
) -> None:
    for path in folder.glob("x*.npy"):
        np.save(path, np.load(path).astype(dtype))
    if not test_set:
        (folder / "x_test.npy").unlink()
    same_data(open_dataset(folder), load_dataset(folder))


@pytest.mark.parametrize("test_set", [True, False])
def test_idx_files_give_the_same_data_set_on_disk_and_in_memory(
    tmp_path: Path, rng: np.random.Generator, test_set: bool
) -> None:
    for name, count in [("train", 50), ("t10k", 20)][: 1 + test_set]:
        images = rng.integers(256, size=(count, 4, 3)).astype(np.uint8)
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", (np.arange(count) % 5).astype(np.uint8))
    same_data(open_dataset(tmp_path), load_dataset(tmp_path))


def test_streamed_runs_train_evaluate_and_reproduce(
    anynet: Command, folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    outcome = anynet("train", folder, "--stream", *QUICK, "--out", run)
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["test_accuracy"] > 0.5
    assert "stream = true" in (run / "config.toml").read_text()
    again = anynet("train", "--config", run / "config.toml", "--out", tmp_path / "again", "--json")
    assert json.loads(again.out)["test_accuracy"] == result["test_accuracy"]
    scored = anynet("evaluate", run, folder, "--json")
    assert json.loads(scored.out)["accuracy"] == result["test_accuracy"]


def test_data_larger_than_memory_stay_on_disk(
    anynet: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(path.stat().st_size for path in folder.iterdir())
    for available, too_large in [(2 * size, False), (2 * size - 2, True), (None, False)]:
        monkeypatch.setattr("anynet.data.read.available_memory", lambda free=available: free)
        assert is_too_large(folder) == too_large
        found = load_data(TrainOptions(dataset=str(folder)))
        assert isinstance(found.train[0], Source) == too_large
    monkeypatch.setattr("anynet.data.read.available_memory", lambda: size)
    assert anynet("train", folder, *QUICK, "--out", tmp_path / "run").code == 0
    assert "stream = true" in (tmp_path / "run" / "config.toml").read_text()
    assert not is_too_large("digits")


def test_streamed_runs_resume(
    anynet: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = anynet("train", folder, "--stream", *QUICK, "--out", tmp_path / "straight")
    finish = ProgressBar.finish

    def interrupt(self: ProgressBar, record: EpochRecord) -> None:
        finish(self, record)
        signal.raise_signal(signal.SIGINT)

    options = (*QUICK, "--checkpoint-every", "1", "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "finish", interrupt)
        assert anynet("train", folder, "--stream", *options).code == 130
    resumed = anynet("resume", tmp_path / "run", "--json")
    assert resumed.code == 0, resumed.err
    results = [json.loads(outcome.out) for outcome in (straight, resumed)]
    assert results[0]["train_accuracy"] == results[1]["train_accuracy"]
    models = [tmp_path / name / "model.safetensors" for name in ("straight", "run")]
    assert models[0].read_bytes() == models[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits"], "is not a folder: only folders of arrays"),
        (["{folder}", "--preprocess", "deslant"], "needs the images in memory"),
        (["{folder}/t.csv", "--target", "a"], "--stream is for folders of arrays"),
    ],
)
def test_data_that_cannot_be_streamed_are_errors(
    fails: Callable[..., str], folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (folder / "t.csv").write_text("a,b\n1,2\n")
    given = [argument.format(folder=folder) for argument in arguments]
    assert message in fails("train", *given, "--stream", *QUICK, "--out", tmp_path / "run")


def test_folders_without_a_data_set_raise(folder: Path) -> None:
    np.save(folder / "x_test.npy", np.zeros((3, 5)))
    with pytest.raises(AnynetError, match=r"different shape or type|there are"):
        open_dataset(folder)
    (folder / "y.npy").unlink()
    with pytest.raises(AnynetError, match=r"no labels|cannot read|there are"):
        open_dataset(folder)
    with pytest.raises(AnynetError, match=r"cannot read .*y\.npy"):
        load_dataset(folder)
