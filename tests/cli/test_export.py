"""``anynet export``: files for other programs."""

import json
import re
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
    for option in ("--weights", "float16"), ("--samples", "3"):
        assert f"{option[0]} is an option of --format html" in fails(*export, "onnx", *option)
    assert "one of float32, float16" in fails(*export, "html", "--weights", "int8", code=2)
    assert "--input-dtype must be one of" in fails(*export, "onnx", "--input-dtype", "word")
    assert "one of onnx, html, torch, sklearn, not 'keras'" in fails(*export, "keras", code=2)
    assert "no model" in fails("export", tmp_path, "--out", tmp_path / "file", "--format", "torch")
    says = fails(
        *("export", digits_run.folder, "--format", "torch"), "--out", tmp_path / "absent" / "file"
    )
    assert "there is no folder" in says
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("mine")
    assert "exists already" in fails(*export, "torch")
    assert "exists already" in fails(*export, "html")
    assert (tmp_path / "file").read_text() == "mine"


def held(page: Path) -> dict[str, Any]:
    """Return the data in a page."""
    found = re.search(r'id="model">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_page_has_test_images_of_the_run(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    page, few = tmp_path / "page.html", tmp_path / "few.html"
    export = ("export", digits_run.folder, "--format", "html", "--out")
    code, out, err = anynet(*export, page)
    assert (code, err) == (0, "")
    assert "50 test samples" in out
    assert len(held(page)["samples"]["labels"]) == 50
    assert anynet(*export, few, "--samples", "3", "--weights", "float16").code == 0
    assert held(few)["samples"]["inputs"]["shape"] == [3, 64]
    assert held(few)["networks"][0]["layers"][1]["arrays"]["weight"]["dtype"] == "float16"


def test_without_its_data_a_page_has_no_samples(
    anynet: Command, digits_run: Any, tmp_path: Path
) -> None:
    copy = tmp_path / "model.safetensors"
    copy.write_bytes((digits_run.folder / "model.safetensors").read_bytes())
    code, out, err = anynet("export", copy, "--format", "html", "--out", tmp_path / "page.html")
    assert code == 0
    assert "test samples" not in out
    assert "note: the page has no test samples" in err
    assert held(tmp_path / "page.html")["samples"] is None


def test_pages_have_rows_of_tables_if_asked_for(anynet: Command, tmp_path: Path) -> None:
    table, run = tmp_path / "table.csv", tmp_path / "run"
    rows = (f"{i * 7 % 31},{'ab'[i % 2]},{'yes' if i % 3 else 'no'}" for i in range(60))
    table.write_text("\n".join(["size,kind,bought", *rows]))
    train = ("train", table, "--target", "bought", "--layers", "4", "--epochs", "2")
    assert anynet(*train, "--out", run).code == 0
    export = ("export", run, "--format", "html", "--out")
    assert anynet(*export, tmp_path / "page.html").err == ""
    assert held(tmp_path / "page.html")["samples"] is None
    assert anynet(*export, tmp_path / "rows.html", "--samples", "100").code == 0
    data = held(tmp_path / "rows.html")
    assert len(data["samples"]["rows"]) == 12  # those that training held out
    size, kind = data["table"]["columns"]
    assert 0 <= size["limits"][0] < size["limits"][1] <= 30
    assert kind["frequent"] in kind["levels"] == ["a", "b"]
