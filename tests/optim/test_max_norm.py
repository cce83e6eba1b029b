"""``max_norm``: bounds on the norms of incoming weights, also for members of a population."""

from __future__ import annotations

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.optim import limit_weight_norms


def test_columns_above_the_bound_are_scaled_and_others_unchanged(backend64: Backend) -> None:
    weight = np.array([[3.0, 0.3, 0.0], [4.0, 0.4, 0.0]])  # lengths 5, 0.5 and 0
    host = ({}, {"weight": weight, "bias": np.full(3, 9.0)}, {"gain": np.full(2, 9.0)})
    got = limit_weight_norms(tree.map(backend64.to_device, host), 2.0, 0, backend=backend64)
    got = tree.map(backend64.to_host, got)
    np.testing.assert_allclose(got[1]["weight"], weight * [0.4, 1, 1], rtol=1e-15)
    np.testing.assert_array_equal(got[1]["bias"], host[1]["bias"])
    np.testing.assert_array_equal(got[2]["gain"], host[2]["gain"])


def test_max_norm_matches_torchs_renorm(backend64: Backend, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    weight = rng.standard_normal((7, 5)) * 0.5
    params = ({"weight": backend64.to_device(weight)},)
    got = limit_weight_norms(params, 1.1, 0, backend=backend64)[0]["weight"]
    expected = torch.renorm(torch.from_numpy(weight), p=2, dim=1, maxnorm=1.1).numpy()
    np.testing.assert_allclose(backend64.to_host(got), expected, rtol=1e-6)  # torch adds 1e-7


def test_population_members_can_have_different_bounds(
    backend64: Backend, rng: np.random.Generator
) -> None:
    weight, bounds = rng.standard_normal((2, 6, 3)), np.array([0.5, 1.5])
    together = limit_weight_norms(
        ({"weight": backend64.to_device(weight)},),
        backend64.to_device(bounds),
        1,
        backend=backend64,
    )
    for member, bound in enumerate(bounds):
        alone = limit_weight_norms(
            ({"weight": backend64.to_device(weight[member])},), float(bound), 0, backend=backend64
        )
        np.testing.assert_allclose(
            backend64.to_host(together[0]["weight"])[member],
            backend64.to_host(alone[0]["weight"]),
            rtol=1e-15,
        )


def test_fit_keeps_weights_within_the_bound(digits) -> None:
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    data = (digits.train[0][:300], digits.train[1][:300])
    options = {"epochs": 2, "learning_rate": 0.5, "backend": "numpy"}
    free = anynet.fit(network, data, **options)
    bound = anynet.fit(network, data, max_norm=1.0, **options)

    def longest(model: anynet.Model) -> float:
        weights = [layer["weight"] for layer in model.params if "weight" in layer]
        return max(float(np.linalg.norm(weight, axis=0).max()) for weight in weights)

    assert longest(free) > 1.5
    assert longest(bound) == pytest.approx(1.0, rel=1e-6)
