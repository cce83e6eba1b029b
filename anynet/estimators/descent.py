"""One fit of an estimator as a member of a cohort, with scikit-learn's rules."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from anynet import tree
from anynet.data.batches import Batches, Rows
from anynet.data.subset import Subset
from anynet.estimators.arrays import choose_backend
from anynet.estimators.heldout import Held, Validation, held_out_of, validation_of
from anynet.estimators.lbfgs import minimise
from anynet.estimators.network import load_params, store_params
from anynet.estimators.optimizers import (
    ClassicalMomentum,
    PackedNetwork,
    ShortAdam,
    SolverStep,
    UnpackedOptimizer,
)
from anynet.estimators.samples import Samples, place_rows, rows_bytes
from anynet.estimators.stopping import Patience, Rate
from anynet.log import LOGGER
from anynet.optim import (
    SGD,
    Adam,
    AdamW,
    Constant,
    ReduceOnPlateau,
    RMSprop,
    as_optimizer,
    bound_to,
    for_run,
)
from anynet.training.evaluate import Evaluation
from anynet.training.history import Callback, EpochRecord, Plateau
from anynet.training.state import Sums, TrainState, Weights, copy
from anynet.training.trainer import Epoch, Member, train
from anynet.typing import Params

MOST_AHEAD = 64  # epochs that are queued on a device at once


class SolverState(NamedTuple):
    """What ``partial_fit`` continues from: an optimizer with its state, and the learning rate."""

    optimizer: Any
    state: Any
    step: int  # updates made
    rate: Rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next update."""
        return self.rate.current


