"""Concurrent fits in one process, and the number of threads of each product."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import blas
from anynet.backends.numpy import SMALL_PRODUCT

NAMES = ("numpy", "torch", "jax")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable(name: str) -> str:
    """Return the name of a backend, or skip the test if it is not installed."""
    try:
        anynet.get_backend(name, "cpu")
    except anynet.BackendError as error:
        if name in os.environ.get("ANYNET_REQUIRE_BACKENDS", "").split(","):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return name


def weights(name: str, seed: int) -> list[np.ndarray]:
    """Train with dropout until the loop is recorded, and return the weights."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(600, 12)), rng.integers(0, 3, 600)
    network = anynet.mlp([12, 32, 3], dropout=0.3, layer_norm=True)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 8, "optimizer": "adam", "seed": seed}
    model = anynet.fit(
        network, (x, y), validation=0.2, backend=anynet.get_backend(name, "cpu"), **options
    )
    return [model.backend.to_host(leaf) for leaf in tree.leaves(model.params)]


def at_once(actions: list[Callable[[], Any]]) -> list[Any]:
    """Run each action in its own thread, all started at the same moment."""
    start = threading.Barrier(len(actions), timeout=120)

    def run(action: Callable[[], Any]) -> Any:
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.mark.parametrize(
    "names",
    [("numpy", "numpy"), ("numpy", "torch"), ("numpy", "jax"), ("torch", "torch"), ("jax", "jax")],
    ids="-".join,
)
def test_fits_in_two_threads_are_bitwise_equal_to_single_fits(names: tuple[str, str]) -> None:
    runs = [(usable(name), seed) for seed, name in enumerate(names)]
    alone = [weights(*run) for run in runs]
    together = at_once([lambda run=run: weights(*run) for run in runs])
    for one, other in zip(alone, together, strict=True):
        for leaf, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(leaf, same)


def test_populations_in_two_threads_restore_the_number_of_threads(monkeypatch) -> None:
    """Each runs its member batches in its own threads and limits products to one thread."""
    monkeypatch.setattr("anynet.backends.numpy.max_threads", lambda: 2)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(64, 5)), rng.integers(0, 2, 64)
    before = anynet.get_backend("numpy").describe()["threads"]

    def losses(rate: float) -> list[float]:
        configs = [{"seed": seed, "learning_rate": rate} for seed in range(4)]
        models = anynet.fit_population(
            anynet.mlp([5, 8, 2]), data, configs=configs, epochs=3, backend="numpy"
        )
        return [model.history.best.train_loss for model in models]

    alone = [losses(rate) for rate in (0.1, 0.3)]
    assert at_once([lambda rate=rate: losses(rate) for rate in (0.1, 0.3)]) == alone
    assert anynet.get_backend("numpy").describe()["threads"] == before


@pytest.mark.parametrize("count", [0, -1, True, 1.0, "2", None])
def test_invalid_numbers_of_threads_raise(count: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match="threads must be a whole number"):
        anynet.set_threads(count)


REPORT = """
import json, os, sys, threadpoolctl
pools = threadpoolctl.threadpool_info()
found = {"pools": [pool["num_threads"] for pool in pools if pool["user_api"] in ("blas", "openmp")]}
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
found["xla"] = sum("XLAEigen" in name for name in names)
found["torch"] = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
found["described"] = anynet.get_backend(BACKEND).describe()["threads"]
print(json.dumps(found))
"""
FIT = """
import numpy as np, anynet
{setting}
x = np.ones((64, 8)) * np.arange(64)[:, None] / 64
anynet.fit(anynet.mlp([8, 256, 2]), (x, np.arange(64) % 2), epochs=1, backend=BACKEND)
"""
COMMAND = """
import anynet.cli, contextlib, io
with contextlib.redirect_stdout(io.StringIO()):
    code = anynet.cli.main(
        ["train", "digits", "--epochs", "1", "--layers", "16", "--threads", "1", "--quiet",
         "--backend", BACKEND]
    )
assert code == 0
"""
WAYS = {
    "variable": (FIT.format(setting=""), {"OMP_NUM_THREADS": "1"}),
    "function": (FIT.format(setting="anynet.set_threads(1)"), {}),
    "option": (COMMAND, {}),
}


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"),  # noqa: PTH112
    reason="threads are counted on Linux only",
)
@pytest.mark.skipif(CORES < 2, reason="one core always has one thread")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.slow
def test_a_limit_of_one_thread_applies_to_all_thread_pools(name: str, way: str, tmp_path) -> None:
    """Pools: the BLAS of NumPy and SciPy, OpenMP, torch and XLA."""
    pytest.importorskip("threadpoolctl")
    code, settings = WAYS[way]
    code = f"BACKEND = {usable(name)!r}\n" + code + REPORT
    found = in_a_process(code, settings, tmp_path)
    assert found["described"] == "1"
    assert set(found["pools"]) == {1}
    assert found["torch"] in (1, None)
    assert found["xla"] <= 1


def in_a_process(code: str, settings: dict[str, str], folder) -> Any:
    """Run code in a process whose only thread settings are ``settings``; return its JSON."""
    unset = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    path = os.pathsep.join(filter(None, [os.getcwd(), environment.get("PYTHONPATH", "")]))  # noqa: PTH109
    environment |= settings | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let NumPy's products use two threads, independent of the number of cores."""
    before = blas.max_threads()
    blas.set_max_threads(2)
    if blas.max_threads() != 2:
        pytest.skip("anynet does not support the settings of NumPy's BLAS")
    yield
    blas.set_max_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("width", "threads"), [(128, 1), (SMALL_PRODUCT // 64, 1), (SMALL_PRODUCT // 64 + 1, 2)]
)
def test_steps_of_small_products_use_one_thread(width: int, threads: int) -> None:
    """Only the shapes decide, so that a run gives the same bits on a busy machine."""
    state = np.zeros((width, 1), np.float32)
    seen = []

    def step(state: np.ndarray, *_: object) -> np.ndarray:
        seen.append(blas.max_threads())
        return state + 0

    anynet.get_backend("numpy").loop(step).run(state, np.zeros((1, 64), np.int32), ())
    assert set(seen) == {threads}
    assert blas.max_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("wall", "cpu", "warns"), [(9.0, 3.0, True), (9.0, 9.5, False), (0.5, 0.1, False)]
)
def test_threads_that_wait_for_cores_raise_a_warning(
    monkeypatch, wall: float, cpu: float, warns: bool
) -> None:
    clocks = {"perf_counter": iter([5.0, 5.0 + wall]), "process_time": iter([1.0, 1.0 + cpu])}
    for name, times in clocks.items():
        monkeypatch.setattr(blas.time, name, times.__next__)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with blas.warn_if_threads_wait():
            pass
    facts = [f"{wall:.1f} s", f"{cpu:.1f} s of CPU", "2 threads", "set_threads(1)"]
    assert [all(fact in str(one.message) for fact in facts) for one in caught] == [True] * warns
