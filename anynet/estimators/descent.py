"""Setting a stochastic solver up from the parameters of an estimator."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.estimators.heldout import HeldOut
from anynet.estimators.optimizers import ClassicalMomentum, ShortAdam
from anynet.estimators.placement import place
from anynet.estimators.progress import progress_bar
from anynet.estimators.step import Objective, SolverState, SolverStep
from anynet.estimators.stochastic import Epochs
from anynet.estimators.stopping import Patience, Rate
from anynet.optim.optimizers import OPTIMIZERS
from anynet.training.state import copy
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


def descend(
    estimator: Any,
    objective: Objective,
    packed: Params,
    held: HeldOut,
    rng: np.random.RandomState,
    incremental: bool,
) -> Params:
    """Run a stochastic solver, on from the last ``partial_fit`` where there was one.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its parameters say how; it receives the attributes that tell the run.
    objective : Objective
    packed : Params
        Where to start; consumed.
    held : HeldOut
    rng : RandomState
        Draws the order of each epoch.
    incremental : bool
        Whether this is ``partial_fit``: one epoch.

    Returns
    -------
    Params
        The weights to keep.
    """
    backend = objective.backend
    n_samples = held.train.n_samples
    batch_size = _batch_size(estimator.batch_size, n_samples)
    if not hasattr(estimator, "loss_curve_"):  # the last solver was L-BFGS
        estimator._begin_record()
    if held.validation is not None and estimator.validation_scores_ is None:
        estimator.validation_scores_, estimator.validation_loss_curve_ = [], []
    optimizer = _make_optimizer(estimator)
    memory = getattr(estimator, "_optimizer", None) if incremental else None
    if memory is None or memory.optimizer != optimizer:
        state = optimizer.init(packed, backend=backend)
        memory = Memory(optimizer, state, 0, _make_rate(estimator))

    def scalar(value: float, dtype: Any) -> Any:
        return backend.to_device(np.asarray(value, dtype=dtype))

    start = SolverState(
        packed=packed,
        # Updates happen in place: a state that was unpickled may be another's, or read-only.
        optimizer=copy(tree.map(backend.to_device, memory.state), backend),
        step=scalar(memory.step, np.int32),
        seed=scalar(rng.randint(2**31 - 1) if estimator.dropout else 0, np.int32),
        rate=scalar(0, backend.dtype),
        loss=scalar(0, backend.dtype),
    )
    schedule = estimator.learning_rate if callable(estimator.learning_rate) else None
    with ExitStack() as stack:
        callbacks = tuple(estimator.callbacks or ())
        if estimator.progress_bar:
            bar = stack.enter_context(progress_bar(estimator.max_iter))
            callbacks = (*callbacks, bar)
        run = Epochs(
            estimator=estimator,
            step=SolverStep(objective, optimizer, schedule, -(-n_samples // batch_size)),
            state=start,
            batches=place(held.train, backend),
            n_samples=n_samples,
            batch_size=batch_size,
            max_iter=estimator.max_iter,
            rng=rng,
            patience=_patience(estimator),
            rate=memory.rate,
            validation=held.validation,
            callbacks=callbacks,
            incremental=incremental,
        )
        packed = run.train()
    step = int(backend.to_host(run.state.step))
    estimator._optimizer = Memory(optimizer, run.state.optimizer, step, run.rate)
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
