"""One run: epochs of steps, with the host looking in between."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.data.batches import (
    Batches,
    HostBatches,
    ResidentBatches,
    Rows,
    epoch_order,
    split_order,
)
from anynet.data.subset import Subset
from anynet.errors import DivergedError, TrainingInterrupted
from anynet.training.chance import no_better_than_guessing
from anynet.training.evaluate import Evaluation, evaluate, finish, target_spread
from anynet.training.history import Callback, EpochRecord, History, Progress, ProgressCallback
from anynet.training.model import Model
from anynet.training.state import TrainState, copy, initial_state, zero_sums
from anynet.training.step import TrainingStep
from anynet.training.stopping import EarlyStopping, Plateau

PROGRESS_PARTS = 20
RESIDENT_SHARE = 0.7  # of the device's free memory that the data may take


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
    best: Any = None

    def train(self) -> Model:
        step, backend = self.step, self.step.backend
        self.history = History(step.loss.metric.name)
        self.spread = target_spread(*self.training.targets(), step.loss)
        try:
            batches = scored = self._place(self.training.rows)
            if self.held_out is not None and self.held_out.rows is not self.training.rows:
                scored = self._place(self.held_out.rows)
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
        self, state: TrainState, epoch: int, batches: Batches, scored: Batches
    ) -> tuple[TrainState, EpochRecord]:
        """Train one epoch, and score the result on the validation set."""
        step, backend = self.step, self.step.backend
        state = state._replace(sums=zero_sums(step.loss, step.network, state.seed.shape, backend))
        if self.plateau is not None:
            factor = np.full(state.seed.shape, self.plateau.factor, dtype=backend.dtype)
            state = state._replace(rate_factor=backend.to_device(factor))
        order = self.training.order(
            epoch_order(self.training.n_samples, self.seed, epoch, self.shuffle)
        )
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
        self._check_finite("training", trained, epoch)
        validated = None if self.held_out is None else self._validate(state, scored)
        if validated is not None:
            self._check_finite("validation", validated, epoch)
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
            held_out.order(np.arange(held_out.n_samples, dtype=np.int32)),
            target_spread(*held_out.targets(), step.loss),
            step.backend,
        )

    def _weights(self, state: TrainState) -> Any:
        """The weights that are scored and returned: averaged where an average is kept."""
        return state.params if self.step.average is None else state.average

    def _model(self) -> Model | None:
        if self.best is None:
            return None
        step = self.step
        sign = no_better_than_guessing(self.history.best, step.loss, step.network.n_outputs)
        if sign:
            self.history.warning = (
                f"{sign}: try another learning rate (now {step.schedule.learning_rate:g}), more "
                f"epochs, or inputs scaled to about [0, 1]"
            )
        return Model(step.network, self.best, step.loss, step.backend, self.history, self.metadata)

    def _check_finite(self, which: str, evaluation: Evaluation, epoch: int) -> None:
        if np.isfinite(evaluation.loss):
            return
        self.history.stopped = f"diverged in epoch {epoch}"
        message = (
            f"the {which} loss is not finite in epoch {epoch}: try a smaller learning rate "
            f"(now {self.step.schedule.learning_rate:g}), a bound on the gradient's norm "
            f"(clip_norm, --clip-norm), or inputs scaled to about [0, 1]"
        )
        raise DivergedError(message, epoch, self._model())

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
