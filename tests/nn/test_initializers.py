"""Initializers: variance and shape of the initial weights."""

from __future__ import annotations

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.nn import BIAS_INITIALIZERS, INITIALIZERS, Activation, Dense, Network, PiecewiseLinear
from anynet.nn.layers.initializers import initializer_for

FAN_IN, FAN_OUT = 400, 300
VARIANCES = {
    "he": 2 / FAN_IN,
    "glorot": 2 / (FAN_IN + FAN_OUT),
    "lecun": 1 / FAN_IN,
    "normal": 1e-4,
    "uniform": 1e-4,
    "ciresan": 0.05**2 / 3,
    "torch": 1 / (3 * FAN_IN),
    "unit": 1 / FAN_IN,
    "zeros": 0.0,
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_variance_and_shape(name: str, rng: np.random.Generator) -> None:
    weight = INITIALIZERS[name](rng, FAN_IN, FAN_OUT)
    variance = VARIANCES[name.split("_")[0]]
    assert weight.shape == (FAN_IN, FAN_OUT)
    assert weight.dtype == np.float64
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean()) <= 5 * np.sqrt(variance / weight.size)
    if name.endswith("uniform"):
        assert np.abs(weight).max() <= np.sqrt(3 * variance)


def test_default_initializer_depends_on_the_activation() -> None:
    assert initializer_for("relu") == "he_normal"
    assert initializer_for("tanh") == "glorot_uniform"
    assert initializer_for("selu") == "lecun_normal"
    assert initializer_for("scaled_tanh") == "lecun_normal"


@pytest.mark.parametrize(
    ("name", "deviation"), [("standard_normal", 1.0), ("torch_uniform", 1 / 35)]
)
def test_biases_are_drawn_for_the_number_of_inputs(name: str, deviation: float, rng) -> None:
    bias = BIAS_INITIALIZERS[name](rng, 400, 2000)
    assert bias.std() == pytest.approx(deviation, rel=0.05)


@pytest.mark.parametrize("ntk", [False, True])
def test_unit_std_and_convex_biases_fit_the_samples_layer_by_layer(ntk: bool, rng) -> None:
    x = rng.standard_normal((300, 6)) @ rng.standard_normal((6, 6)) * 3 + 5
    dense = {"initializer": "unit_std", "bias_initializer": "he+5", "ntk": ntk}
    network = Network(6, (Dense(40, **dense), Activation("relu"), Dense(30, **dense)))
    first, _, second = network.init_host(7, x)
    drawn = network.init_host(7)
    for params, raw in ((first, drawn[0]), (second, drawn[2])):
        factor = len(params["weight"]) ** -0.5 if ntk else 1.0
        z = x @ params["weight"] * factor
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-10)
        ratio = params["weight"] / raw["weight"]
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-10)
        kinks = -params["bias"]  # within the range of each unit, spread less than the samples
        assert np.all((z.min(axis=0) < kinks) & (kinks < z.max(axis=0)))
        spread = (kinks - z.mean(axis=0)).std()
        # The variance of a mean with weights Exp(1) / Σ of 5 is Σ E[w²] = 5 · 2 / (5 · 6) = 1/3.
        assert spread == pytest.approx((1 / 3) ** 0.5, rel=0.35)
        x = np.maximum(z + params["bias"], 0)


def test_unit_std_leaves_constant_columns() -> None:
    network = Network(3, (Dense(4, "unit_std", "he+5"), Dense(2, "zeros")))
    params = network.init_host(0, np.ones((10, 3)))
    assert all(np.isfinite(leaf).all() for leaf in tree.leaves(params))
    assert (params[1]["weight"] == 0).all()


def test_parameters_fitted_to_samples_are_the_same_in_populations_and_by_seed() -> None:
    data = np.random.default_rng(3)
    x = data.standard_normal((200, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    dense = Dense(8, "unit_std", "he+5", ntk=True)
    network = Network(4, (PiecewiseLinear(bins=4), dense, Activation("selu"), Dense(2)))
    options = {"epochs": 1, "batch_size": 50, "backend": "numpy", "validation": 0.2}
    alone = [anynet.fit(network, (x, y), seed=seed, **options) for seed in (1, 2)]
    together = anynet.fit_population(network, (x, y), [{"seed": 1}, {"seed": 2}], **options)
    for one, other in zip(alone, together, strict=True):
        for ours, theirs in zip(tree.leaves(one.params), tree.leaves(other.params), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert not np.allclose(alone[0].params[1]["bias"], alone[1].params[1]["bias"])
