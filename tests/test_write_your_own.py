"""docs/write-your-own.md runs unchanged on each backend; its parts are saved and loaded."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.config import registered

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAGE = (Path(__file__).parents[1] / "docs" / "write-your-own.md").read_text()
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
N_PARTS = 1 + 6 + 1  # imports, one block per family, export forms
FAMILIES = ("activation", "layer", "loss", "optimizer", "schedule", "augmentation")
KINDS = ("softsign", "residual", "log_cosh", "sign_sgd", "halving", "brightness")
OPTIONS: dict[str, Any] = {"epochs": 2, "backend": "numpy"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the module of the page."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "parts.py").write_text("\n\n".join(BLOCKS[:N_PARTS]))
    return folder


@pytest.fixture
def parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the module of the page; its kinds are unregistered afterwards."""
    monkeypatch.syspath_prepend(folder)
    import importlib

    module = importlib.import_module("parts")
    importlib.reload(module)
    yield module
    for family, kind in zip(FAMILIES, KINDS, strict=True):
        registered(family).pop(kind)  # type: ignore[attr-defined]


@pytest.fixture
def rows(digits: anynet.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return digits.train[0][:200], digits.train[1][:200]


def own_network(*layers: Any) -> anynet.Network:
    from anynet.nn import Activation, Dense, Network

    return Network(64, (Dense(8), Activation("softsign"), *layers, Dense(10)))


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


def test_each_part_needs_at_most_ten_lines() -> None:
    for block in BLOCKS[1:7]:
        lines = [line for line in block.splitlines() if line.strip()]
        assert len(lines) <= 10, block
    loop = [line for line in BLOCKS[-1].splitlines() if line.strip() and "import" not in line]
    assert len(loop) <= 10


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.usefixtures("parts")
def test_the_page_runs(backend: str, tmp_path: Path, monkeypatch, capsys) -> None:
    pytest.importorskip(backend)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCKS[N_PARTS:]:
        code = block.replace('backend = "numpy"', f'backend = "{backend}"')
        exec(compile(code, "docs/write-your-own.md", "exec"), names)
    test = names["data"].test
    assert names["model"].score(*test) > 0.8
    assert names["longer"].history.records[-1].epoch == 6
    own = anynet.training.Model(names["network"], names["params"], names["loss"], names["where"])
    assert own.score(*test) > 0.8
    classifier, regressor = map(float, capsys.readouterr().out.split()[2:4])
    assert classifier > 0.8
    assert regressor > 0.3


def test_the_command_runs(folder: Path) -> None:
    (shell,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    _, option, code, *arguments = shlex.split(shell)
    assert option == "-c"
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--epochs", "1", "--out", "run"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_a_new_process_must_import_the_module(parts, folder: Path, rows) -> None:
    layers = own_network(parts.Residual(8))
    anynet.fit(layers, rows, checkpoint=folder / "new", **OPTIONS).save(folder / "own.safetensors")
    load = "import anynet; print(anynet.load('own.safetensors', 'numpy').network.layers[2].kind)"
    assert python(f"import parts; {load}", folder).stdout == "residual\n"
    refused = python(load, folder)
    assert refused.returncode == 1
    assert "softsign" in refused.stderr
    assert "@anynet.register('activation')" in refused.stderr


def test_estimators_with_user_defined_parts_are_saved(parts, folder: Path, rows) -> None:
    estimator = anynet.MLPRegressor(
        parts.LogCosh(), (8,), "softsign", solver=parts.SignSGD(),
        learning_rate=parts.Halving(0.01), max_iter=3, tol=1.0,
    )  # fmt: skip
    estimator.fit(rows[0] / 16, rows[1]).save(folder / "estimator.safetensors")
    load = "import anynet; print(anynet.MLPRegressor.load('estimator.safetensors').solver.kind)"
    ended = python(f"import parts; {load}", folder)
    assert ended.stdout == "sign_sgd\n", ended.stderr
    assert "register" in python(load, folder).stderr


def test_user_defined_parts_in_a_population_match_single_runs(parts, rows) -> None:
    network = own_network(parts.Residual(8))
    configs: list[dict[str, Any]] = [
        {"learning_rate": parts.Halving(0.01), "seed": 0},
        {"learning_rate": parts.Halving(0.003), "seed": 1},
    ]
    shared = OPTIONS | {"optimizer": "sign_sgd", "augment": "brightness"}
    models = anynet.fit_population(network, rows, configs, **shared)
    for model, config in zip(models, configs, strict=True):
        alone = anynet.fit(network, rows, **shared, **config)
        found, expected = model.predict_proba(rows[0]), alone.predict_proba(rows[0])
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_user_defined_augmentation_is_averaged_in_prediction(parts, rows) -> None:
    model = anynet.fit(own_network(), rows, **OPTIONS)
    mean = anynet.predict_augmented(model, rows[0], parts.Brightness(0.1), times=2)
    np.testing.assert_allclose(mean, model.predict_proba(rows[0]), atol=0.2)


def test_exports_of_user_defined_parts_match_or_raise(parts, rows, tmp_path: Path) -> None:
    onnxruntime, torch = pytest.importorskip("onnxruntime"), pytest.importorskip("torch")
    model = anynet.fit(own_network(parts.Residual(8)), rows, **OPTIONS)
    anynet.export.to_onnx(model, tmp_path / "own.onnx", outputs=["probabilities"])
    session = onnxruntime.InferenceSession(tmp_path / "own.onnx")
    x = rows[0].astype(np.float32)
    (found,) = session.run(None, {"x": x})
    np.testing.assert_allclose(found, model.predict_proba(x), atol=1e-5)
    with pytest.raises(anynet.InvalidArgumentError, match=r"layer 2 \(residual\).*to_torch"):
        anynet.export.to_torch(model)
    plain = anynet.fit(own_network(), rows, **OPTIONS)
    module = anynet.export.to_torch(plain)
    with torch.no_grad():
        logits = module(torch.from_numpy(x)).softmax(-1).numpy()
    np.testing.assert_allclose(logits, plain.predict_proba(x), atol=1e-5)
    for one in (model, plain):
        with pytest.raises(anynet.InvalidArgumentError, match=r"layer \d \((residual|softsign)\)"):
            anynet.export.to_sklearn(one)


def test_missing_export_forms_raise_with_the_function_to_define(parts, rows, monkeypatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.delattr(parts.softsign, "to_onnx")
    monkeypatch.delattr(parts.softsign, "to_torch")
    monkeypatch.delattr(parts.Residual, "to_onnx")
    model = anynet.fit(own_network(), rows, **OPTIONS)
    with pytest.raises(anynet.InvalidArgumentError, match=r"activation softsign.*to_onnx"):
        anynet.export.to_onnx(model)
    with pytest.raises(anynet.InvalidArgumentError, match=r"activation softsign.*to_torch"):
        anynet.export.torch_state_dict(model)
    network = anynet.Network(64, (parts.Residual(64), anynet.nn.Dense(10)))
    with pytest.raises(anynet.InvalidArgumentError, match=r"layer 0 \(residual\).*to_onnx"):
        anynet.export.to_onnx(anynet.fit(network, rows, **OPTIONS))


def test_a_loss_without_a_link_name_raises(parts, rows, monkeypatch) -> None:
    pytest.importorskip("onnx")
    network = anynet.mlp([64, 8, 1], activation="relu")
    y = rows[1].astype(np.float64)
    model = anynet.fit(network, (rows[0], y), loss="log_cosh", learning_rate=0.001, **OPTIONS)
    anynet.export.to_onnx(model)
    anynet.export.to_sklearn(model)
    monkeypatch.setattr(parts.LogCosh, "link_name", "cube", raising=False)
    for export in (anynet.export.to_onnx, anynet.export.to_sklearn):
        with pytest.raises(anynet.InvalidArgumentError, match=r"log_cosh.*link_name.*'cube'"):
            export(model)
