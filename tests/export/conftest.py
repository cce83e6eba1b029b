"""Models of every kind, with weights that differ from the initial ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.nn import LOSSES, Network
from anynet.training import Model

MakeModel = Callable[..., Model]


@pytest.fixture
def make_model() -> MakeModel:
    """Return ``make_model(network, loss, dtype)``, which draws random biases and gains."""

    def make(network: Network, loss: str = "cross_entropy", dtype: str = "float32") -> Model:
        backend = anynet.get_backend("numpy", dtype=dtype)
        rng = np.random.default_rng(5)
        params: Any = tuple(
            {
                name: (array + 0.3 * rng.standard_normal(array.shape)).astype(dtype)
                for name, array in layer.items()
            }
            for layer in network.init_host(1)
        )
        states: Any = tree.map(
            lambda array: (array + rng.uniform(0.1, 0.5, array.shape)).astype(dtype),
            network.init_states(),
        )
        return Model(network, params, LOSSES[loss](), backend, states=states)

    return make


@pytest.fixture(scope="session")
def digits_model(digits: anynet.Dataset) -> Model:
    """Return a trained classifier of the digits, with dropout and normalisation."""
    network = anynet.mlp([64, 32, 10], dropout=0.2, layer_norm=True, scale=digits.scale)
    notes = {"classes": list(digits.classes)}
    return anynet.fit(network, digits.train, epochs=3, backend="numpy", metadata=notes)


@pytest.fixture(scope="session")
def plain_digits_model(digits: anynet.Dataset) -> Model:
    """Return a trained classifier of the digits that scikit-learn can express, except dropout."""
    network = anynet.mlp([64, 32, 16, 10], dropout=0.2, scale=digits.scale)
    return anynet.fit(network, digits.train, epochs=3, backend="numpy")
