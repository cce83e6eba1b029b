"""Selection of a backend: names, devices, the environment, errors for missing libraries."""

from __future__ import annotations

import ast
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import anynet
from anynet.backends import backend_of, select, to_numpy


def test_numpy_is_always_available() -> None:
    backend = anynet.get_backend("numpy")
    assert (backend.name, backend.device_name(), backend.dtype) == ("numpy", "cpu", "float32")


def test_auto_reports_the_reason() -> None:
    backend = anynet.get_backend()
    assert backend.name in ("numpy", "cupy")
    assert "no GPU is used" in backend.reason or "a CUDA device works" in backend.reason


def test_auto_on_the_cpu_is_numpy() -> None:
    assert anynet.get_backend("auto", "cpu").name == "numpy"


def test_the_environment_variable_affects_only_auto(monkeypatch) -> None:
    monkeypatch.setenv("ANYNET_BACKEND", "abacus")
    with pytest.raises(anynet.InvalidArgumentError, match=r"'abacus' \(set by ANYNET_BACKEND\)"):
        anynet.get_backend()
    assert anynet.get_backend("numpy").name == "numpy"
    monkeypatch.setenv("ANYNET_BACKEND", "numpy")
    assert anynet.get_backend().reason == "set by ANYNET_BACKEND"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("abacus",), "backend must be one of auto, numpy, cupy, torch, jax, got 'abacus'"),
        (("numpy", "tpu"), "device must be 'cpu', 'cuda', 'cuda:N' or 'mps', got 'tpu'"),
        (("numpy", "cuda:"), "got 'cuda:'"),
        (("numpy", 3), "got 3"),
        (("numpy", None, "float16"), "dtype must be one of 'float32', 'float64', got 'float16'"),
    ],
)
def test_invalid_arguments_raise(arguments, message) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message.replace("(", r"\(")):
        anynet.get_backend(*arguments)


def test_numpy_on_cuda_raises() -> None:
    with pytest.raises(anynet.BackendError, match="computes on device 'cpu' only, got 'cuda'"):
        anynet.get_backend("numpy", "cuda")


@pytest.mark.parametrize(
    ("name", "command"),
    [("cupy", "cupy-cuda12x[ctk]"), ("torch", "install torch"), ("jax", "install jax")],
)
def test_a_missing_library_raises_with_its_install_command(monkeypatch, name, command) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(anynet.BackendError) as caught:
        anynet.get_backend(name)
    assert f"needs {name}, which is not installed" in str(caught.value)
    assert command in str(caught.value)
    status = {status.name: status for status in anynet.available_backends()}[name]
    assert not status.usable
    assert command in status.reason


def test_auto_falls_back_to_numpy_for_any_failure_of_cupy(monkeypatch) -> None:
    def broken(name: str):
        if name == "cupy":
            message = "cupy is installed but does not import"
            raise anynet.BackendError(message)
        return original(name)

    original = select._module
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(select, "_module", broken)
    backend = anynet.get_backend("auto")
    assert backend.name == "numpy"
    assert "does not import" in backend.reason
    with pytest.raises(anynet.BackendError, match="does not import"):
        anynet.get_backend("auto", "cuda")


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_missing_cuda_device_raises_with_the_available_devices(name) -> None:
    pytest.importorskip(name)
    try:
        anynet.get_backend(name, "cuda:999")
    except anynet.BackendError as error:
        assert "'cuda:999'" in str(error)  # noqa: PT017  (the test inspects the error)
        assert "it sees cpu" in str(error) or "cuda:0" in str(error)  # noqa: PT017
    else:
        pytest.fail("no machine has a thousand GPUs")


def test_float64_on_jax_raises_with_the_setting_that_enables_it() -> None:
    pytest.importorskip("jax")
    with pytest.raises(anynet.BackendError, match="JAX_ENABLE_X64=1"):
        anynet.get_backend("jax", "cpu", "float64")


