"""JAX programs for CUDA, read from their lowering, which needs no device."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.data.batches import Rows
from anynet.nn import CrossEntropy
from anynet.optim import Adam, Exponential
from anynet.training.state import initial_state
from anynet.training.step import TrainingStep

jax = pytest.importorskip("jax")


def lowered(function: Any, *arguments: Any) -> str:
    """Return the StableHLO of a jitted function for CUDA."""
    return str(function.trace(*arguments).lower(lowering_platforms=("cuda",)).as_text())


@pytest.mark.parametrize(
    ("precision", "says"),
    [
        (None, "precision = [HIGHEST, HIGHEST]"),
        ("tf32", "lhs_precision_type = tf32"),
        ("bfloat16", "(tensor<4x5xbf16>, tensor<5x6xbf16>) -> tensor<4x6xf32>"),
        ("float16", "(tensor<4x5xf16>, tensor<5x6xf16>) -> tensor<4x6xf32>"),
    ],
)
def test_products_have_the_requested_precision(precision: Any, says: str) -> None:
    from anynet.backends.jax import JaxBackend

    gpu = SimpleNamespace(platform="gpu", id=0)
    backend = JaxBackend(jax.numpy, gpu, precision=precision)
    a, b = np.ones((4, 5), np.float32), np.ones((5, 6), np.float32)
    (product,) = (
        line for line in lowered(jax.jit(backend.gemm), a, b).splitlines() if "dot_general" in line
    )
    assert says in product


def test_the_loop_is_one_program_that_donates_the_state(digits: anynet.Dataset) -> None:
    from anynet.backends.jax import _scan

    backend = anynet.get_backend("jax", "cpu")
    network = anynet.mlp([64, 16, 10], dropout=0.2, layer_norm=True, scale=digits.scale)
    optimizer = Adam()
    step = TrainingStep(
        network, CrossEntropy(), optimizer, Exponential(0.1), 7, backend, clip_norm=1.0
    )
    state = initial_state(network, step.loss, optimizer, 0, backend)
    x, y = digits.train
    order, data = np.zeros((7, 32), np.int32), Rows(x, y.astype(np.int32))
    text = lowered(_scan, step, state, order, data)
    assert text.count("stablehlo.while") >= 1
    assert "custom_call" not in text  # nothing returns to the host
    (main,) = (line for line in text.splitlines() if "func.func public @main" in line)
    inputs = main.partition(") -> (")[0]
    assert inputs.count("tf.aliasing_output") + inputs.count("jax.buffer_donor") == len(
        tree.leaves(state)
    )
