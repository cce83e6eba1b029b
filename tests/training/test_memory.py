"""Memory allocated by training: parameters and batches, but no copy of the data set."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import anynet
from anynet import tree

BATCH = 64


@pytest.mark.slow
@pytest.mark.parametrize("validation", [None, 0.1], ids=["all", "hold-out"])
@pytest.mark.parametrize("layers", [[784, 128, 64, 10], [784, 512, 256, 10]], ids=str)
def test_training_allocates_the_parameters_three_times_and_no_copy_of_the_data(
    rng, layers: list[int], validation: float | None
) -> None:
    x = rng.integers(256, size=(40_000, layers[0]), dtype=np.uint8)
    y = rng.integers(layers[-1], size=len(x))
    network = anynet.mlp(layers, scale=1 / 255)
    parameters = sum(4 * leaf.size for leaf in tree.leaves(network.init_host(0)))
    arguments = {"epochs": 2, "batch_size": BATCH, "validation": validation, "backend": "numpy"}
    # imports and caches do not belong to training
    anynet.fit(network, (x[:640], y[:640]), **arguments)

    tracemalloc.start()
    try:
        model = anynet.fit(network, (x, y), **arguments)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(model.history.records) == 2
    # a batch as bytes, floats and scaled; output, mask and gradient of each hidden layer
    batch = BATCH * (layers[0] * (1 + 4 + 4) + 4 * 6 * sum(layers[1:]))
    if validation is not None:  # scoring uses batches of 1,024 and one smaller batch
        batch += (1024 + 4_000 % 1024) * (layers[0] * (1 + 4 + 4) + 4 * 4 * sum(layers[1:]))
    per_sample = len(x) * 8 * 4  # targets as int32; the order of an epoch while it is drawn
    assert peak < 3 * parameters + batch + per_sample
    assert peak < x.nbytes
