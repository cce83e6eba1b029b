"""JAX on several devices of one process: two devices that XLA makes of the CPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

DEVICES = "--xla_force_host_platform_device_count=2"

FITS = """
import json, sys
import numpy as np
import anynet
from anynet import tree
from anynet.backends.jax_group import jax_group

rng = np.random.default_rng(0)
x, y, weight = rng.random((150, 64)), rng.integers(0, 10, 150), rng.random(150)
one = anynet.get_backend("jax", "cpu", "float64")
results = []
for backend in (one, one.joined(jax_group())):
    case = json.loads(sys.argv[1])
    data = (x, y, weight) if case.pop("weighted") else (x, y)
    network = anynet.mlp([64, 8, 10], **case.pop("network"))
    model = anynet.fit(network, data, backend=backend, epochs=2, **case)
    curve = [record._replace(seconds=0.0) for record in model.history.records]
    leaves = [np.ravel(backend.to_host(leaf)).tolist() for leaf in tree.leaves(model.params)]
    results.append((curve, leaves))
print(json.dumps(results))
"""

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


@pytest.mark.parametrize(
    "case",
    [
        {
            "network": {"dropout": 0.3, "batch_norm": True},
            "weighted": True,
            "batch_size": 33,
            "validation": 0.2,
            "optimizer": "adam",
            "learning_rate": 0.01,
        },
        pytest.param(
            {
                "network": {},
                "weighted": False,
                "batch_size": 32,
                "augment": "affine,elastic,noise,mixup",
                "clip_norm": 0.1,
                "average": 0.9,
                "max_norm": 1.0,
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["dropout-batch-norm-weights-adam", "augment-clip-average"],
)
def test_two_devices_train_as_one_also_with_a_short_batch_that_does_not_divide(
    case: dict[str, Any],
) -> None:
    (curve, leaves), (other_curve, other_leaves) = json.loads(run(FITS, json.dumps(case)))
    for record, other in zip(curve, other_curve, strict=True):
        np.testing.assert_allclose(
            np.array(other, dtype=float), np.array(record, dtype=float), rtol=1e-6
        )
    for leaf, other in zip(leaves, other_leaves, strict=True):
        np.testing.assert_allclose(other, leaf, rtol=1e-6, atol=1e-8)


def test_each_device_multiplies_half_of_a_batch_and_one_sum_a_step_joins_them() -> None:
    text = run(PROGRAM)
    rows = {int(size) for size in re.findall(r"= f32\[(\d+),(?:24|10)\]\S* dot\(", text)}
    assert rows - {64, 24} == {16}, "products of the forward pass"  # 64 and 24: of gradients
    sums = re.findall(r"= (\(.*\)|\S+) all-reduce\(", text)
    assert len(sums) == 1
    for shape in ("f32[64,24]", "f32[24,10]", "f32[24]", "f32[10]"):
        assert shape in sums[0]
