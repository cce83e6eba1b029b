"""Run folders: complete or not at all."""

import contextlib
from datetime import datetime
from pathlib import Path

import pytest

from anynet.cli import runs
from anynet.errors import InvalidArgumentError, ModelFileError


def test_appears_whole(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "run"
    with runs.new_folder(folder) as scratch:
        (scratch / "file").write_text("content")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    folder = tmp_path / "a" / "b" / "run"
    with contextlib.suppress(error), runs.new_folder(folder) as scratch:
        (scratch / "file").write_text("content")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_leaves_folders_alone_that_others_moved_into(tmp_path: Path) -> None:
    with contextlib.suppress(RuntimeError), runs.new_folder(tmp_path / "runs" / "mine"):
        (tmp_path / "runs" / "other").mkdir()
        raise RuntimeError
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["other"]


def test_refuses_what_exists(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("file", "link", "folder"):
        with pytest.raises(InvalidArgumentError, match="exists"), runs.new_folder(tmp_path / name):
            pytest.fail("the block must not run")
    assert len(list(tmp_path.iterdir())) == 3


def test_refuses_what_came_into_being_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(InvalidArgumentError, match="came into being"), runs.new_folder(folder):
        folder.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_model_is_kept_when_its_place_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def train() -> None:
        with runs.new_folder(folder) as scratch:
            (scratch / "model.safetensors").touch()
            folder.mkdir()

    with pytest.raises(InvalidArgumentError, match="came into being") as told:
        train()
    assert told.value.__notes__ == [f"the model is kept in {tmp_path / 'run-2'}"]
    assert (tmp_path / "run-2" / "model.safetensors").exists()


def test_refuses_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "run"
    with pytest.raises(InvalidArgumentError, match="cannot write"), runs.new_folder(place):
        pytest.fail("the block must not run")


def test_default_names_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Clock":  # noqa: ARG003
            return cls(2024, 5, 6, 7, 8, 9)

    monkeypatch.setattr(runs, "datetime", Clock)
    first = runs.default_folder("some/where/data.npz", tmp_path)
    assert first.name == "data-20240506-070809"
    first.mkdir()
    assert runs.default_folder("data", tmp_path).name == "data-20240506-070809-2"


def test_a_model_is_found_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no model"):
        runs.model_file(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert runs.model_file(tmp_path) == runs.model_file(tmp_path / "model.safetensors")
