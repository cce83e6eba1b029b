"""One run: epochs of steps, with the host looking in between."""

from __future__ import annotations

import functools
import math
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.backends import Backend, lives_on, to_numpy
from anynet.data.batches import (
    Batches,
    HostBatches,
    ResidentBatches,
    Rows,
    block_order,
    epoch_order,
    split_order,
)
from anynet.data.memory import available_memory
from anynet.data.sources.source import Source
from anynet.data.subset import Subset
from anynet.errors import DivergedError, TrainingInterrupted
from anynet.training.chance import best_guess, no_better_than_guessing
from anynet.training.checkpoint import Checkpoint
from anynet.training.checkpoints import CheckpointFolder
from anynet.training.class_weight import ClassWeight
from anynet.training.evaluate import Evaluation, evaluate, finish, target_spread
from anynet.training.history import Callback, EpochRecord, History, Progress, ProgressCallback
from anynet.training.model import Model
from anynet.training.saver import Saver, saving
from anynet.training.scoring import LOSS, score_outputs
from anynet.training.state import TrainState, copy, initial_state, zero_sums
from anynet.training.step import TrainingStep
from anynet.training.stopping import EarlyStopping, Plateau

PROGRESS_PARTS = 20  # of an epoch, between which the host looks up
RESIDENT_SHARE = 0.7  # of the device's free memory that the data may take
HOST_SHARE = 0.5  # of this machine's that those from disk may take


