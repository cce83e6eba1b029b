"""The stochastic solvers: epochs of updates, with the host looking in between."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anynet.data.batches import Batches, split_order
from anynet.estimators.run import Run
from anynet.estimators.step import SolverState, SolverStep
from anynet.training.state import copy
from anynet.typing import Array, Params


@dataclass
class Epochs:
    """The device's part in one run. ``state`` is consumed."""

    run: Run
    step: SolverStep
    state: SolverState
    batches: Batches
    batch_size: int

    def __post_init__(self) -> None:
        self.loop = self.step.objective.backend.loop(self.step)

    def train(self) -> Params:
        """Train until convergence or ``max_iter``; return the packed weights to keep."""
        run, backend = self.run, self.step.objective.backend
        kept: Params = copy(self.state.packed, backend)
        best = kept if run.patience.rising else None
        try:
            while run.epochs_left > 0:
                for loss, seconds in self._epochs(run.ahead()):
                    is_best, stop = run.finish_epoch(
                        loss, seconds, lambda: self.state.packed, self._last_rate
                    )
                if is_best and best is not None:
                    best = copy(self.state.packed, backend)
                if stop or run.incremental:
                    break
                kept = copy(self.state.packed, backend)
            else:
                run.warn_of_max_iter()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            return kept if best is None else best
        return run.weights_to_keep(self.state.packed, best)

    def _epochs(self, epochs: int) -> Iterator[tuple[float, float]]:
        """Hand some epochs to the device, then give the loss and the seconds of each."""
        run, backend = self.run, self.step.objective.backend
        start = time.perf_counter()
        sums = []
        for _ in range(epochs):
            self.state = self.state._replace(
                rate=backend.to_device(np.asarray(run.rate.current, dtype=backend.dtype)),
                loss=backend.to_device(np.zeros((), dtype=backend.dtype)),
            )
            for part in split_order(run.next_order(), self.batch_size):
                for rows, data in self.batches.blocks(part):
                    self.state = self.loop.run(self.state, rows, data)
            sums.append(self.state.loss + 0)  # a loop may go on in the memory of its last state
            run.epoch_sent()
        for total in sums:
            loss = float(backend.to_host(total)) / run.n_samples
            yield loss, (time.perf_counter() - start) / epochs

    def _last_rate(self) -> float:
        return as_float(last_rate(self.step, self.state), self.step)


def last_rate(step: SolverStep, state: SolverState) -> Array:
    """Return the learning rate of the last update, whichever rule or schedule set it."""
    if step.schedule is None:
        return state.rate
    backend = step.objective.backend
    rate = step.schedule(state.step - 1, step.steps_per_epoch, backend=backend)
    return state.rate * rate


def as_float(rate: Array, step: SolverStep) -> float:
    """Return a rate as a number: of float32 the shortest decimal, 0.1."""
    return float(str(step.objective.backend.to_host(rate)[()]))
