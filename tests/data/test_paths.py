"""Paths in all functions: ``~``, empty paths, NUL characters, types, folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.data.files import expanded, folder_of, replacing
from anynet.export import save_torch, to_onnx

X, Y = np.eye(4, 3), np.array([0, 1, 0, 1])
NETWORK = anynet.mlp([3, 2])
MODEL = anynet.fit(NETWORK, (X, Y), epochs=1, backend="numpy")
ENSEMBLE = anynet.Ensemble([MODEL, MODEL])


def _with_checkpoints(path: Any) -> Any:
    checkpoint = anynet.Checkpoints(path)
    return anynet.fit(NETWORK, (X, Y), epochs=1, backend="numpy", checkpoint=checkpoint)


def _onnx(path: Any) -> Any:
    pytest.importorskip("onnx")
    return to_onnx(MODEL, path)


WRITERS: dict[str, Callable[[Any], Any]] = {
    "Model.save": MODEL.save,
    "Ensemble.save": ENSEMBLE.save,
    "save_torch": lambda path: save_torch(MODEL, path),
    "to_onnx": _onnx,
}
READERS: dict[str, Callable[[Any], Any]] = {
    "load": lambda path: anynet.load(path, "numpy"),
    "Ensemble.load": lambda path: anynet.Ensemble.load(path, "numpy"),
    "load_tabular_dataset": lambda path: anynet.load_tabular_dataset(path, "y"),
    "read_table": anynet.read_table,
    "open_source": anynet.open_source,
    "load_dataset": anynet.load_dataset,
    "data_dir": lambda path: anynet.load_dataset("mnist", path),
    "resume": lambda path: anynet.resume(path, (X, Y), backend="numpy"),
}
EVERY = WRITERS | READERS | {"Checkpoints": _with_checkpoints}
TAKE_OTHER_TYPES = {"load_tabular_dataset", "read_table", "load_dataset"}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("path", ["", "a\0b", "folder\0/x.csv", "\0"])
def test_invalid_paths_raise_in_one_line(name: str, path: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError) as caught:
        EVERY[name](path)
    assert str(caught.value).isprintable()
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize("name", sorted(EVERY.keys() - TAKE_OTHER_TYPES))
@pytest.mark.parametrize("path", [3, 1.5, MODEL, NETWORK], ids=lambda path: type(path).__name__)
def test_paths_of_another_type_raise_with_the_type(name: str, path: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=f"{type(path).__name__}|got 1.5"):
        EVERY[name](path)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("path", [".", "..", "/", "sub", "sub/"])
def test_writing_to_a_folder_raises(
    name: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with pytest.raises(anynet.InvalidArgumentError, match="it is a folder"):
        WRITERS[name](path)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["sub"]


@pytest.mark.parametrize("name", READERS)
def test_a_folder_without_the_expected_files_raises_with_its_name(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(anynet.AnynetError, match=tmp_path.name):
        READERS[name](tmp_path)


def test_a_tilde_expands_to_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    MODEL.save("~/model.safetensors")
    ENSEMBLE.save(Path("~/ensemble.safetensors"))
    save_torch(MODEL, "~/torch.safetensors")
    _with_checkpoints("~/checkpoints")
    (tmp_path / "table.csv").write_text("a,y\n1,u\n2,v\n")
    assert anynet.load("~/model.safetensors", "numpy").network == NETWORK
    assert len(anynet.Ensemble.load("~/ensemble.safetensors", "numpy").models) == 2
    assert anynet.read_table("~/table.csv").columns
    assert anynet.resume("~/checkpoints", (X, Y), epochs=2, backend="numpy").network == NETWORK
    names = {"model.safetensors", "ensemble.safetensors", "torch.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == names | {"checkpoints", "table.csv"}


def test_a_tilde_with_an_unknown_user_raises() -> None:
    with pytest.raises(anynet.DataError, match="~no-such-user/x"):
        expanded("~no-such-user/x")


@pytest.mark.parametrize("write", [replacing, folder_of])
def test_a_file_in_place_of_a_folder_is_named(write: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine")
    for path in (tmp_path / "notes.md" / "x.csv", tmp_path / "notes.md" / "a" / "x.csv"):
        with pytest.raises(anynet.InvalidArgumentError, match=r"notes\.md' is a file"), write(path):
            pass


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none"])
def test_a_new_file_does_not_replace_a_concurrently_created_file(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuses)
    with replacing(tmp_path / "free", new=True) as file:
        file.write(b"content")
    with pytest.raises(FileExistsError, match="file"), replacing(tmp_path / "file", new=True):
        (tmp_path / "file").write_text("precious")
    with pytest.raises(FileExistsError, match="link"), replacing(tmp_path / "link", new=True):
        (tmp_path / "link").symlink_to("nowhere")
    assert (tmp_path / "free").read_bytes() == b"content"
    assert (tmp_path / "file").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"free", "file", "link"}


def test_a_write_error_contains_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError, match="file") as caught, replacing(path):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="other") as caught, replacing(path):
        raise FileNotFoundError(2, "No such file", "other")
    assert list(tmp_path.iterdir()) == []
