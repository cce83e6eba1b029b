"""Activations: derivatives against finite differences, values against torch, extreme inputs."""

from __future__ import annotations

import numpy as np
import pytest

from anynet.backends import Backend
from anynet.nn.activations import ACTIVATIONS

POINTS = np.array([-30.0, -4.0, -1.3, -0.2, -1e-3, 1e-3, 0.4, 1.0, 2.7, 30.0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_match_finite_differences(backend64: Backend, name: str) -> None:
    function = ACTIVATIONS[name]
    step = 1e-6
    above, below = (
        backend64.to_host(function(backend64.to_device(POINTS + shift), backend64.xp)[0])
        for shift in (step, -step)
    )
    _, pullback = function(backend64.to_device(POINTS), backend64.xp)
    derivative = backend64.to_host(pullback(backend64.to_device(np.ones_like(POINTS))))
    np.testing.assert_allclose(derivative, (above - below) / (2 * step), rtol=1e-6, atol=2e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_match_torch(backend64: Backend, name: str) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    oracle = {
        "identity": lambda x: x,
        "gelu": lambda x: functional.gelu(x, approximate="tanh"),
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }.get(name) or getattr(functional, name)
    expected = oracle(torch.from_numpy(POINTS.copy())).numpy()
    value, _ = ACTIVATIONS[name](backend64.to_device(POINTS), backend64.xp)
    np.testing.assert_allclose(backend64.to_host(value), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_extreme_inputs_give_finite_values_and_derivatives(backend: Backend, name: str) -> None:
    x = backend.to_device(np.array([-1e4, -200.0, 0.0, 200.0, 1e4], dtype=np.float32))
    value, pullback = ACTIVATIONS[name](x, backend.xp)
    assert np.all(np.isfinite(backend.to_host(value)))
    assert np.all(np.isfinite(backend.to_host(pullback(backend.xp.ones_like(x)))))


def test_relu_has_derivative_zero_at_zero(backend: Backend) -> None:
    zero = backend.to_device(np.zeros(1, dtype=np.float32))
    _, pullback = ACTIVATIONS["relu"](zero, backend.xp)
    assert backend.to_host(pullback(backend.xp.ones_like(zero)))[0] == 0
