"""Inputs far outside [−1, 1] are reported before training, with their range."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.backends import Backend

BYTES = np.arange(400).reshape(100, 4) % 256


def fit(x: Any, backend: Backend | str = "numpy", **options: Any) -> None:
    network = anynet.mlp([4, 3, 2], **options)
    anynet.fit(network, (x, np.arange(100) % 2), epochs=1, learning_rate=1e-9, backend=backend)


@pytest.mark.parametrize(
    ("x", "low", "high"),
    [
        (BYTES.astype(np.uint8), "0", "255"),
        (BYTES.astype(np.float32), "0", "255"),
        (BYTES.astype(np.uint16) * 257, "0", "65535"),
        (-BYTES * 1000.0, "-255000", "0"),
        (BYTES % 101, "0", "100"),
        (BYTES * 1e30, "0", "2.55e+32"),
    ],
)
def test_the_warning_contains_the_range(x: np.ndarray, low: str, high: str) -> None:
    with pytest.warns(UserWarning, match="x holds values") as caught:
        fit(x)
    assert f"from {low} to {high}, " in str(caught[0].message)


@pytest.mark.skip_backend("strict", reason="its arrays belong to no library")
def test_arrays_of_any_backend_are_checked(backend: Backend) -> None:
    with pytest.warns(UserWarning, match="from 0 to 255"):
        fit(backend.to_device(BYTES.astype(np.float32)), backend)


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (BYTES.astype(np.uint8), {"scale": 1 / 255}),
        (BYTES.astype(np.uint8), {"scale": 1 / 255, "input_dropout": 0.1}),
        (BYTES.astype(np.uint8), {"scale": 2 / 255, "offset": -1.0}),
        (BYTES.astype(np.uint8), {"layer_norm": True}),
        (BYTES % 17, {}),
        (np.random.default_rng(0).standard_normal((100, 4)), {}),
    ],
)
def test_scaled_inputs_have_no_warning(x: np.ndarray, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(x, **options)


@pytest.mark.parametrize("train", [anynet.fit, anynet.fit_population])
def test_the_warning_is_located_at_the_call(train: Any) -> None:
    arguments: tuple[Any, ...] = (anynet.mlp([4, 3, 2]), (BYTES, np.arange(100) % 2))
    if train is anynet.fit_population:
        arguments += ([{}],)
    with pytest.warns(UserWarning, match="x holds values") as caught:
        train(*arguments, epochs=1, learning_rate=1e-9, backend="numpy")
    assert caught[0].filename == __file__
