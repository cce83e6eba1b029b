"""Helpers of the checkpoint tests: interrupt runs and compare them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np

import anynet
from anynet import tree

FIRST = "step-000000000000.safetensors"


def curve(model: anynet.Model) -> list[Any]:
    """Return the history without its durations."""
    assert model.history is not None
    return [record._replace(seconds=0.0) for record in model.history.records]


def same(one: anynet.Model, other: anynet.Model) -> None:
    """Assert that two runs have bitwise equal results."""
    assert one.history is not None
    assert other.history is not None
    assert curve(one) == curve(other)
    for name in ("best_epoch", "stopped", "warning", "metric"):
        assert getattr(one.history, name) == getattr(other.history, name)
    assert (one.network, one.loss, one.metadata) == (other.network, other.loss, other.metadata)
    for a, b in zip(tree.leaves(one.params), tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(one.backend.to_host(a), other.backend.to_host(b))


def stop_at(*moment: int) -> Callable[[anynet.Progress], None]:
    """Return a progress callback that interrupts an epoch after a number of samples."""

    def progress(now: anynet.Progress) -> None:
        if (now.epoch, now.samples) >= moment:
            signal.raise_signal(signal.SIGINT)

    return progress
