"""The backends of the test matrix, as fixtures.

``backend`` runs a test on every array library: NumPy, NumPy with read-only inputs,
array_api_strict on its fictitious second device, torch, JAX and CuPy. ``float64`` tests use
``backend64``. A library that is not installed skips its cases, unless ANYNET_REQUIRE_BACKENDS
names it. On a machine without a CUDA device the CUDA cases are deselected, unless ``-m`` names
them: then they skip, and under ANYNET_REQUIRE_GPU=1 they fail for CuPy, and for torch and JAX if
installed.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

if "PYTEST_XDIST_WORKER" in os.environ:  # test processes share the cores: one thread each
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# JAX reuses compiled code across processes and runs.
COMPILED = Path(__file__).resolve().parents[1] / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import numpy as np
import pytest
from hypothesis import settings

import anynet
from anynet.backends import Backend
from anynet.backends.cuda import GraphRecorder
from anynet.backends.loops import RecordedLoop
from anynet.backends.numpy import NumPyBackend
from anynet.backends.portable import Loop

CASES = {
    "numpy": ("numpy", None),
    "readonly": ("readonly", None),
    "strict": ("strict", None),
    "torch": ("torch", "cpu"),
    "jax": ("jax", "cpu"),
    "cupy": ("cupy", "cuda"),
    "torch-cuda": ("torch", "cuda"),
    "jax-cuda": ("jax", "cuda"),
}
REQUIRED = {name for name in os.environ.get("ANYNET_REQUIRE_BACKENDS", "").split(",") if name}
#: Paths of lists of skipped tests: one to write, and one with the only tests to run.
RECORD_SKIPPED = os.environ.get("ANYNET_RECORD_SKIPPED", "")
ONLY_SKIPPED = os.environ.get("ANYNET_ONLY_SKIPPED", "")
REQUIRE_GPU = os.environ.get("ANYNET_REQUIRE_GPU") == "1"

# Background jobs of a shell ignore Ctrl-C, and tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("shared machine", deadline=None)  # one test process may wait for another
settings.load_profile("shared machine")


@dataclass(frozen=True)
class ReadOnlyBackend(NumPyBackend):
    """NumPy with read-only device arrays: no code may rely on aliasing."""

    name: ClassVar[str] = "readonly"

    def to_device(self, array: Any) -> Any:
        frozen = np.array(array)
        frozen.flags.writeable = False
        return frozen


@dataclass(frozen=True)
class StrictBackend(Backend):
    """array_api_strict on its second device: only standard calls, and no mixing of devices."""

    name: ClassVar[str] = "strict"

    def to_host(self, array: Any) -> np.ndarray:
        return np.asarray(array.to_device(self.xp.Device("CPU_DEVICE")))

    def context(self) -> AbstractContextManager[Any]:
        return np.errstate(all="ignore")  # array_api_strict computes with NumPy


def make_backend(case: str, dtype: str = "float32") -> Backend:
    """Make the backend of a case, or skip or fail if it is not usable."""
    name, device = CASES[case]
    if name == "readonly":
        import array_api_compat.numpy as xp

        return ReadOnlyBackend(xp, "cpu", dtype)
    if name == "strict":
        xp = pytest.importorskip("array_api_strict")
        return StrictBackend(xp, xp.Device("device1"), dtype)
    try:
        return anynet.get_backend(name, device, dtype)
    except anynet.BackendError as error:
        installed = importlib.util.find_spec(name) is not None
        gpu_is_missed = device == "cuda" and REQUIRE_GPU and (installed or name == "cupy")
        if gpu_is_missed or (device != "cuda" and name in REQUIRED):
            pytest.fail(f"{case} is required here: {error}")
        pytest.skip(str(error))


@functools.cache
def cuda_devices() -> tuple[str, ...]:
    """Return the CUDA devices that any installed library can use."""
    found = [device for status in anynet.available_backends() for device in status.devices]
    return tuple(device for device in found if device.startswith("cuda"))


def record_skipped(nodeid: str) -> None:
    """Add a test, or a module, to the file that ANYNET_RECORD_SKIPPED names."""
    if RECORD_SKIPPED:
        with Path(RECORD_SKIPPED).open("a") as file:
            file.write(f"{nodeid}\n")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record a skipped test."""
    if report.skipped and "PYTEST_XDIST_WORKER" not in os.environ:
        record_skipped(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Record a skipped module."""
    if report.skipped:
        record_skipped(report.nodeid)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect CUDA cases without a device, and tests that ANYNET_ONLY_SKIPPED does not list."""
    if ONLY_SKIPPED:
        listed = set(Path(ONLY_SKIPPED).read_text().splitlines())
        again: dict[bool, list[pytest.Item]] = {True: [], False: []}
        for item in items:
            again[not listed.isdisjoint((item.nodeid, item.nodeid.split("::")[0]))].append(item)
        config.hook.pytest_deselected(items=again[False])
        items[:] = again[True]
    if REQUIRE_GPU or "cuda" in config.getoption("markexpr") or cuda_devices():
        return
    left_out = [item for item in items if item.get_closest_marker("cuda")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("cuda")]


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_code() -> Iterator[None]:
    """Free the code that JAX compiled for a module, which would otherwise stay in memory."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


def float64_context(case: str) -> AbstractContextManager[Any]:
    """Return a context that enables float64 in JAX."""
    if not case.startswith("jax"):
        return nullcontext()
    jax = pytest.importorskip("jax")
    return jax.enable_x64(True)


def _params(request: pytest.FixtureRequest) -> str:
    case: str = request.param
    for marker in request.node.iter_markers("skip_backend"):
        if marker.args[0] == case:
            pytest.skip(marker.kwargs["reason"])
    return case


PARAMS = [
    pytest.param(case, marks=[pytest.mark.cuda] if device == "cuda" else [])
    for case, (_, device) in CASES.items()
]
ON_CUDA = [case for case, (_, device) in CASES.items() if device == "cuda"]


@pytest.fixture
def _graphs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if steps that could be captured as CUDA graphs run one by one."""
    plain = Loop.run

    def run(self: Loop[Any], state: Any, order: Any, data: Any) -> Any:
        captures = isinstance(self, RecordedLoop) and isinstance(self.recorder, GraphRecorder)
        if captures and order.shape[0] > 0:
            pytest.fail(f"{order.shape[0]} steps ran without a graph: {self.report.failure}")
        return plain(self, state, order, data)

    monkeypatch.setattr(Loop, "run", run)


@pytest.fixture(params=PARAMS)
def backend(request: pytest.FixtureRequest, _graphs_only: None) -> Iterator[Backend]:
    """Return the backend of each array library in turn, in float32."""
    made = make_backend(_params(request))
    with made.context():
        yield made


@pytest.fixture(params=PARAMS)
def backend64(request: pytest.FixtureRequest, _graphs_only: None) -> Iterator[Backend]:
    """Return the backend of each array library in turn, in float64."""
    case = _params(request)
    with float64_context(case):
        made = make_backend(case, "float64")
        with made.context():
            yield made


@pytest.fixture(params=ON_CUDA)
def on_cuda(request: pytest.FixtureRequest, _graphs_only: None) -> Iterator[str]:
    """Yield the name of each array library in turn that computes on a CUDA device."""
    with float64_context(request.param):
        yield make_backend(request.param).name


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20261123)


@pytest.fixture(scope="session")
def digits() -> anynet.Dataset:
    """Return scikit-learn's 8×8 digits."""
    return anynet.load_dataset("digits")
