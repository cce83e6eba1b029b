"""Setting a stochastic solver up from the parameters of an estimator."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.data.batches import Batches
from anynet.estimators.heldout import HeldOut
from anynet.estimators.optimizers import ClassicalMomentum, ShortAdam
from anynet.estimators.progress import progress_bar
from anynet.estimators.run import Run
from anynet.estimators.step import Objective, SolverState, SolverStep
from anynet.estimators.stochastic import Epochs
from anynet.estimators.stopping import Patience, Rate
from anynet.optim import ReduceOnPlateau
from anynet.optim.optimizers import OPTIMIZERS
from anynet.training.state import copy
from anynet.training.stopping import Plateau
from anynet.typing import Params


class Memory(NamedTuple):
    """What ``partial_fit`` goes on from: an optimizer with its state, and the learning rate."""

    optimizer: Any
    state: Any
    step: int  # updates made
    rate: Rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next update."""
        return self.rate.current


@dataclass(frozen=True)
class Descent:
    """A stochastic solver that is set up, and has not made a step yet."""

    step: SolverStep
    batch_size: int
    seed: int  # keys dropout
    memory: Memory | None  # what to go on from
    held: HeldOut
    run: Run

    @classmethod
    def of(
        cls,
        estimator: Any,
        objective: Objective,
        held: HeldOut,
        rng: np.random.RandomState,
        incremental: bool = False,
    ) -> Descent:
        """Read the parameters of an estimator, which receives the attributes that tell the run.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
        objective : Objective
        held : HeldOut
        rng : RandomState
            Draws the order of each epoch.
        incremental : bool
            Whether this is ``partial_fit``: one epoch, on from the last one where there was one.
        """
        n_samples = held.n_samples
        batch_size = _batch_size(estimator.batch_size, n_samples)
        if not hasattr(estimator, "loss_curve_"):  # the last solver was L-BFGS
            estimator._begin_record()
        if held.held is not None and estimator.validation_scores_ is None:
            estimator.validation_scores_, estimator.validation_loss_curve_ = [], []
        optimizer = _make_optimizer(estimator)
        memory = getattr(estimator, "_optimizer", None) if incremental else None
        if memory is not None and memory.optimizer != optimizer:
            memory = None
        schedule = estimator.learning_rate if callable(estimator.learning_rate) else None
        plateau = Plateau(schedule) if isinstance(schedule, ReduceOnPlateau) else None
        seed = rng.randint(2**31 - 1) if estimator.dropout else 0
        run = Run(
            estimator=estimator,
            n_samples=n_samples,
            rng=rng,
            patience=_patience(estimator),
            rate=_make_rate(estimator) if memory is None else memory.rate,
            plateau=plateau,
            callbacks=tuple(estimator.callbacks or ()),
            incremental=incremental,
        )
        step = SolverStep(objective, optimizer, schedule, -(-n_samples // batch_size))
        return cls(step, batch_size, seed, memory, held, run)

    def select_validation(self) -> None:
        """Let the run have its validation set."""
        self.run.validation = self.held.validation(self.run.estimator, self.step.objective)

    def start(self, packed: Params) -> SolverState:
        """Return the state before the first step from some weights, which it consumes."""
        backend = self.step.objective.backend
        state, updates = self.step.optimizer.init(packed, backend=backend), 0
        if self.memory is not None:
            # Updates happen in place: a state that was unpickled may be another's, or read-only.
            state = copy(tree.map(backend.to_device, self.memory.state), backend)
            updates = self.memory.step

        def scalar(value: float, dtype: Any) -> Any:
            return backend.to_device(np.asarray(value, dtype=dtype))

        return SolverState(
            packed=packed,
            optimizer=state,
            step=scalar(updates, np.int32),
            seed=scalar(self.seed, np.int32),
            rate=scalar(0, backend.dtype),
            loss=scalar(0, backend.dtype),
        )

    def remember(self, state: SolverState) -> None:
        """Let the estimator keep what ``partial_fit`` goes on from."""
        step = int(self.step.objective.backend.to_host(state.step))
        memory = Memory(self.step.optimizer, state.optimizer, step, self.run.rate)
        self.run.estimator._optimizer = memory


def descend(descent: Descent, batches: Batches, packed: Params) -> Params:
    """Run a stochastic solver from some weights, which it consumes; return those to keep."""
    run = descent.run
    estimator = run.estimator
    descent.select_validation()
    with ExitStack() as stack:
        if estimator.progress_bar:
            bar = stack.enter_context(progress_bar(run.max_iter))
            run.callbacks = (*run.callbacks, bar)
        epochs = Epochs(run, descent.step, descent.start(packed), batches, descent.batch_size)
        packed = epochs.train()
    descent.remember(epochs.state)
    return packed


def _batch_size(batch_size: Any, n_samples: int) -> int:
    if batch_size == "auto":
        return min(200, n_samples)
    if batch_size > n_samples:
        message = (
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        )
        warnings.warn(message, stacklevel=2)
    return int(min(batch_size, n_samples))


def _make_optimizer(estimator: Any) -> Any:
    solver = estimator.solver
    if solver == "sgd":
        return ClassicalMomentum(float(estimator.momentum), bool(estimator.nesterovs_momentum))
    if solver == "adam":
        betas = float(estimator.beta_1), float(estimator.beta_2)
        return ShortAdam(*betas, float(estimator.epsilon))
    return OPTIMIZERS[solver]() if isinstance(solver, str) else solver


def _make_rate(estimator: Any) -> Rate:
    """The rate that the host sets; a schedule of ``anynet.optim`` it only multiplies by 1."""
    if callable(estimator.learning_rate):
        return Rate("constant", 1.0, 0.0, 1.0)
    rule = "constant" if estimator.solver == "adam" else estimator.learning_rate
    initial = float(estimator.learning_rate_init)
    return Rate(rule, initial, float(estimator.power_t), initial)


def _patience(estimator: Any) -> Patience:
    rising = bool(estimator.early_stopping)
    best = getattr(estimator, "best_validation_score_" if rising else "best_loss_", None)
    if best is None:
        best = -np.inf if rising else np.inf
    waited = getattr(estimator, "_no_improvement_count", 0)
    nan_waits = rising and estimator.scoring is not None
    return Patience(estimator.tol, estimator.n_iter_no_change, best, waited, rising, nan_waits)
