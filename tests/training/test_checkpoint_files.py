"""Checkpoint files and their folder: complete, locked and on disk; invalid ones raise."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import same

import anynet
from anynet.data import files
from anynet.training.checkpoint import folder as folders
from anynet.training.checkpoint.container import (
    Container,
    ContainerError,
    read_container,
    write_container,
)
from anynet.training.checkpoint.folder import KEY

FIRST = "step-000000000000.safetensors"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_a_checkpoint_folder_belongs_to_one_run(data, network, tmp_path: Path) -> None:
    own = tmp_path / "own"
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=own)
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    with pytest.raises(anynet.InvalidArgumentError, match=r"earlier run.*anynet\.resume"):
        anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=own)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before
    (tmp_path / "note").touch()
    with pytest.raises(anynet.InvalidArgumentError, match="other files"):
        anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path)
    with pytest.raises(anynet.InvalidArgumentError, match="cannot make the folder"):
        anynet.fit(network, data, backend="numpy", checkpoint=tmp_path / "note")
    with pytest.raises(anynet.CheckpointError, match="no folder of checkpoints"):
        anynet.resume(tmp_path / "none", data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(anynet.CheckpointError, match="no checkpoint in"):
        anynet.resume(tmp_path / "empty", data)


def test_a_folder_in_use_raises_until_its_process_ends(data, network, tmp_path: Path) -> None:
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path)
    code = (
        "import sys, time, pathlib; from anynet.training.checkpoint.folder import reopen\n"
        "with reopen(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(anynet.InvalidArgumentError, match="in use by another run"):
            anynet.resume(tmp_path, data, epochs=2)
        with pytest.raises(anynet.InvalidArgumentError, match="in use by another run"):
            anynet.fit(network, data, checkpoint=tmp_path)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert len(anynet.resume(tmp_path, data, epochs=2).history.records) == 2


def test_an_unwritable_folder_raises_before_training(
    data, network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def refuse(path: Any, *options: Any) -> int:  # root ignores file permissions
        if Path(path).parent == tmp_path:
            raise OSError(30, "Read-only file system")
        return open_file(path, *options)

    monkeypatch.setattr("anynet.data.locks.os.open", refuse)
    with pytest.raises(anynet.InvalidArgumentError, match=r"cannot write .* Read-only file system"):
        anynet.fit(network, data, checkpoint=tmp_path, progress=lambda _: pytest.fail("too late"))


def test_resume_uses_the_previous_checkpoint_if_the_newest_is_damaged(
    data, network, tmp_path: Path
) -> None:
    options = {"validation": 50, "epochs": 3, "backend": "numpy"}
    straight = anynet.fit(network, data, **options)
    anynet.fit(network, data, **options, checkpoint=tmp_path)
    older, newest = sorted(tmp_path.glob("step-*"))
    damage(newest)
    with pytest.warns(RuntimeWarning, match=r"cannot be read.*checksum"):
        same(straight, anynet.resume(tmp_path, data))
    damage(older)
    damage(newest)
    with pytest.raises(anynet.CheckpointError, match=r"cannot be read.*cannot be read"):
        anynet.resume(tmp_path, data)


def test_a_damaged_checkpoint_does_not_count_towards_keep(data, network, tmp_path: Path) -> None:
    policy = anynet.Checkpoints(tmp_path, keep=1)
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=policy)
    (good,) = tmp_path.glob("step-*")
    newer = tmp_path / "step-000000999999.safetensors"
    newer.write_bytes(good.read_bytes())
    damage(newer)
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        anynet.resume(tmp_path, data, epochs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lock",
        "step-000000000010.safetensors",
        "step-000000999999.damaged",
    ]


def test_a_truncated_checkpoint_raises(data, network, tmp_path: Path) -> None:
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path)
    whole = sorted(tmp_path.glob("step-*"))[-1].read_bytes()
    path = tmp_path / "cut"
    for size in [*range(0, len(whole) - 1, len(whole) // 40), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ContainerError, match="cannot be read as a checkpoint"):
            read_container(path, KEY, "checkpoint")


def test_another_checkpoint_format_raises(
    data, network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path)
    monkeypatch.setattr("anynet.training.checkpoint.container.FORMAT", 2)
    with pytest.raises(anynet.CheckpointError, match=r"checkpoint format 1.* reads 2"):
        anynet.resume(tmp_path, data)


def test_loading_a_checkpoint_as_a_model_or_vice_versa_raises(
    data, network, tmp_path: Path
) -> None:
    model = anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path / "run")
    with pytest.raises(anynet.ModelFileError, match="not a model"):
        anynet.load(tmp_path / "run" / FIRST)
    model.save(tmp_path / "model")
    with pytest.raises(ContainerError, match="not a checkpoint"):
        read_container(tmp_path / "model", KEY, "checkpoint")


def altered(path: Path, change: Callable[[Any, dict[str, np.ndarray]], None]) -> None:
    """Change a checkpoint and correct its checksum."""
    arrays, content = read_container(path, KEY, "checkpoint")
    change(content, arrays)
    write_container(path, KEY, Container(arrays, content), checksum=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda content, _: content.pop("arguments"),
        lambda content, _: content["arguments"].pop("loss"),
        lambda content, _: content["arguments"].update(momentum=1),
        lambda content, _: content["arguments"].update(epochs="many"),
        lambda content, _: content["arguments"]["network"]["layers"][1].update(units=10**12),
        lambda content, _: content["arguments"]["optimizer"].update(kind="magic"),
        lambda content, _: content["arguments"]["optimizer"].update(kind=[]),
        lambda content, _: content["history"].update(records=[[1, 2]]),
        lambda content, _: content["history"].update(records=None),
        lambda content, _: content.update(history=[]),
        lambda content, _: content.update(stopping=None),
        lambda content, _: content.update(seen="x"),
        lambda content, _: content.update(every="never"),
        lambda content, _: content.update(backend={"name": "numpy"}),
        lambda content, _: content.update(backend=None),
        lambda content, _: content.update(training=None),
        lambda content, _: content.update(training={"rows": 300}),
        lambda _, arrays: arrays.pop("state.step"),
        lambda _, arrays: arrays.update({"state.step": np.zeros(3, np.int32)}),
        lambda _, arrays: arrays.update({"state.step": np.zeros((), np.int64)}),
        lambda _, arrays: arrays.update(unknown=np.zeros(3)),
    ],
)
def test_checkpoints_with_invalid_content_raise(
    data, network, tmp_path: Path, change: Callable[..., None]
) -> None:
    policy = anynet.Checkpoints(tmp_path, keep=1)
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=policy)
    altered(next(tmp_path.glob("step-*")), change)
    with pytest.raises(anynet.AnynetError):
        anynet.resume(tmp_path, data, epochs=2)


def test_a_full_disk_keeps_the_previous_checkpoint(data, network, tmp_path: Path) -> None:
    """The limit on the file size applies to a separate process only."""
    options = {"epochs": 3, "backend": "numpy"}
    script = f"""
