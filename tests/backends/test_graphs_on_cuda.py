"""Recorded loops on a CUDA device: they run, match the plain loop and fail safely."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import make_backend

import anynet
from anynet import tree
from anynet.optim import SGD, Adam, Cosine, CosLog4, Muon

pytestmark = pytest.mark.cuda

CASES = ["cupy", "torch-cuda"]
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum and clipping": {"optimizer": SGD(momentum=0.9, nesterov=True), "clip_norm": 0.5},
    "adam, averaged": {"optimizer": Adam(), "learning_rate": Cosine(0.01), "average": 0.9},
    "muon": {"optimizer": Muon(), "learning_rate": CosLog4(0.002)},
    "streamed from the host": {"resident": False},
    "batch normalisation": {"batch_norm": True},
    "with progress": {"progress": lambda _: None},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("loss", ["cross_entropy", "huber", "absolute_error"])
def test_graphs_match_the_plain_loop(case, options, loss, digits) -> None:
    options = dict(options)
    batch_norm = options.pop("batch_norm", False)
    network = anynet.mlp(
        [64, 24, 10 if loss == "cross_entropy" else 1],
        activation="gelu",
        dropout=0.2,
        layer_norm=not batch_norm,
        batch_norm=batch_norm,
        scale=digits.scale,
    )
    x, y = digits.train[0][:1003], digits.train[1][:1003]
    if loss != "cross_entropy":
        y = y.astype(np.float64)
    backend = make_backend(case, "float64")
    models = [
        anynet.fit(network, (x, y), loss=loss, validation=100, epochs=3, backend=one, **options)
        for one in (backend, replace(backend, graphs=None))
    ]
    assert backend.graphs.failure is None
    assert backend.describe()["loop"].startswith("graph: ")
    assert backend.graphs.replayed == 3 * (14 + 1 + 1)  # full batches, short batch, scoring batch
    leaves = [tree.leaves((model.params, model.states)) for model in models]
    for mine, plain in zip(*leaves, strict=True):
        np.testing.assert_allclose(
            backend.to_host(mine), backend.to_host(plain), rtol=1e-9, atol=1e-12
        )


class LooksAtTheLoss:
    """A step that reads from the device, which a capture does not permit."""

    def __call__(self, state: Any, rows: Any, data: Any) -> Any:
        return (state[0] + float(data[int(rows[0])]),)


@pytest.mark.parametrize("case", CASES)
def test_steps_that_cannot_be_captured_run_one_by_one(case: str) -> None:
    backend = make_backend(case)
    state, order = np.zeros(3, np.float32), np.arange(40, dtype=np.int32).reshape(-1, 1) % 2
    data = backend.to_device(np.array([1.0, 10.0], dtype=np.float32))
    with backend.context(), pytest.warns(RuntimeWarning, match="without CUDA graphs"):
        (result,) = backend.loop(LooksAtTheLoss()).run(
            (backend.to_device(state),), backend.to_device(order), data
        )
    np.testing.assert_array_equal(backend.to_host(result), 220)
    assert backend.describe()["loop"].startswith("eager: capture failed: ")


@pytest.mark.parametrize("case", CASES)
def test_a_failed_capture_leaves_the_device_usable(case: str, digits) -> None:
    test_steps_that_cannot_be_captured_run_one_by_one(case)
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    backend = make_backend(case)
    model, plain = (
        anynet.fit(network, digits.train, epochs=2, backend=one) for one in (backend, "numpy")
    )
    assert backend.graphs.failure is None
    for mine, numpys in zip(tree.leaves(model.params), tree.leaves(plain.params), strict=True):
        np.testing.assert_allclose(backend.to_host(mine), numpys, rtol=1e-3, atol=1e-5)