class Fit(Member):
    """One call of ``fit`` or ``partial_fit``; the estimator receives the results epoch by epoch.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    samples : Samples
    incremental : bool
        Whether this is ``partial_fit``: one epoch, which continues from the previous one.

    Attributes
    ----------
    failure : Exception or None
        Why the estimator is not fitted.
    total_seconds : float
        The fit's share of the time.
    callbacks : tuple of callable
    level : int
        Level of the epochs in the log: INFO for a single network, DEBUG for one of several.
    """

    level: int = logging.DEBUG
    errors = Exception  # of a scorer or a callback of the user
    step: SolverStep

    def __init__(self, estimator: Any, samples: Samples, *, incremental: bool = False) -> None:
        self.estimator, self.incremental = estimator, incremental
        self.home, self.dtype = samples.home, samples.dtype
        self.failure: Exception | None = None
        self.total_seconds = 0.0
        rng = check_random_state(estimator.random_state)
        self.anew = estimator._begins_anew(incremental=incremental)
        if self.anew:
            columns = samples.rows.x.shape[1]
            widths = [columns, *estimator._hidden_sizes(), estimator._n_logits(samples.y)]
            estimator._initialize(widths, samples.dtype, rng)
        self.rng, self.is_lbfgs = rng, estimator.solver == "lbfgs"
        self.held: Held | None = None
        self.training, self.held_out = Subset(samples.rows), None
        if not self.is_lbfgs:
            self.training, self.held = held_out_of(estimator, samples, rng)
        self.n_samples = self.training.n_samples
        self.batch_size = _batch_size(estimator.batch_size, self.n_samples)
        schedule = None
        if callable(estimator.learning_rate):
            schedule = for_run(estimator.learning_rate, estimator.max_iter)
        self.network = PackedNetwork(estimator._network())
        self.step = SolverStep(
            self.network,  # type: ignore[arg-type]  # has what a step needs of a network
            estimator._loss(),
            _make_optimizer(estimator, self.network),
            schedule or Constant(1.0),
            -(-self.n_samples // self.batch_size),
            choose_backend(self.home, self.dtype, estimator.backend, estimator.device),
            alpha=float(estimator.alpha),
        )
        if not self.is_lbfgs:
            self._set_rules(schedule)

    def _set_rules(self, schedule: Any) -> None:
        """Read the parameters that say when a stochastic solver stops."""
        estimator = self.estimator
        if not hasattr(estimator, "loss_curve_"):  # the last solver was L-BFGS
            estimator._begin_record()
        if self.held is not None and estimator.validation_scores_ is None:
            estimator.validation_scores_, estimator.validation_loss_curve_ = [], []
        memory = getattr(estimator, "_optimizer", None) if self.incremental else None
        if memory is not None and memory.optimizer != self.step.optimizer:
            memory = None
        self.memory: SolverState | None = memory
        self.rate = _make_rate(estimator) if memory is None else memory.rate
        self.patience = _patience(estimator)
        self.plateau = Plateau(schedule) if isinstance(schedule, ReduceOnPlateau) else None
        self.seed = self.rng.randint(2**31 - 1) if estimator.dropout else 0
        self.callbacks: tuple[Callback, ...] = tuple(estimator.callbacks or ())
        self.validation: Validation | None = None
        self.positions = np.arange(self.n_samples, dtype=np.int32)
        estimator.n_iter_ = 0

    def train(self) -> None:
        """Train this estimator alone."""
        estimator, backend = self.estimator, self.step.backend
        self.level = logging.INFO
        where = f"{backend.name} on {backend.device_name()}, {backend.dtype}: {backend.reason}"
        LOGGER.info("training begins: %d samples; %s", self.n_samples, where)
        with ExitStack() as stack:
            stack.enter_context(backend.context())
            if self.is_lbfgs:
                params, (batches, _) = self.start().params, self.place()
                params, estimator.loss_, estimator.n_iter_ = minimise(
                    self.step,
                    params,
                    batches,
                    self.n_samples,
                    max_iter=estimator.max_iter,
                    max_fun=estimator.max_fun,
                    tol=estimator.tol,
                    verbose=estimator.verbose,
                )
                self._store(params)
                LOGGER.info("training ended after iteration %d", estimator.n_iter_)
                return
            if estimator.progress_bar:
                bar = stack.enter_context(progress_bar(estimator.max_iter))
                self.callbacks = (*self.callbacks, bar)
            try:
                train([self], alone=True)
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=2)
                self.interrupt()
        if self.failure is not None:
            raise self.failure

    def move_to(self, table: Rows, places: np.ndarray) -> None:
        """Take the same samples from a larger table, where they have these places."""

        def moved(subset: Subset) -> Subset:
            return Subset(table, places if subset.index is None else places[subset.index])

        if self.held is not None and self.held.subset.rows is self.training.rows:
            self.held = Held(moved(self.held.subset), self.held.labels)
        self.training = moved(self.training)

    @property
    def key_word(self) -> int:
        """The word that keys dropout, drawn by the generator of the estimator."""
        return self.seed

    @property
    def rate_factor(self) -> float:
        """The learning rate of the next epoch, or the factor of a schedule."""
        return self.rate.current

    def place(self) -> tuple[Batches, Batches]:
        """Return the samples, placed for the loop; the held-out samples stay on the host."""
        batches = place_rows(self.training.rows, self.step.backend)
        return batches, batches

    def sample_bytes(self) -> int:
        """Return the memory of the samples on the device."""
        return rows_bytes(self.training.rows, self.step.backend)

    def start(self, fitted: dict[Any, Any] | None = None) -> Weights:  # noqa: ARG002
        """Return the weights of the estimator on the device, and place the validation set."""
        network, backend = self.network.network, self.step.backend
        if self.held is not None:
            self.validation = validation_of(self.estimator, self.held, network, self.step)
        params = load_params(self.estimator, network, backend)
        if not self.anew:
            params = self.estimator._standard_weights(params, backend)
        return Weights(self.network.pack(params, backend))

    def begin(self, state: TrainState) -> TrainState:
        """Continue with the optimizer of the previous ``partial_fit``."""
        backend = self.step.backend
        self.best = Weights(copy(state.params, backend), ())
        if self.memory is None:
            return state
        # Updates are made in place: a state that was unpickled may be shared, or read-only.
        optimizer = copy(tree.map(backend.to_device, self.memory.state), backend)
        updates = backend.to_device(np.asarray(self.memory.step, dtype=np.int32))
        return state._replace(optimizer=optimizer, step=updates)

    def order(self) -> np.ndarray:
        """Permute the order once more, with the draws of scikit-learn."""
        if self.estimator.shuffle:
            permutation = np.arange(self.n_samples)
            self.rng.shuffle(permutation)
            self.positions = self.positions[permutation]
        return self.training.order(self.positions)

    def epochs_ahead(self) -> int:
        """Return how many epochs can run before the first result: those that cannot be the last.

        The number of epochs without improvement rises by at most one an epoch.
        """
        seen = self.validation is not None or self.callbacks or self.estimator.verbose
        if self.incremental or seen:
            return 1
        until_full = self.patience.limit - self.patience.waited + 1
        return int(min(until_full, self.estimator.max_iter - self.estimator.n_iter_, MOST_AHEAD))

    def epoch_sent(self) -> None:
        """Count an epoch that the device has been given."""
        self.estimator.t_ += self.n_samples
        self.rate.epoch_ended(self.estimator.t_)

    def figures(self, sums: Sums) -> Evaluation:
        """Return the mean training loss; there is no training score."""
        return Evaluation(float(sums.loss) / self.n_samples, math.nan)

    def observe(self, epoch: Epoch) -> bool:
        """Record an epoch, mark its weights if they are to be kept, and return whether to stop."""
        estimator, patience, loss = self.estimator, self.patience, epoch.trained.loss
        self.total_seconds += epoch.seconds
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        self._report(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        score = validation_loss = None
        if self.validation is not None:
            validation_loss, score = self.validation.evaluate(
                self._unpacked(epoch.weights().params)
            )
            estimator.validation_loss_curve_.append(validation_loss)
            estimator.validation_scores_.append(score)
            self._report(f"Validation score: {score:f}")
        is_best = patience.observe(score if patience.rising and score is not None else loss)
        estimator._no_improvement_count = patience.waited
        setattr(
            estimator, "best_validation_score_" if patience.rising else "best_loss_", patience.best
        )
        if self.plateau is not None:
            self.rate.current = self.plateau.observe(-loss if score is None else score)
        stop = patience.exhausted and self._is_converged()
        if self.callbacks:
            record = EpochRecord(
                epoch=estimator.n_iter_,
                learning_rate=epoch.rate(),
                train_loss=loss,
                train_score=math.nan,
                validation_loss=validation_loss,
                validation_score=score,
                seconds=epoch.seconds,
            )
            stop |= any([callback(record) is True for callback in self.callbacks])  # noqa: C419
        if is_best or not patience.rising:
            epoch.keep()
        if not stop and not self.incremental and estimator.n_iter_ >= estimator.max_iter:
            stop = True
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return stop or self.incremental

    def _is_converged(self) -> bool:
        """Stop, or continue at a lower learning rate."""
        reason = self.rate.exhaust()
        lowered = f" Setting learning rate to {self.rate.current:f}"
        self._report(self.patience.describe() + (reason or lowered))
        if not reason:
            self.patience.waited = 0
        return bool(reason)

    def _report(self, line: str) -> None:
        """Write a line to the log, and print it with ``verbose``."""
        LOGGER.log(self.level, "%s", line)
        if self.estimator.verbose:
            print(line)  # noqa: T201

    def failed(self, error: Exception) -> None:
        """Record what went wrong with this fit."""
        self.failure = error

    def finish(self, state: Callable[[], TrainState]) -> None:
        """Set the fitted attributes of the estimator."""
        if self.failure is not None:
            return
        last, kept = state(), self.best
        updates = int(self.step.backend.to_host(last.step))
        memory = SolverState(self.step.optimizer, last.optimizer, updates, self.rate)
        self.estimator._optimizer = memory
        if self.patience.nan_waits:
            self._warn_of_nan()
            if np.isneginf(self.patience.best):  # no epoch can be called the best
                kept = Weights(last.params, ())
        self._finish(kept)

    def interrupt(self) -> None:
        """Set the fitted attributes to the weights of the last epoch that was completed."""
        self.estimator.__dict__.pop("_optimizer", None)
        self._finish(self.best)

    def _finish(self, weights: Weights | None) -> None:
        estimator, patience, self.best = self.estimator, self.patience, None
        kept = f"; best validation score {patience.best:.6g}" if patience.rising else ""
        LOGGER.log(self.level, "training ended after epoch %d%s", estimator.n_iter_, kept)
        try:
            if weights is not None:
                self._store(weights.params)
        except ValueError as error:
            self.failure = error

    def _warn_of_nan(self) -> None:
        estimator = self.estimator
        scores = estimator.validation_scores_[-estimator.n_iter_ :]
        count = int(np.isnan(scores).sum())
        if count:
            warnings.warn(
                f"scoring={estimator.scoring!r} gave NaN for the validation set in {count} of "
                f"{len(scores)} epochs, which counts as no improvement; if every score is NaN, the "
                f"last weights are kept. Choose a score that is defined for this set.",
                stacklevel=2,
            )

    def _unpacked(self, packed: Params) -> Params:
        return self.network.unpack(packed, self.step.backend.xp)

    def _store(self, packed: Params) -> None:
        """Set the fitted attributes.

        Raises
        ------
        ValueError
            If the weights are no longer finite.
        """
        backend, network, xp = self.step.backend, self.network.network, self.step.backend.xp
        with backend.context():
            finite = all(bool(xp.all(xp.isfinite(leaf))) for leaf in tree.leaves(packed))
            params = self.estimator._user_weights(self._unpacked(packed), backend)
            store_params(self.estimator, network, params, backend, self.home, self.dtype)
        if not finite:
            message = (
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
            raise ValueError(message)
        loss = getattr(self.estimator, "loss_", 0.0)  # none if the first epoch was interrupted
        if not math.isfinite(loss):
            warnings.warn(
                f"The training loss is {loss}: it has no usable gradient, and the weights are "
                f"those of earlier updates. Try a smaller learning_rate_init, or scaled data.",
                ConvergenceWarning,
                stacklevel=2,
            )


@contextmanager
def progress_bar(epochs: int) -> Iterator[Callback]:
    """Yield a callback that draws one bar on standard error with tqdm.

    Raises
    ------
    ImportError
        If tqdm is missing.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        message = "progress_bar=True needs tqdm: pip install tqdm"
        raise ImportError(message) from error
    with tqdm(total=epochs, unit="epoch") as bar:

        def update(record: EpochRecord) -> None:
            figures = {"loss": f"{record.train_loss:.4f}"}
            if record.validation_score is not None:
                figures["validation"] = f"{record.validation_score:.4f}"
            bar.set_postfix(figures, refresh=False)
            bar.update()

        yield update


def _batch_size(batch_size: Any, n_samples: int) -> int:
    if batch_size == "auto":
        return min(200, n_samples)
    if batch_size > n_samples:
        message = (
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        )
        warnings.warn(message, stacklevel=2)
    return int(min(batch_size, n_samples))


def _make_optimizer(estimator: Any, network: PackedNetwork) -> Any:
    solver = estimator.solver
    if solver in ("sgd", "lbfgs"):
        return ClassicalMomentum(float(estimator.momentum), bool(estimator.nesterovs_momentum))
    if solver == "adam":
        betas = float(estimator.beta_1), float(estimator.beta_2)
        return ShortAdam(*betas, float(estimator.epsilon))
    optimizer: Any = as_optimizer(solver)
    acts_elementwise = type(optimizer) in (SGD, RMSprop, Adam, AdamW) and not optimizer.groups
    if acts_elementwise:
        return optimizer
    return UnpackedOptimizer(bound_to(network.network, optimizer), network)


def _make_rate(estimator: Any) -> Rate:
    """Return the rate that the host sets; it multiplies a schedule of ``anynet.optim`` by 1."""
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