import resource, signal, sys, anynet, numpy as np
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails then, as on a full disk
data = anynet.load_dataset("digits")
network = anynet.mlp([64, 12, 10], dropout=0.2, scale=data.scale)
def fill(record):
    if record.epoch == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    anynet.fit(network, (data.train[0][:300], data.train[1][:300]), checkpoint=sys.argv[1],
               callbacks=fill, epochs={options["epochs"]}, backend="numpy")
except anynet.CheckpointError as error:
    print(error.model.history.best_epoch, error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith(f"2 cannot write a checkpoint to '{tmp_path}': File too large")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["lock", FIRST, "step-000000000005.safetensors"]
    same(anynet.fit(network, data, **options), anynet.resume(tmp_path, data))


def test_a_checkpoint_is_synced_to_disk_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_sync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def note_name(self: Path, target: Path) -> Path:
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr(files.os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_name)
    write_container(tmp_path / "checkpoint", KEY, Container({"x": np.arange(3)}, {}))
    assert done == ["file", "name", "folder"]


FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.dictionaries(st.text(max_size=5), FLOATS | st.lists(FLOATS) | st.integers() | st.none()),
    st.sampled_from(["f4", "f8", "i4", "u1", "?"]),
    st.lists(st.integers(0, 3), max_size=3),
)
def test_files_preserve_every_bit(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], dtype: str, shape: list[int]
) -> None:
    array = np.full(shape, 1 / 3).astype(dtype)
    array.reshape(-1)[:1] = np.nan if dtype.startswith("f") else 1
    path = tmp_path_factory.mktemp("bits") / "checkpoint"
    write_container(path, KEY, Container({"a.b": array, "0": np.array(array, order="F")}, content))
    arrays, found = read_container(path, KEY, "checkpoint")
    assert repr(found) == repr(content)  # NaN is not equal to itself, −0.0 is to 0.0
    for read in arrays.values():
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("every", "meant"),
    [(1, (1, None)), ("10min", (None, 600)), ("0.5 min", (None, 30)), (10**9, (10**9, None))],
)
def test_intervals_are_parsed(every: Any, meant: tuple[Any, Any]) -> None:
    assert folders.parse_interval(every) == meant


@pytest.mark.parametrize(
    "every", [0, -1, 1.5, True, "5", "min", "-1min", "0min", "1h", None, math.inf]
)
def test_invalid_intervals_raise(every: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="10min"):
        anynet.Checkpoints("folder", every=every)


@pytest.mark.parametrize("options", [{"folder": 3}, {"keep": 0}, {"keep": True}, {"keep": 1.5}])
def test_invalid_policies_raise(options: dict[str, Any]) -> None:
    with pytest.raises(anynet.InvalidArgumentError):
        anynet.Checkpoints(**{"folder": "folder"} | options)


def test_metadata_that_json_cannot_hold_raise(data, network, tmp_path: Path) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=r"metadata .*JSON"):
        anynet.fit(network, data, metadata={"array": data[0]}, checkpoint=tmp_path)
