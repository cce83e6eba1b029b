"""Run folders: they are created completely or not at all."""

import contextlib
import dataclasses
import shutil
from datetime import datetime
from pathlib import Path

import pytest

import anynet
from anynet.cli import runs
from anynet.data.files import clear_parts
from anynet.data.locks import locked
from anynet.errors import InvalidArgumentError, ModelFileError


def test_a_folder_appears_only_when_complete(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "run"
    with runs.new_folder(folder) as new:
        (new.scratch / "file").write_text("content")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_no_folder(tmp_path: Path, error: type[BaseException]) -> None:
    folder = tmp_path / "a" / "b" / "run"
    with contextlib.suppress(error), runs.new_folder(folder) as new:
        (new.scratch / "file").write_text("content")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_parent_folders_used_by_other_runs_are_kept(tmp_path: Path) -> None:
    with contextlib.suppress(RuntimeError), runs.new_folder(tmp_path / "runs" / "mine"):
        (tmp_path / "runs" / "other").mkdir()
        raise RuntimeError
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["other"]


def test_an_existing_folder_raises(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("file", "link", "folder"):
        with pytest.raises(InvalidArgumentError, match="exists"), runs.new_folder(tmp_path / name):
            pytest.fail("the block must not run")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_too_long_name_raises_before_the_block_runs(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidArgumentError, match="name too long"),
        runs.new_folder(tmp_path / "a" / ("b" * 300)),
    ):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a\0b", "a" * 251, "\N{GRINNING FACE}" * 62])
def test_the_default_name_of_a_data_set_with_a_long_name_fits(tmp_path: Path, name: str) -> None:
    with runs.new_folder(runs.default_folder(f"{name}.csv", tmp_path / "runs")) as new:
        assert new.scratch.is_dir()


def test_a_folder_created_during_training_raises(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with (
        pytest.raises(InvalidArgumentError, match="during training"),
        runs.new_folder(folder),
    ):
        folder.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_model_is_kept_if_its_folder_was_created_during_training(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def train() -> None:
        with runs.new_folder(folder) as new:
            (new.scratch / "model.safetensors").touch()
            folder.mkdir()

    with pytest.raises(InvalidArgumentError, match="during training") as caught:
        train()
    assert caught.value.__notes__ == [f"the model is kept in {tmp_path / 'run-2'}"]
    assert (tmp_path / "run-2" / "model.safetensors").exists()


def test_an_unwritable_parent_folder_raises(tmp_path: Path) -> None:
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


def test_a_model_is_found_in_its_run_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no model"):
        runs.model_file(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert runs.model_file(tmp_path) == runs.model_file(tmp_path / "model.safetensors")


def test_processes_with_the_same_id_do_not_share_scratch_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in two containers: the second process neither uses nor removes files of the first."""
    monkeypatch.setattr("os.getpid", lambda: 7)
    folder = tmp_path / "run"

    def second() -> None:
        with runs.new_folder(folder) as other:
            assert list(other.scratch.iterdir()) == []
            raise RuntimeError

    with runs.new_folder(folder) as new:
        (new.scratch / "model.safetensors").write_text("the first's")
        with pytest.raises(RuntimeError):
            second()
    assert (folder / "model.safetensors").read_text() == "the first's"
    assert list(tmp_path.iterdir()) == [folder]


def test_runs_with_the_same_default_name_are_numbered(tmp_path: Path) -> None:
    folder = tmp_path / "digits-20240506-070809"
    with runs.new_folder(folder, numbered=True) as outer:
        (outer.scratch / "file").write_text("first")
        with runs.new_folder(folder, numbered=True) as inner:
            (inner.scratch / "file").write_text("second")
    assert inner.path == folder
    assert (inner.path / "file").read_text() == "second"
    assert outer.path == tmp_path / f"{folder.name}-2"
    assert (outer.path / "file").read_text() == "first"


def test_long_names_have_room_for_a_scratch_folder(tmp_path: Path) -> None:
    folder = tmp_path / ("n" * 250)
    with runs.new_folder(folder) as new:
        (new.scratch / "file").touch()
    assert (folder / "file").exists()


def test_parent_folders_created_by_another_process_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mine"
    (tmp_path / "runs").mkdir()
    with contextlib.suppress(RuntimeError), runs.new_folder(folder):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.fixture
def model(digits: anynet.Dataset) -> anynet.Model:
    return anynet.fit(anynet.mlp([64, 4, 10]), digits.train, epochs=1, backend="numpy")


def test_a_missing_scratch_folder_is_created_again(tmp_path: Path, model) -> None:
    folder = tmp_path / "some" / "run"
    with runs.new_folder(folder) as new:
        shutil.rmtree(tmp_path / "some")
        with runs.kept(model, new.scratch):
            (new.scratch / "history.csv").touch()
    assert sorted(path.name for path in folder.iterdir()) == ["history.csv", "model.safetensors"]


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_a_model_without_its_folder_is_saved_elsewhere(
    tmp_path: Path, model, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    folder = tmp_path / "run"

    def vanish(scratch: Path) -> None:
        shutil.rmtree(scratch)
        if when == "before":
            scratch.touch()  # a file with its name: it cannot be created again

    def train() -> None:
        with runs.new_folder(folder) as new:
            if when == "before":
                vanish(new.scratch)
            with runs.kept(model, new.scratch):
                if when == "within":
                    vanish(new.scratch)
                    raise RuntimeError
                vanish(new.scratch)

    with pytest.raises((OSError, InvalidArgumentError, RuntimeError)) as caught:
        train()
    (saved,) = (tmp_path / "temporary").glob("*/model.safetensors")
    assert caught.value.__notes__ == [f"the model was saved as {saved} instead"]
    assert anynet.load(saved, "numpy").network == model.network
    assert not folder.exists()


def test_no_empty_folder_remains_if_nothing_could_be_saved(
    tmp_path: Path, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broken = dataclasses.replace(model, metadata={"a": object()})
    error = RuntimeError()
    runs.save_elsewhere(broken, error)
    assert list(tmp_path.iterdir()) == []
    assert not hasattr(error, "__notes__")


def test_lock_files_do_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidArgumentError, match="symbolic link"), locked(tmp_path / "lock", ""):
        pytest.fail("the block must not run")
    assert not (tmp_path / "elsewhere").exists()


def test_only_temporary_files_of_anynet_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".mine.part").touch()
    (tmp_path / ".config.toml.0123456789abcdef.part").touch()
    clear_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".mine.part"]


@pytest.mark.parametrize("linked", [False, True])
def test_user_files_in_the_checkpoint_folder_are_kept(tmp_path: Path, linked: bool) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    (elsewhere if linked else run / runs.DONE).mkdir()
    if linked:
        (run / runs.DONE).symlink_to(elsewhere)
    own = ("lock", "options.toml", "step-000000000041.safetensors", "step-000000000001.damaged")
    for name in (*own, "notes.txt", "step-backup.safetensors"):
        (run / runs.DONE / name).touch()
    runs.clear_done(run)
    kept = elsewhere if linked else run / "checkpoints-other-files"
    assert {path.name for path in kept.iterdir()} == {"notes.txt", "step-backup.safetensors"}
    assert list(run.iterdir()) == ([] if linked else [kept])
    runs.clear_done(run)
    assert kept.is_dir()
