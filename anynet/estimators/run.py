"""One estimator's run, as the host sees it: orders and rates in, figures out, and when to stop."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from anynet.estimators.stopping import Patience, Rate
from anynet.estimators.validation import Validation
from anynet.training.history import Callback, EpochRecord
from anynet.training.stopping import Plateau
from anynet.typing import Params

MOST_AHEAD = 64  # epochs that are queued on a device at once


@dataclass
class Run:
    """One call of ``fit`` or ``partial_fit`` of a stochastic solver.

    ``estimator`` receives the attributes that scikit-learn documents, epoch by epoch; everything
    else is what training needs.
    """

    estimator: Any
    n_samples: int
    rng: np.random.RandomState
    patience: Patience
    rate: Rate
    plateau: Plateau | None
    callbacks: tuple[Callback, ...]
    incremental: bool
    validation: Validation | None = None
    order: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.max_iter = self.estimator.max_iter
        self.estimator.n_iter_ = 0
        self.order = np.arange(self.n_samples, dtype=np.int32)

    @property
    def epochs_left(self) -> int:
        """How many more epochs ``max_iter`` allows."""
        return int(self.max_iter - self.estimator.n_iter_)

    def ahead(self) -> int:
        """How many epochs may be run before the host must look: all that cannot be the last.

        The count of epochs without improvement rises by one an epoch at most.
        """
        if self.incremental or self.validation is not None or self.callbacks:
            return 1
        if self.estimator.verbose:
            return 1
        until_full = self.patience.limit - self.patience.waited + 1
        return int(min(until_full, self.epochs_left, MOST_AHEAD))

    def next_order(self) -> np.ndarray:
        """Permute the order once more, by the draws that scikit-learn would make."""
        if self.estimator.shuffle:
            permutation = np.arange(self.n_samples)
            self.rng.shuffle(permutation)
            self.order = self.order[permutation]
        return self.order

    def epoch_sent(self) -> None:
        """Count an epoch that the device has been handed."""
        self.estimator.t_ += self.n_samples
        self.rate.epoch_ended(self.estimator.t_)

    def finish_epoch(
        self,
        loss: float,
        seconds: float,
        weights: Callable[[], Params],
        last_rate: Callable[[], float],
    ) -> tuple[bool, bool]:
        """Record an epoch; return whether its weights are the best, and whether to stop.

        Parameters
        ----------
        loss, seconds : float
        weights, last_rate : callable
            Give the packed weights, and the learning rate of the last update, where needed.
        """
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")  # noqa: T201
        score = validation_loss = None
        if self.validation is not None:
            validation_loss, score = self.validation.evaluate(weights())
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
            learning_rate=last_rate(),
            train_loss=loss,
            train_score=float("nan"),
            validation_loss=validation_loss,
            validation_score=score,
            seconds=seconds,
        )
        asked = [callback(record) is True for callback in self.callbacks]
        return is_best, stop or any(asked)

    def weights_to_keep(self, last: Params, best: Params | None) -> Params:
        """Choose between the weights of the last epoch and the best, when training has ended."""
        if self.patience.nan_waits:
            self._warn_of_nan()
            if np.isneginf(self.patience.best):  # no epoch can be called the best
                return last
        return last if best is None else best

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

    def warn_of_max_iter(self) -> None:
        """Say that ``max_iter`` came before convergence, in scikit-learn's words."""
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
            "reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )
