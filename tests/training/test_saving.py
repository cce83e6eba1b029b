"""Model files: they load on every backend, and invalid files raise."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import anynet
from anynet.backends import Backend


@pytest.fixture(scope="module")
def model(digits: anynet.Dataset) -> anynet.Model:
    network = anynet.mlp([64, 16, 10], dropout=0.1, layer_norm=True, scale=digits.scale)
    return anynet.fit(
        network, digits.train, epochs=2, backend="numpy", metadata={"note": "two epochs", "n": [1]}
    )


@pytest.fixture
def saved(model: anynet.Model, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    model.save(path)
    return path


def test_a_model_loads_on_every_backend(backend: Backend, model, saved, digits) -> None:
    loaded = anynet.load(saved, backend)
    assert loaded.backend == backend
    assert loaded.network == model.network
    assert loaded.loss == model.loss
    assert loaded.metadata == {"note": "two epochs", "n": [1]}
    np.testing.assert_allclose(
        loaded.predict_proba(digits.test[0]), model.predict_proba(digits.test[0]), atol=1e-6
    )


def test_every_backend_saves_the_same_file(backend: Backend, model, saved, tmp_path):
    other = tmp_path / "other.safetensors"
    model.to(backend).save(other)
    assert other.read_bytes() == saved.read_bytes()


def test_the_dtype_is_kept_unless_another_is_requested(saved) -> None:
    assert anynet.load(saved).backend.dtype == "float32"
    assert anynet.load(saved, "numpy", dtype="float64").params[1]["weight"].dtype == np.float64


def test_saving_replaces_the_file_atomically(model, saved, monkeypatch) -> None:
    before = saved.read_bytes()

    def fail(*_: object) -> None:
        message = "no space left on device"
        raise OSError(message)

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        model.save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_metadata_that_json_cannot_hold_raise(model, tmp_path: Path) -> None:
    foreign = dataclasses.replace(model, metadata={"rows": {1, 2}})
    with pytest.raises(anynet.InvalidArgumentError, match="what JSON can hold"):
        foreign.save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(anynet.ModelFileError, match="does not exist"):
        anynet.load(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_damaged_file_raises(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(anynet.ModelFileError, match="cannot be read as a model"):
        anynet.load(saved)


def test_a_run_folder_loads_and_another_folder_raises(saved: Path, model, digits) -> None:
    x = digits.test[0]
    loaded = anynet.load(saved.parent, "numpy")
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))
    saved.rename(saved.with_name("other.safetensors"))
    with pytest.raises(anynet.ModelFileError, match=r"there is no model in .*model.safetensors"):
        anynet.load(saved.parent)


def test_saving_to_a_missing_folder_raises_with_the_fix(model, tmp_path: Path) -> None:
    path = tmp_path / "absent" / "m"
    with pytest.raises(anynet.InvalidArgumentError) as caught:
        model.save(path)
    message = str(caught.value)
    assert message.startswith(f"cannot write {str(path)!r}: ")
    for fact in (f"no folder {str(path.parent)!r}", "create it"):
        assert fact in message


def test_a_file_that_cannot_be_written_raises_with_its_name(model, tmp_path: Path) -> None:
    path = tmp_path / ("m" * 300)  # longer than file systems permit
    with pytest.raises(OSError, match="m" * 300) as caught:
        model.save(path)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_safetensors_files_of_other_programs_raise(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"w": np.ones(3, dtype=np.float32)}, path)
    with pytest.raises(anynet.ModelFileError, match="not a model that anynet saved"):
        anynet.load(path)


def change(saved: Path, config=None, tensors=None) -> None:
    from safetensors import safe_open

    with safe_open(saved, framework="numpy") as file:
        metadata = json.loads(file.metadata()["anynet"])
    arrays = load_file(saved)
    metadata = config(metadata) if config else metadata
    arrays = tensors(arrays) if tensors else arrays
    save_file(arrays, saved, {"anynet": json.dumps(metadata)})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (lambda c: c | {"format": 99}, "format 99, .* reads 1"),
        (lambda c: {}, "cannot be read"),  # noqa: ARG005
        (lambda c: [c], "cannot be read"),
        (lambda c: c | {"network": {"n_inputs": 64, "layers": [{"kind": "x"}]}}, "unknown layer"),
        (lambda c: c | {"network": {"n_inputs": 64, "layers": 3}}, "cannot read"),
        (lambda c: c | {"network": c["network"] | {"n_inputs": 10**9}}, "should have shape"),
        (lambda c: c | {"network": c["network"] | {"n_inputs": "many"}}, "cannot read"),
        (lambda c: c | {"loss": {"kind": "magic"}}, "cannot read"),
        (lambda c: c | {"loss": {"kind": "huber", "delta": -1}}, "above 0"),
        (lambda c: c | {"metadata": 3}, "cannot read"),
    ],
)
def test_invalid_configurations_raise(saved: Path, config, message) -> None:
    change(saved, config=config)
    with pytest.raises(anynet.ModelFileError, match=message):
        anynet.load(saved)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "1.bias"}, "tensor 1.bias should have"),
        (lambda a: a | {"9.x": np.ones(2, dtype=np.float32)}, "tensor 9.x should have shape none"),
        (lambda a: a | {"1.bias": np.ones(3, dtype=np.float32)}, r"\(16,\), got \(3,\)"),
        (lambda a: a | {"1.bias": np.ones(16, dtype=np.int32)}, "float32 or float64, got int32"),
    ],
)
def test_invalid_tensors_raise(saved: Path, tensors, message) -> None:
    change(saved, tensors=tensors)
    with pytest.raises(anynet.ModelFileError, match=message):
        anynet.load(saved)
