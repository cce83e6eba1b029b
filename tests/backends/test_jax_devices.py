"""JAX on several devices of one process: two devices that XLA makes of the CPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
DEVICES = "--xla_force_host_platform_device_count=2"

PROGRAM = """
import sys
import numpy as np
import anynet
from anynet.backends.jax import _scan
from anynet.backends.jax_group import jax_group
from anynet.data.batches import Rows
from anynet.nn import CrossEntropy
from anynet.optim import SGD, Constant
from anynet.training.state import initial_state
from anynet.training.step import TrainingStep

members = int(sys.argv[1])
backend = anynet.get_backend("jax", "cpu").joined(jax_group())
network = anynet.mlp([64, 24, 10], dropout=0.2)
step = TrainingStep(network, CrossEntropy(), SGD(), Constant(0.1), 3, backend, clip_norm=1.0)
seed = tuple(range(members)) if members else 0
sums = step.zero_sums((members,) if members else ())
state = initial_state(network, step.loss, step.optimizer, seed, backend, sums=sums)
state = backend.divide_members(state) if members else state
data = Rows(np.zeros((100, 64), np.float32), np.zeros(100, np.int32))
order = np.zeros((3, 32), np.int32)
print(_scan.lower(step, state, order, data, backend.device.mesh, bool(members)).compile().as_text())
"""


POPULATION = """
import json, sys
import numpy as np
import anynet
import parallel_cases

configs = [
    {"seed": seed, "learning_rate": 0.01 * (1 + seed), "patience": 1 + 4 * (seed % 2)}
    for seed in range(int(sys.argv[1]))
]
results = []
for parallel in (None, "jax"):
    models = anynet.fit_population(
        parallel_cases.mlp(8, dropout=0.2), parallel_cases.samples(), configs, epochs=5,
        batch_size=50, validation=0.3, optimizer="adam", backend="jax", dtype="float64",
        device="cpu", parallel=parallel,
    )
    found = [parallel_cases.summary(model) for model in models]
    results.append([([row[1:6] for row in each["records"]], each["weights"]) for each in found])
print(json.dumps(results))
"""


def run(script: str, *arguments: str) -> str:
    """Return the output of a script in a process with two devices of JAX."""
    if "jax" not in os.environ.get("ANYNET_REQUIRE_BACKENDS", "").split(","):
        pytest.importorskip("jax")
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "XLA_FLAGS": DEVICES, "JAX_ENABLE_X64": "1", "PYTHONPATH": path}
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_device_multiplies_half_of_a_batch_and_one_sum_a_step_joins_them() -> None:
    text = run(PROGRAM, "0")
    rows = {int(size) for size in re.findall(r"= f32\[(\d+),(?:24|10)\]\S* dot\(", text)}
    assert rows - {64, 24} == {16}, "products of the forward pass"  # 64 and 24: of gradients
    sums = re.findall(r"= (\(.*\)|\S+) all-reduce\(", text)
    assert len(sums) == 1
    assert not re.findall(r" (?:all-gather|all-to-all|collective-\w+)\(", text)
    for shape in ("f32[64,24]", "f32[24,10]", "f32[24]", "f32[10]"):
        assert shape in sums[0]


def test_each_device_computes_half_of_the_members_of_a_population_and_exchanges_nothing() -> None:
    text = run(PROGRAM, "4")
    assert re.findall(r"= f32\[(\d+),32,24\]\S* dot\(", text) == ["2"]
    assert not re.findall(r" (?:all-\w+|collective-\w+|reduce-scatter)\(", text)


@pytest.mark.slow
@pytest.mark.parametrize("members", [3, 4])
def test_a_population_on_two_devices_has_the_results_of_one(members: int) -> None:
    one, two = json.loads(run(POPULATION, str(members)))
    assert [len(curve) for curve, _ in one] == [len(curve) for curve, _ in two]
    assert len({len(curve) for curve, _ in one}) > 1, "some members stop early"
    for (curve, weights), (other_curve, other_weights) in zip(one, two, strict=True):
        np.testing.assert_allclose(other_curve, curve, rtol=1e-6)
        np.testing.assert_allclose(other_weights, weights, rtol=1e-6, atol=1e-9)
