"""A small run, which the checkpoint tests interrupt and resume."""

from __future__ import annotations

import numpy as np
import pytest

import anynet


@pytest.fixture
def data(digits: anynet.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return digits.train[0][:300], digits.train[1][:300]


@pytest.fixture
def network(digits: anynet.Dataset) -> anynet.Network:
    return anynet.mlp([64, 12, 10], dropout=0.2, scale=digits.scale)
