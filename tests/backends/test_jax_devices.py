"""JAX on several devices of one process: two devices that XLA makes of the CPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

DEVICES = "--xla_force_host_platform_device_count=2"

PROGRAM = """
import numpy as np
import anynet
from anynet.backends.jax import _scan
from anynet.backends.jax_group import jax_group
from anynet.data.batches import Rows
from anynet.nn import CrossEntropy
from anynet.optim import SGD, Constant
from anynet.training.state import initial_state
from anynet.training.step import TrainingStep

backend = anynet.get_backend("jax", "cpu").joined(jax_group())
network = anynet.mlp([64, 24, 10], dropout=0.2)
step = TrainingStep(network, CrossEntropy(), SGD(), Constant(0.1), 3, backend, clip_norm=1.0)
state = initial_state(network, step.loss, step.optimizer, 0, backend)
data = Rows(np.zeros((100, 64), np.float32), np.zeros(100, np.int32))
order = np.zeros((3, 32), np.int32)
mesh = backend.device.mesh
print(_scan.lower(step, state, order, data, mesh).compile().as_text())
"""


def run(script: str, *arguments: str) -> str:
    """Return the output of a script in a process with two devices of JAX."""
    if "jax" not in os.environ.get("ANYNET_REQUIRE_BACKENDS", "").split(","):
        pytest.importorskip("jax")
    environment = os.environ | {"XLA_FLAGS": DEVICES, "JAX_ENABLE_X64": "1"}
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_device_multiplies_half_of_a_batch_and_one_sum_a_step_joins_them() -> None:
    text = run(PROGRAM)
    rows = {int(size) for size in re.findall(r"= f32\[(\d+),(?:24|10)\]\S* dot\(", text)}
    assert rows - {64, 24} == {16}, "products of the forward pass"  # 64 and 24: of gradients
    sums = re.findall(r"= (\(.*\)|\S+) all-reduce\(", text)
    assert len(sums) == 1
    for shape in ("f32[64,24]", "f32[24,10]", "f32[24]", "f32[10]"):
        assert shape in sums[0]
