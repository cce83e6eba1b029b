"""``anynet export``: files for other programs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import anynet as library

Command = Callable[..., Any]


def test_onnx_export_matches_the_model(anynet: Command, digits_run: Any, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "digits.onnx"
    code, out, err = anynet(
        *("export", digits_run.folder, "--format", "onnx"),
        *("--out", file, "--input-dtype", "uint8"),
    )
    assert (code, err) == (0, "")
    assert out == (f"{file}: x (uint8, any number of rows of 64) to label, probabilities, logits\n")
    model = library.load(digits_run.folder / "model.safetensors", backend="numpy")
    x = library.load_dataset("digits").test[0].astype(np.uint8)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(["label"], {"x": x})[0], model.predict(x))


def test_torch_export_matches_the_model(anynet: Command, digits_run: Any, tmp_path: Path) -> None:
    file = tmp_path / "digits.safetensors"
    model_file = digits_run.folder / "model.safetensors"
    outcome = anynet("export", model_file, "--format", "torch", "--out", file)
    assert (outcome.code, outcome.err) == (0, "")
    shapes = {name: array.shape for name, array in load_file(file).items()}
    assert shapes == {"0.weight": (32, 64), "0.bias": (32,), "2.weight": (10, 32), "2.bias": (10,)}


def test_invalid_exports_are_errors(fails: Command, digits_run: Any, tmp_path: Path) -> None:
    export = ("export", digits_run.folder, "--out", tmp_path / "file", "--format")
    assert "pickles" in fails(*export, "sklearn")
    assert "--input-dtype is an option of --format onnx" in fails(
        *export, "torch", "--input-dtype", "uint8"
    )
    assert "--input-dtype must be one of" in fails(*export, "onnx", "--input-dtype", "word")
    assert "one of onnx, torch, sklearn, not 'keras'" in fails(*export, "keras", code=2)
    assert "no model" in fails("export", tmp_path, "--out", tmp_path / "file", "--format", "torch")
    says = fails(
        *("export", digits_run.folder, "--format", "torch"), "--out", tmp_path / "absent" / "file"
    )
    assert "there is no folder" in says
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("mine")
    assert "exists already" in fails(*export, "torch")
    assert (tmp_path / "file").read_text() == "mine"
