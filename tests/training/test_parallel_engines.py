"""Fits on several processes of torch, and on several devices and processes of JAX."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import engine_cases
import numpy as np
import parallel_cases
import pytest

import anynet

ROOT = Path(__file__).parents[2]
QUICK = ["weights, Adam, average", "batch norm of 2 rows in the short batch", "augmentation"]
ON_JAX = ["dropout"]  # JAX compiles for long
REQUIRED = os.environ.get("ANYNET_REQUIRE_BACKENDS", "").split(",")


def start(library, *command, **variables):
    """Start Python with two devices of JAX and these environment variables."""
    if library not in REQUIRED:
        pytest.importorskip(library)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    common = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "JAX_ENABLE_X64": "1"}
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **common, **variables},
    )


def finish(*started, timeout=300):
    """Wait for processes, which must succeed."""
    try:
        for process in started:
            _, err = process.communicate(timeout=timeout)
            assert process.returncode == 0, err
    finally:
        for process in started:
            process.kill()
            process.communicate()


def free_port():
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        return str(sock.getsockname()[1])


def processes(library, *command, n=2, **variables):
    """Start processes that find each other by environment variables."""
    port = free_port()
    common = {"WORLD_SIZE": str(n), "MASTER_ADDR": "localhost", "MASTER_PORT": port, "PORT": port}
    return [
        start(library, *command, **{**common, "RANK": str(rank), **variables}) for rank in range(n)
    ]


def check(out, size, names):
    """Compare the curves of a file with those of NumPy in one process."""
    found = json.loads(out.read_text())
    assert found["size"] == size
    assert list(found["curves"]) == list(names)
    for name, several in found["curves"].items():
        alone = parallel_cases.curve(name)
        assert (several["best"], several["stopped"]) == (alone["best"], alone["stopped"]), name
        records, expected = (
            np.array([[np.nan if each is None else each for each in row] for row in one["records"]])
            for one in (several, alone)
        )
        np.testing.assert_allclose(records, expected, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(
            several["weights"], alone["weights"], rtol=1e-6, atol=1e-9, err_msg=name
        )


def test_two_processes_of_torch_have_the_curve_of_one(tmp_path):
    out = tmp_path / "curves.json"
    started = processes("torch", engine_cases.__file__, "torch", out, *QUICK)
    finish(*started)
    check(out, 2, QUICK)


@pytest.mark.slow
def test_three_processes_of_torchrun_have_the_curve_of_one(tmp_path):
    out = tmp_path / "curves.json"
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]
    finish(start("torch", *run, engine_cases.__file__, "torch", out))
    check(out, 3, parallel_cases.CASES)


@pytest.mark.parametrize(
    ("names", "devices"),
    [(ON_JAX, 2), pytest.param([*QUICK, "members"], 3, marks=pytest.mark.slow)],
)
def test_devices_of_jax_have_the_curve_of_one(tmp_path, names, devices):
    out = tmp_path / "curves.json"
    flags = f"--xla_force_host_platform_device_count={devices}"
    command = ["-W", "error", engine_cases.__file__, "jax", out, *names]
    finish(start("jax", *command, XLA_FLAGS=flags))
    check(out, 1, names)


@pytest.mark.slow
def test_two_processes_of_jax_have_the_curve_of_one(tmp_path):
    out = tmp_path / "curves.json"
    names = ["weights, Adam, average", "blocks of rows, no shuffle, standardized", "scoring"]
    started = processes("jax", engine_cases.__file__, "jax", out, *names)
    finish(*started)
    check(out, 2, names)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_the_end_of_one_process_ends_the_others_and_leaves_a_checkpoint(tmp_path, library):
    folder = tmp_path / "checkpoints"
    first, second = processes(library, engine_cases.__file__, library, "endless", folder)
    try:
        while not list(folder.glob("step-*")) and first.poll() is None:
            time.sleep(0.1)
        second.kill()
        _, err = first.communicate(timeout=60)
        assert first.returncode != 0
        assert "process 0 of 2" in err
        assert err.count("Traceback") <= 2  # and the error that led to it
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    _, data, _ = parallel_cases.CASES["dropout"]()
    model = anynet.resume(folder, data, backend="numpy", callbacks=lambda _: True)
    assert len(model.history.records) >= 1


def test_torch_needs_the_variables_of_torchrun(monkeypatch):
    pytest.importorskip("torch")
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    network, data, _ = parallel_cases.CASES["dropout"]()
    with pytest.raises(anynet.BackendError, match=r"RANK, WORLD_SIZE.*torchrun"):
        anynet.fit(network, data, backend="torch", parallel="torch")
