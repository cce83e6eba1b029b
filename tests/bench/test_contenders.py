"""Contenders: every one reaches the losses and predicts the classes of anynet."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.contenders import CONTENDERS, FLOOR
from bench.contenders.floor import Products
from bench.jobs import WORKLOADS, Job
from bench.worker import load_factory

pytestmark = pytest.mark.slow

IMAGES = dataclasses.replace(WORKLOADS["mnist-small"], samples=232, epochs=2, data_dir="nowhere")
TABLE = dataclasses.replace(WORKLOADS["table"], samples=200, epochs=3)
PREDICTION = dataclasses.replace(WORKLOADS["predict-small"], samples=300, batch_size=128)
COMPILED = pytest.mark.filterwarnings("default")  # torch uses functions that it deprecates itself
ON_CPU = [
    pytest.param(name, marks=COMPILED if name == "torch-compile" else [])
    for name, entry in CONTENDERS.items()
    if "cpu" in entry.devices and not name.startswith(FLOOR)
]


def make(name: str, job: Job) -> Any:
    """Make a contender, or skip where its library is missing."""
    for package in CONTENDERS[name].packages:
        pytest.importorskip(package)
    return load_factory(CONTENDERS[name].factory)(job, "cpu")


@functools.cache
def reference(job: Job) -> Any:
    return make("anynet-numpy", job).run()


@pytest.mark.parametrize("name", ON_CPU)
@pytest.mark.parametrize("job", [IMAGES, TABLE], ids=["images", "table"])
def test_training_loss_matches_anynet(name: str, job: Job) -> None:
    contender = make(name, job)
    assert contender.run() == pytest.approx(reference(job), rel=contender.tolerance)


@pytest.mark.parametrize("name", ON_CPU)
def test_every_run_starts_from_the_same_weights(name: str) -> None:
    contender = make(name, TABLE)
    assert contender.run() == pytest.approx(contender.run(), rel=1e-6)


@pytest.mark.parametrize("name", ON_CPU)
def test_predicted_classes_match_anynet(name: str) -> None:
    classes = make(name, PREDICTION).run()
    np.testing.assert_array_equal(classes, reference(PREDICTION))


def test_the_floor_computes_the_products_of_every_step() -> None:
    class Counted(Products):
        work = 0

        def matmul(self, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:  # type: ignore[override]
            assert out.shape == (a.shape[0], b.shape[1])
            self.work += a.shape[0] * a.shape[1] * b.shape[1]

    floor = Counted(IMAGES, "cpu")
    floor.run()
    weights = [784 * 128, 128 * 64, 64 * 10]
    assert floor.work == IMAGES.samples * IMAGES.epochs * (3 * sum(weights) - weights[0])


def test_data_are_real_or_random_and_have_the_requested_size(tmp_path: Path) -> None:
    job = dataclasses.replace(IMAGES, samples=70_000, data_dir=str(tmp_path))
    data = job.data()
    assert data.source == "random"
    assert data.x.shape == (70_000, 784)
    assert data.y.shape == (70_000,)
    assert data.scaled()[:9].max() <= 1


def test_every_sample_is_used_once_per_epoch() -> None:
    parts = IMAGES.orders(1)
    assert [part.shape for part in parts] == [(1, 40), (3, 64)]
    np.testing.assert_array_equal(
        np.sort(np.concatenate([part.ravel() for part in parts])), np.arange(IMAGES.samples)
    )