@dataclass
class Run:
    """One call of ``fit``, its arguments checked."""

    step: TrainingStep
    training: Subset
    held_out: Subset | None
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
    class_weight: ClassWeight = None
    scoring: str | None = None
    checkpoints: CheckpointFolder | None = None
    resumed: Checkpoint | None = None
    best: Any = None
    seen: int = 0  # samples of the epoch that is going on
    seconds: float = 0.0  # that it has taken

    def train(self) -> Model:
        self.start()
        try:
            with saving(self) as saver:
                batches, scored = self.place()
                state = self._begin(saver)
                while not self.history.stopped:
                    state, record = self._epoch(state, batches, scored, saver)
                    self._finish_epoch(state, record)
                    if saver is not None:
                        saver.after_epoch(state)
        except KeyboardInterrupt as interrupt:
            self.history.stopped = "interrupted"
            raise TrainingInterrupted(self.model()) from interrupt
        model = self.model()
        assert model is not None  # at least one epoch was finished
        return model

    def start(self) -> None:
        """Open the history."""
        self.history = History(self.step.loss.metric.name, scoring=self.scoring or "")
        self.spread = target_spread(*self.training.targets(), self.step.loss)

    def _begin(self, saver: Saver | None) -> TrainState:
        """Return the state before the first step, or that of a checkpoint."""
        step = self.step
        state = initial_state(
            step.network,
            step.loss,
            step.optimizer,
            self.seed,
            step.backend,
            average=step.average is not None,
        )
        return state if saver is None else saver.begin(state)

    def _epoch(
        self, state: TrainState, batches: Batches, scored: Batches, saver: Saver | None
    ) -> tuple[TrainState, EpochRecord]:
        """Train one epoch, or what is left of it, and score the result on the validation set."""
        step, backend = self.step, self.step.backend
        epoch = len(self.history.records) + 1
        if self.seen == 0:
            state = self._with_zero_sums(state)
        order = self.order(epoch)
        watched = self.progress is not None or saver is not None
        parts = split_order(
            order, self.batch_size, PROGRESS_PARTS if watched else 1, short_first=self.shuffle
        )
        ends = np.cumsum([part.size for part in parts]).tolist()
        left = [part for part, end in zip(parts, ends, strict=True) if end > self.seen]
        start, position = time.perf_counter() - self.seconds, self.seen
        with closing(batches.blocks(*left)) as blocks:
            for local, block in blocks:
                state = backend.scan(step, state, local, block)
                position += math.prod(local.shape)
                if position not in ends:
                    continue
                self.seen = position
                self.seconds = time.perf_counter() - start
                if self.progress is not None:
                    now = finish(state.sums, step.loss, self.spread, backend)
                    self.progress(Progress(epoch, self.epochs, self.seen, len(order), *now))
                if saver is not None and self.seen < len(order):
                    saver.within_epoch(state)
        trained = finish(state.sums, step.loss, self.spread, backend)
        seconds = time.perf_counter() - start
        self.seen, self.seconds = 0, 0.0
        self.check_finite("training", trained, epoch)
        validated = None if self.held_out is None else self._validate(state, scored)
        rate = step.schedule(state.step - 1, step.steps_per_epoch, backend=backend)
        rate = backend.to_host(rate * state.rate_factor)
        weights = functools.partial(self._weights, state)
        return state, self.record(epoch, rate, trained, validated, seconds, weights)

    def _with_zero_sums(self, state: TrainState) -> TrainState:
        """Return the state with which an epoch begins."""
        step, backend = self.step, self.step.backend
        state = state._replace(sums=zero_sums(step.loss, step.network, state.seed.shape, backend))
        if self.plateau is None:
            return state
        factor = np.full(state.seed.shape, self.plateau.factor, dtype=backend.dtype)
        return state._replace(rate_factor=backend.to_device(factor))

    def order(self, epoch: int) -> np.ndarray:
        """Return where the samples of an epoch lie in the rows, in the order it sees them."""
        training, blocks = self.training, self.training.blocks()
        if not self.shuffle or blocks is None:
            return training.order(epoch_order(training.n_samples, self.seed, epoch, self.shuffle))
        window_rows = training.rows.x.window_rows
        return training.order(block_order(blocks, self.seed, epoch, self.batch_size, window_rows))

    def record(
        self,
        epoch: int,
        rate: np.ndarray,
        trained: Evaluation,
        validated: Evaluation | None,
        seconds: float,
        weights: Callable[[], Any],
    ) -> EpochRecord:
        """Return what an epoch did; ``weights`` gives those that it ended with.

        Raises
        ------
        DivergedError
            If a loss is not finite.
        """
        self.check_finite("training", trained, epoch)
        if validated is not None:
            self.check_finite("validation", validated, epoch)
        return EpochRecord(
            epoch=epoch,
            learning_rate=_shortest(rate),
            train_loss=trained.loss,
            train_score=trained.score,
            validation_loss=None if validated is None else validated.loss,
            validation_score=None if validated is None else validated.score,
            seconds=seconds,
            selection_score=self._selection_score(weights),
        )

    def _selection_score(self, weights: Callable[[], Any]) -> float | None:
        """Score the validation set by ``scoring``; None where that is known already."""
        step, held_out = self.step, self.held_out
        if held_out is None or self.scoring is None or self.scoring == LOSS:
            return None
        x, index, backend = held_out.rows.x, held_out.index, step.backend
        if index is not None and lives_on(x, backend):
            x = backend.xp.take(x, backend.to_device(index), axis=0)
        elif index is not None:
            x = x[index]
        outputs = Model(step.network, weights(), step.loss, backend).predict_mean(x)
        return score_outputs(self.scoring, step.loss, to_numpy(outputs), *held_out.targets())

    def _finish_epoch(self, state: TrainState, record: EpochRecord) -> None:
        """Keep the weights if they are the best, and note it if this is the end."""

        def keep() -> None:
            self.best = copy(self._weights(state), self.step.backend)

        if not self.observe(record, keep) and record.epoch >= self.epochs:
            self.history.stopped = epochs_done(self.epochs)

    def observe(self, record: EpochRecord, keep: Callable[[], None]) -> bool:
        """Take in an epoch, have its weights kept if they are the best, and say whether to stop."""
        self.history.records.append(record)
        is_best, reason = True, ""
        score = record.validation_score
        if score is not None:
            if record.selection_score is not None:
                score = record.selection_score
            elif self.scoring == LOSS and record.validation_loss is not None:
                score = -record.validation_loss
            is_best, reason = self.stopping.observe(score)
            if self.plateau is not None:
                self.plateau.observe(score)
        if is_best or not self.history.best_epoch:  # a score may be NaN
            keep()
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
            held_out.order(np.arange(held_out.n_samples, dtype=np.int32)),
            target_spread(*held_out.targets(), step.loss),
            step.backend,
        )

    def _weights(self, state: TrainState) -> Any:
        """The weights that are scored and returned: averaged where an average is kept."""
        return state.params if self.step.average is None else state.average

    def model(self) -> Model | None:
        if self.best is None:
            return None
        step = self.step
        history, sign = self.history, ""
        if history.records:
            parts = [self.training, *([] if self.held_out is None else [self.held_out])]
            guesses = [best_guess(*part.targets(), step.loss) for part in parts]
            n_outputs = step.network.n_outputs
            sign = no_better_than_guessing(history.best, step.loss, n_outputs, *guesses)
        if sign and not history.warning:
            self.history.warning = (
                f"{sign}: try another learning rate (now {step.schedule.learning_rate:g}), more "
                f"epochs, or inputs scaled to about [0, 1]"
            )
        return Model(step.network, self.best, step.loss, step.backend, self.history, self.metadata)

    def check_finite(self, which: str, evaluation: Evaluation, epoch: int) -> None:
        if np.isfinite(evaluation.loss):
            return
        self.history.stopped = f"diverged in epoch {epoch}"
        message = (
            f"the {which} loss is not finite in epoch {epoch}: try a smaller learning rate "
            f"(now {self.step.schedule.learning_rate:g}), a bound on the gradient's norm "
            f"(clip_norm, --clip-norm), or inputs scaled to about [0, 1]"
        )
        raise DivergedError(message, epoch, self.model())

    def place(self) -> tuple[Batches, Batches]:
        """Return where the training and the held-out samples are taken from."""
        batches = self._place(self.training.rows)
        if self.held_out is None or self.held_out.rows is self.training.rows:
            return batches, batches
        return batches, self._place(self.held_out.rows)

    def _place(self, rows: Rows) -> Batches:
        """Place samples on the device, or leave them where they are if it has no room for them."""
        backend = self.step.backend
        on_host = isinstance(rows.x, (np.ndarray, Source))
        if self.resident or not on_host:
            return ResidentBatches(rows, backend)
        if self.resident is None and has_room(rows, backend):
            try:
                return ResidentBatches(rows, backend)
            except Exception as error:
                if not backend.is_out_of_memory(error):
                    raise
                message = (
                    f"{backend.device_name()} ran out of memory for {rows.nbytes / 1e9:.1f} GB of "
                    f"samples: they are sent in blocks instead, with the same results"
                )
                warnings.warn(message, RuntimeWarning, stacklevel=4)
        return HostBatches(rows, backend)


def epochs_done(epochs: int) -> str:
    """Say that a run has ended because its epochs are over."""
    return f"all {epochs} epochs done"


def has_room(rows: Rows, backend: Backend) -> bool:
    """Whether samples fit on the device, and those that are not in memory yet there as well."""
    memory = backend.memory()
    free = [] if memory is None else [RESIDENT_SHARE * memory.free]
    if isinstance(rows.x, Source):
        free.append(HOST_SHARE * (available_memory() or 0))
    return all(rows.nbytes < bytes_ for bytes_ in free)


def _shortest(number: np.ndarray) -> float:
    """The shortest decimal that reads back as the same number: 0.1, not 0.10000000149."""
    return float(str(number[()]))
