"""Epochs of a job with the parts of ``fit``; the caller chooses the loop."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import anynet
from anynet import Network
from anynet.backends import Backend, Loop
from anynet.data.batches import ResidentBatches, Rows
from anynet.nn.losses import CrossEntropy
from anynet.optim import SGD, Optimizer, Schedule, as_schedule
from anynet.training.state import TrainState, initial_state
from anynet.training.step import TrainingStep
from bench.jobs import Job
from bench.results import Row

BACKENDS = {"cpu": ("numpy", "torch", "jax"), "cuda": ("cupy", "torch", "jax")}


class Training:
    """A job on one backend, with its data on the device."""

    def __init__(
        self,
        backend: Backend,
        job: Job,
        network: Network | None = None,
        optimizer: Optimizer | None = None,
        schedule: Schedule | float | None = None,
    ) -> None:
        data = job.data()
        self.backend, self.job = backend, job
        self.step = TrainingStep(
            network or anynet.mlp(job.layers, scale=data.scale),
            CrossEntropy(),
            optimizer or SGD(),
            as_schedule(schedule or job.learning_rate),
            job.steps_per_epoch,
            backend,
        )
        with backend.context():
            self.batches = ResidentBatches(Rows(data.x, data.y.astype(np.int32)), backend)

    def run(self, seed: int | tuple[int, ...], loop: Loop[TrainState] | None = None) -> TrainState:
        """Train from a seed, or a population from a tuple of seeds, and wait for the device."""
        loop = self.backend.loop(self.step) if loop is None else loop
        step, backend = self.step, self.backend
        with backend.context():
            state = initial_state(step.network, step.loss, step.optimizer, seed, backend)
            for epoch in range(1, self.job.epochs + 1):
                for part in self.job.orders(epoch):
                    for order, rows in self.batches.blocks(part):
                        state = loop.run(state, order, rows)
            self.mean_loss(state)
        return state

    def mean_loss(self, state: TrainState) -> np.ndarray:
        """Return the mean loss of all samples seen, () or (P,); waits for the device."""
        to_host = self.backend.to_host
        mean: np.ndarray = to_host(state.sums.loss) / to_host(state.sums.weight)
        return mean


def usable(device: str) -> list[Backend]:
    """Return the backends that support the device."""
    found = []
    for name in BACKENDS[device]:
        try:
            found.append(anynet.get_backend(name, device))
        except anynet.BackendError:
            continue
    return found


def row_of(measure: Callable[..., Row], *arguments: Any) -> Row:
    """Return the result of ``measure``, or a row with its error."""
    try:
        return measure(*arguments)
    except Exception as error:  # a failure must not prevent the other backends and cases
        traceback.print_exc()
        backend, *case = arguments
        failure = f"{type(error).__name__}: {error}"
        return {
            "backend": name_of(backend),
            "case": str(case[:1]),
            "failed": failure,
            "agrees": False,
        }


def name_of(backend: Backend) -> str:
    """Return the names of library and device."""
    return f"{backend.name} on {backend.device_name()}"


def parse(about: str | None) -> argparse.Namespace:
    """Read the command line of a part."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--device", choices=tuple(BACKENDS), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="run a few steps, to test the script")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--library", help="run the tests of this library")
    return parser.parse_args()
