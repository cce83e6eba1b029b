"""The stochastic solvers: epochs of updates, with the host looking in between."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from anynet.data.batches import Batches, split_order
from anynet.estimators.step import SolverState, SolverStep
from anynet.estimators.stopping import Patience, Rate
from anynet.estimators.validation import Validation
from anynet.optim import ReduceOnPlateau
from anynet.training.history import Callback, EpochRecord
from anynet.training.state import copy
from anynet.training.stopping import Plateau
from anynet.typing import Params

MOST_AHEAD = 64  # epochs that are queued on a device at once


@dataclass
class Epochs:
    """One call of ``fit`` or ``partial_fit`` of a stochastic solver.

    ``estimator`` receives the attributes that scikit-learn documents, epoch by epoch; everything
    else is what training needs. ``state`` is consumed.
    """

    estimator: Any
    step: SolverStep
    state: SolverState
    batches: Batches
    n_samples: int
    batch_size: int
    max_iter: int
    rng: np.random.RandomState
    patience: Patience
    rate: Rate
    validation: Validation | None
    callbacks: tuple[Callback, ...]
    incremental: bool

    def train(self) -> Params:
        """Train until convergence or ``max_iter``; return the packed weights to keep."""
        estimator = self.estimator
        estimator.n_iter_ = 0
        backend = self.step.objective.backend
        self.order = np.arange(self.n_samples, dtype=np.int32)
        self.plateau = None
        if isinstance(self.step.schedule, ReduceOnPlateau):
            self.plateau = Plateau(self.step.schedule)
        kept: Params = copy(self.state.packed, backend)
        best = kept if self.patience.rising else None
        try:
            while estimator.n_iter_ < self.max_iter:
                for loss, seconds in self._run(self._ahead()):
                    is_best, stop = self._finish_epoch(loss, seconds)
                if is_best and best is not None:
                    best = copy(self.state.packed, backend)
                if stop or self.incremental:
                    break
                kept = copy(self.state.packed, backend)
            else:
                self._warn()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            return kept if best is None else best
        if self.patience.nan_waits:
            self._warn_of_nan()
            if np.isneginf(self.patience.best):  # no epoch can be called the best
                return self.state.packed
        return self.state.packed if best is None else best

    def _ahead(self) -> int:
        """How many epochs may be run before the host must look: all that cannot be the last.

        The count of epochs without improvement rises by one an epoch at most.
        """
        estimator = self.estimator
        if self.incremental or self.validation is not None or self.callbacks or estimator.verbose:
            return 1
        until_full = self.patience.limit - self.patience.waited + 1
        return int(min(until_full, self.max_iter - estimator.n_iter_, MOST_AHEAD))

    def _run(self, epochs: int) -> Iterator[tuple[float, float]]:
        """Hand some epochs to the device, then give the loss and the seconds of each."""
        backend = self.step.objective.backend
        start = time.perf_counter()
        sums = []
        for _ in range(epochs):
            self.state = self.state._replace(
                rate=backend.to_device(np.asarray(self.rate.current, dtype=backend.dtype)),
                loss=backend.to_device(np.zeros((), dtype=backend.dtype)),
            )
            self._shuffle()
            for part in split_order(self.order, self.batch_size):
                for rows, data in self.batches.blocks(part):
                    self.state = backend.scan(self.step, self.state, rows, data)
            sums.append(self.state.loss + 0)  # a loop may go on in the memory of its last state
            self.estimator.t_ += self.n_samples
            self.rate.epoch_ended(self.estimator.t_)
        for total in sums:
            loss = float(backend.to_host(total)) / self.n_samples
            yield loss, (time.perf_counter() - start) / epochs

    def _shuffle(self) -> None:
        """Permute the order once more, by the draws that scikit-learn would make."""
        if self.estimator.shuffle:
            permutation = np.arange(self.n_samples)
            self.rng.shuffle(permutation)
            self.order = self.order[permutation]

    def _finish_epoch(self, loss: float, seconds: float) -> tuple[bool, bool]:
        """Record an epoch; return whether its weights are the best, and whether to stop."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")  # noqa: T201
        score = validation_loss = None
        if self.validation is not None:
            validation_loss, score = self.validation.evaluate(self.state.packed)
            estimator.validation_loss_curve_.append(validation_loss)
            estimator.validation_scores_.append(score)
            if estimator.verbose:
                print(f"Validation score: {score:f}")  # noqa: T201
        rising = self.patience.rising
        is_best = self.patience.observe(score if rising and score is not None else loss)
        estimator._no_improvement_count = self.patience.waited
        if rising:
            estimator.best_validation_score_ = self.patience.best
        else:
            estimator.best_loss_ = self.patience.best
        if self.plateau is not None:
            self.rate.current = self.plateau.observe(-loss if score is None else score)
        stop = self.patience.exhausted and self._exhausted()
        if not self.callbacks:
            return is_best, stop
        record = EpochRecord(
            epoch=estimator.n_iter_,
            learning_rate=self._last_rate(),
            train_loss=loss,
            train_score=float("nan"),
            validation_loss=validation_loss,
            validation_score=score,
            seconds=seconds,
        )
        asked = [callback(record) is True for callback in self.callbacks]
        return is_best, stop or any(asked)

    def _last_rate(self) -> float:
        """The learning rate of the last update, whichever rule or schedule set it."""
        step, rate = self.step, self.state.rate
        backend = step.objective.backend
        if step.schedule is not None:
            rate = rate * step.schedule(self.state.step - 1, step.steps_per_epoch, backend=backend)
        return float(str(backend.to_host(rate)[()]))  # of float32 the shortest decimal: 0.1

    def _exhausted(self) -> bool:
        """Stop on convergence, or go on at a lower learning rate."""
        reason = self.rate.exhaust()
        if self.estimator.verbose:
            lowered = f" Setting learning rate to {self.rate.current:f}"
            print(self.patience.describe() + (reason or lowered))  # noqa: T201
        if not reason:
            self.patience.waited = 0
        return bool(reason)

    def _warn_of_nan(self) -> None:
        scores = self.estimator.validation_scores_[-self.estimator.n_iter_ :]
        count = int(np.isnan(scores).sum())
        if count:
            warnings.warn(
                f"scoring={self.estimator.scoring!r} gave NaN for the validation set in {count} of "
                f"{len(scores)} epochs, which counts as no improvement; where it always does, the "
                f"last weights are kept. Choose a score that is defined for that set.",
                stacklevel=2,
            )

    def _warn(self) -> None:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
            "reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )
