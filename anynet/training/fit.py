"""Training: a fold of one step over each epoch's order, with the host looking in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.backends import Backend, backend_of, get_backend
from anynet.data.batches import (
    Batches,
    HostBatches,
    ResidentBatches,
    Rows,
    epoch_order,
    split_order,
)
from anynet.data.splits import train_validation_split
from anynet.errors import DivergedError, InvalidArgumentError, TrainingInterrupted
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.optim import SGD, Optimizer, ReduceOnPlateau, Schedule, as_schedule
from anynet.optim.optimizers import OPTIMIZERS
from anynet.training.evaluate import Evaluation, evaluate, finish, target_spread
from anynet.training.history import Callback, EpochRecord, History, Progress, ProgressCallback
from anynet.training.inputs import check_rows, choose_loss
from anynet.training.model import Model
from anynet.training.state import TrainState, copy, initial_state, zero_sums
from anynet.training.step import TrainingStep
from anynet.training.stopping import EarlyStopping, Plateau

PROGRESS_PARTS = 20
RESIDENT_SHARE = 0.7  # of the device's free memory that the data may take


def fit(
    network: Network,
    data: Any,
    *,
    validation: Any = None,
    epochs: int = 15,
    batch_size: int = 64,
    optimizer: Optimizer | str | None = None,
    learning_rate: float | Schedule = 0.1,
    loss: Loss | str | None = None,
    patience: int | None = 5,
    target_accuracy: float | None = 0.99,
    min_delta: float = 0.0,
    clip_norm: float | None = None,
    average: float | None = None,
    shuffle: bool = True,
    seed: int = 0,
    backend: Backend | str | None = None,
    resident: bool | None = None,
    callbacks: Sequence[Callback] = (),
    progress: ProgressCallback | None = None,
    metadata: dict[str, Any] | None = None,
) -> Model:
    """Train a network; the defaults are the report's.

    Parameters
    ----------
    network : Network
        See ``mlp``.
    data : (x, y) or (x, y, sample_weight)
        x of shape (N, I), in its own dtype; y of shape (N,) for classes 0 … O−1, or (N, O).
        NumPy arrays, or arrays of torch, JAX or CuPy.
    validation : tuple, int or float, optional
        Samples to score each epoch: given like ``data``, or how many (a whole number) or what
        share (a fraction) of the data to hold out, drawn with ``seed``.
    epochs : int
        At most so many passes over the data; each sees every sample once.
    batch_size : int
        Samples an update. What is left over makes one short batch an epoch: the first of a
        shuffled epoch, the last of one in the samples' own order.
    optimizer : Optimizer or str, optional
        See ``anynet.optim``; plain SGD if not given.
    learning_rate : float or Schedule
        A constant rate, or a schedule of ``anynet.optim``.
    loss : Loss or str, optional
        By default cross-entropy for whole numbers (binary where y is a matrix or the network has
        one output), and squared error for floats.
    patience : int or None
        Stop when the validation score brought no new best for so many epochs.
    target_accuracy : float or None
        Stop when the validation accuracy reaches it; ignored where values are predicted.
    min_delta : float
        Only a rise by more than this is a new best.
    clip_norm : float, optional
        The bound of the gradient's global norm.
    average : float, optional
        The decay of a moving average of the weights, such as 0.999, which is then what is scored
        and returned.
    shuffle : bool
        Whether each epoch has its own random order.
    seed : int
        Everything random follows from it.
    backend : Backend or str, optional
        See ``get_backend``; by default where the arrays of ``data`` live, else ``"auto"``.
    resident : bool, optional
        Whether the data are placed on the device as a whole; by default if they fit.
    callbacks : sequence of callable
        Each takes an ``EpochRecord`` after every epoch, and may return True to stop.
    progress : callable, optional
        Takes a ``Progress`` about 20 times an epoch.
    metadata : dict, optional
        JSON-able notes that are saved with the model.

    Returns
    -------
    Model
        The weights of the epoch with the best validation score, or of the last epoch without a
        validation set; ``Model.history`` tells the run.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, or shapes disagree.
    DivergedError
        If the loss of an epoch is not finite; its ``model`` is the best of the epochs before.
    TrainingInterrupted
        On Ctrl-C; a KeyboardInterrupt whose ``model`` is the best so far.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> model = anynet.fit(network, digits.train, validation=0.1, backend="numpy")
    >>> model.score(*digits.test) > 0.9
    True
    """
    _check_counts(epochs=epochs, batch_size=batch_size)
    _check_options(patience, target_accuracy, min_delta, clip_norm, average)
    if not isinstance(backend, Backend):
        home = backend_of(data[0]) if backend is None and isinstance(data, (tuple, list)) else None
        backend = home or get_backend(backend or "auto")
    y = data[1] if isinstance(data, (tuple, list)) and len(data) > 1 else ()
    loss = choose_loss(loss, y, network.n_outputs)
    rows = check_rows(data, network, loss, backend)
    rows, held_out = _hold_out(rows, validation, network, loss, backend, seed)
    schedule = as_schedule(learning_rate)
    steps_per_epoch = -(-rows.n_samples // batch_size)
    step = TrainingStep(
        network,
        loss,
        _as_optimizer(optimizer),
        schedule,
        steps_per_epoch,
        backend,
        clip_norm,
        average,
    )
    run = _Run(
        step=step,
        rows=rows,
        held_out=held_out,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=shuffle,
        seed=seed,
        stopping=EarlyStopping(
            patience, target_accuracy if loss.task != "values" else None, min_delta
        ),
        plateau=Plateau(schedule) if isinstance(schedule, ReduceOnPlateau) else None,
        resident=resident,
        callbacks=tuple(callbacks),
        progress=progress,
        metadata=metadata or {},
    )
    with backend.context():
        return run.train()


@dataclass
class _Run:
    """One call of ``fit``, its arguments checked."""

    step: TrainingStep
    rows: Rows
    held_out: Rows | None
    batch_size: int
    epochs: int
    shuffle: bool
    seed: int
    stopping: EarlyStopping
    plateau: Plateau | None
    resident: bool | None
    callbacks: tuple[Callback, ...]
    progress: ProgressCallback | None
    metadata: dict[str, Any]
    best: Any = None

    def train(self) -> Model:
        step, backend = self.step, self.step.backend
        self.history = History(step.loss.metric.name)
        self.spread = target_spread(self.rows.y, self.rows.weight, step.loss)
        try:
            batches = self._place(self.rows)
            scored = None if self.held_out is None else self._place(self.held_out)
            state = initial_state(
                step.network,
                step.loss,
                step.optimizer,
                self.seed,
                backend,
                average=step.average is not None,
            )
            for epoch in range(1, self.epochs + 1):
                state, record = self._epoch(state, epoch, batches, scored)
                if self._finish_epoch(state, record):
                    break
            else:
                self.history.stopped = f"all {self.epochs} epochs done"
        except KeyboardInterrupt as interrupt:
            self.history.stopped = "interrupted"
            raise TrainingInterrupted(self._model()) from interrupt
        model = self._model()
        assert model is not None  # at least one epoch was finished
        return model

    def _epoch(
        self, state: TrainState, epoch: int, batches: Batches, scored: Batches | None
    ) -> tuple[TrainState, EpochRecord]:
        """Train one epoch, and score the result on the validation set."""
        step, backend = self.step, self.step.backend
        state = state._replace(sums=zero_sums(step.loss, step.network, state.seed.shape, backend))
        if self.plateau is not None:
            factor = np.full(state.seed.shape, self.plateau.factor, dtype=backend.dtype)
            state = state._replace(rate_factor=backend.to_device(factor))
        order = epoch_order(self.rows.n_samples, self.seed, epoch, self.shuffle)
        parts = split_order(
            order, self.batch_size, PROGRESS_PARTS if self.progress else 1, short_first=self.shuffle
        )
        start, seen = time.perf_counter(), 0
        for part in parts:
            for local, block in batches.blocks(part):
                state = backend.scan(step, state, local, block)
            seen += part.size
            if self.progress is not None:
                now = finish(state.sums, step.loss, self.spread, backend)
                self.progress(Progress(epoch, self.epochs, seen, len(order), *now))
        trained = finish(state.sums, step.loss, self.spread, backend)
        seconds = time.perf_counter() - start
        if not np.isfinite(trained.loss):
            raise self._diverged(epoch)
        validated = None if scored is None else self._validate(state, scored)
        rate = step.schedule(state.step - 1, step.steps_per_epoch, backend=backend)
        record = EpochRecord(
            epoch=epoch,
            learning_rate=_shortest(backend.to_host(rate * state.rate_factor)),
            train_loss=trained.loss,
            train_score=trained.score,
            validation_loss=None if validated is None else validated.loss,
            validation_score=None if validated is None else validated.score,
            seconds=seconds,
        )
        return state, record

    def _finish_epoch(self, state: TrainState, record: EpochRecord) -> bool:
        """Keep the weights if they are the best, and say whether to stop."""
        self.history.records.append(record)
        is_best, reason = True, ""
        if record.validation_score is not None:
            is_best, reason = self.stopping.observe(record.validation_score)
            if self.plateau is not None:
                self.plateau.observe(record.validation_score)
        if is_best:
            self.best = copy(self._weights(state), self.step.backend)
            self.history.best_epoch = record.epoch
        if any([callback(record) is True for callback in self.callbacks]):  # noqa: C419
            reason = reason or "a callback asked to stop"
        self.history.stopped = reason
        return bool(reason)

    def _validate(self, state: TrainState, scored: Batches) -> Evaluation:
        step, held_out = self.step, self.held_out
        assert held_out is not None
        return evaluate(
            step.network,
            self._weights(state),
            step.loss,
            scored,
            held_out.n_samples,
            target_spread(held_out.y, held_out.weight, step.loss),
            step.backend,
        )

    def _weights(self, state: TrainState) -> Any:
        """The weights that are scored and returned: averaged where an average is kept."""
        return state.params if self.step.average is None else state.average

    def _model(self) -> Model | None:
        if self.best is None:
            return None
        step = self.step
        return Model(step.network, self.best, step.loss, step.backend, self.history, self.metadata)

    def _diverged(self, epoch: int) -> DivergedError:
        self.history.stopped = f"diverged in epoch {epoch}"
        message = (
            f"the training loss is not finite in epoch {epoch}: try a smaller learning rate "
            f"(now {self.step.schedule.learning_rate:g}), a bound on the gradient's "
            f"norm (clip_norm, --clip-norm), or inputs scaled to about [0, 1]"
        )
        return DivergedError(message, epoch, self._model())

    def _place(self, rows: Rows) -> Batches:
        backend = self.step.backend
        resident = self.resident
        if resident is None:
            memory = backend.memory()
            resident = memory is None or rows.nbytes < RESIDENT_SHARE * memory.free
        if resident or not isinstance(rows.x, np.ndarray):
            return ResidentBatches(rows, backend)
        return HostBatches(rows, backend)


def _shortest(number: np.ndarray) -> float:
    """The shortest decimal that reads back as the same number: 0.1, not 0.10000000149."""
    return float(str(number[()]))


def _hold_out(
    rows: Rows, validation: Any, network: Network, loss: Loss, backend: Backend, seed: int
) -> tuple[Rows, Rows | None]:
    if validation is None:
        return rows, None
    if isinstance(validation, (tuple, list)):
        return rows, check_rows(validation, network, loss, backend, "validation")
    kept, held_out = train_validation_split(rows.n_samples, validation, seed)
    return rows.select(kept), rows.select(held_out)


def _as_optimizer(optimizer: Optimizer | str | None) -> Optimizer:
    if optimizer is None:
        return SGD()
    if not isinstance(optimizer, str):
        return optimizer
    if optimizer not in OPTIMIZERS:
        message = f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}"
        raise InvalidArgumentError(message)
    named: Optimizer = OPTIMIZERS[optimizer]()
    return named


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            message = f"{name} must be a whole number of at least 1, got {value!r}"
            raise InvalidArgumentError(message)


def _check_options(
    patience: int | None,
    target_accuracy: float | None,
    min_delta: float,
    clip_norm: float | None,
    average: float | None,
) -> None:
    if patience is not None:
        _check_counts(patience=patience)
    if target_accuracy is not None and not 0 < target_accuracy <= 1:
        message = f"target_accuracy must be in (0, 1] or None, got {target_accuracy!r}"
        raise InvalidArgumentError(message)
    if not 0 <= min_delta < float("inf"):
        message = f"min_delta must be at least 0, got {min_delta!r}"
        raise InvalidArgumentError(message)
    if clip_norm is not None and not 0 < clip_norm < float("inf"):
        message = f"clip_norm must be above 0 or None, got {clip_norm!r}"
        raise InvalidArgumentError(message)
    if average is not None and not 0 <= average < 1:
        message = f"average must be in [0, 1) or None, got {average!r}"
        raise InvalidArgumentError(message)