def test_available_backends_lists_every_library() -> None:
    rows = anynet.available_backends()
    assert [row.name for row in rows] == ["numpy", "cupy", "torch", "jax"]
    assert rows[0].usable
    assert rows[0].version == np.__version__
    assert all(row.reason for row in rows)


def test_backend_of_returns_the_library_of_an_array() -> None:
    torch = pytest.importorskip("torch")
    jnp = pytest.importorskip("jax.numpy")
    assert backend_of(np.ones(2)) is None
    assert backend_of([1, 2]) is None
    assert backend_of(torch.ones(2)).name == "torch"
    assert backend_of(jnp.ones(2)).name == "jax"
    for array in (torch.ones(2, requires_grad=True), jnp.ones(2), [1, 1]):
        np.testing.assert_array_equal(to_numpy(array), [1, 1])


def test_backend_of_keeps_jax_arrays_on_a_tpu(monkeypatch) -> None:
    pytest.importorskip("jax")
    tpu = SimpleNamespace(platform="tpu", id=3)
    array = SimpleNamespace(devices=lambda: [tpu])
    monkeypatch.setattr(select, "is_jax_array", lambda given: given is array)
    monkeypatch.setattr(select, "is_torch_array", lambda _: False)
    monkeypatch.setattr(select, "is_cupy_array", lambda _: False)
    backend = backend_of(array)
    assert backend.device is tpu
    assert backend.device_name() == "tpu:3"


def test_backends_compare_by_value() -> None:
    assert anynet.get_backend("numpy") == anynet.get_backend("auto", "cpu")
    assert hash(anynet.get_backend("numpy")) == hash(anynet.get_backend("auto", "cpu"))
    assert anynet.get_backend("numpy") != anynet.get_backend("numpy", dtype="float64")


def imported_by(code: str) -> set[str]:
    """Return the modules that a new process has imported after running ``code``."""
    code = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*ran.stdout.split()}


def test_importing_anynet_imports_no_dependency() -> None:
    imported = imported_by("import anynet; dir(anynet)")
    assert {name for name in imported if name.split(".")[0] == "anynet"} == {"anynet"}
    assert imported.isdisjoint({"numpy", "array_api_compat", "safetensors"})


def test_training_on_numpy_imports_no_optional_library() -> None:
    imported = imported_by("import anynet; anynet.fit, anynet.load, anynet.load_tabular_dataset")
    others = {"cupy", "torch", "jax", "sklearn", "scipy", "matplotlib", "tqdm", "pyarrow"}
    assert imported.isdisjoint(others)


def test_public_names_are_imported_when_used() -> None:
    for name in anynet.__all__:
        assert getattr(anynet, name).__name__.split(".")[-1] == name
    assert {"MLPClassifier", "fit", "nn", "optim"} < {*dir(anynet)}
    assert {"Any", "importlib", "TYPE_CHECKING", "import_module"}.isdisjoint(dir(anynet))
    for name in ("Any", "importlib", "nonsense"):
        with pytest.raises(AttributeError, match=name):
            getattr(anynet, name)


def test_every_public_name_is_visible_to_type_checkers() -> None:
    tree = ast.parse(Path(anynet.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    names = [
        alias.name
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(names) == anynet.__all__


def test_blas_kernels_without_available_avx512_are_reported(tmp_path) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text("flags : fpu avx2 avx512f avx512bw\n")
    code = (
        "import pathlib, sys; from anynet.backends.blas import unused_vectors;"
        "print(unused_vectors(pathlib.Path(sys.argv[1])))"
    )

    def report(kernels: str) -> str:
        run = subprocess.run(
            [sys.executable, "-c", code, str(cpu_info)],
            env=os.environ | {"OPENBLAS_CORETYPE": kernels},
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout.strip()

    if "openblas" not in str(np.show_config(mode="dicts")).lower():
        pytest.skip("NumPy's BLAS is not OpenBLAS")
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64 kernels")
    assert report("Haswell").endswith("OPENBLAS_CORETYPE=SkylakeX in the environment may be faster")
    assert report("SkylakeX") == ""
    cpu_info.write_text("flags : fpu avx2\n")
    assert report("Haswell") == ""
