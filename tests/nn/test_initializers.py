"""Initializers: variance and shape of the initial weights."""

from __future__ import annotations

import numpy as np
import pytest

from anynet.nn.layers.dense import INITIALIZERS, initializer_for

FAN_IN, FAN_OUT = 400, 300
VARIANCES = {
    "he": 2 / FAN_IN,
    "glorot": 2 / (FAN_IN + FAN_OUT),
    "lecun": 1 / FAN_IN,
    "normal": 1e-4,
    "uniform": 1e-4,
    "ciresan": 0.05**2 / 3,
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_variance_and_shape(name: str, rng: np.random.Generator) -> None:
    weight = INITIALIZERS[name](rng, FAN_IN, FAN_OUT)
    variance = VARIANCES[name.split("_")[0]]
    assert weight.shape == (FAN_IN, FAN_OUT)
    assert weight.dtype == np.float64
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean()) < 5 * np.sqrt(variance / weight.size)
    if name.endswith("uniform"):
        assert np.abs(weight).max() <= np.sqrt(3 * variance)


def test_default_initializer_depends_on_the_activation() -> None:
    assert initializer_for("relu") == "he_normal"
    assert initializer_for("tanh") == "glorot_uniform"
    assert initializer_for("selu") == "lecun_normal"
    assert initializer_for("scaled_tanh") == "lecun_normal"
