"""One call of ``fit``: its records, its stopping rules and its model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from anynet import tree
from anynet.backends import Group
from anynet.backends.groups import ALONE
from anynet.data.batches import Batches, block_order, epoch_order, interleave, member_orders
from anynet.data.subset import Subset
from anynet.errors import DivergedError, TrainingInterrupted
from anynet.log import LOGGER
from anynet.optim.schedules import describe_value
from anynet.training.checkpoint.container import Container
from anynet.training.checkpoint.folder import CheckpointFolder
from anynet.training.checkpoint.snapshot import Saver
from anynet.training.diagnostics import best_guess, no_better_than_guessing
from anynet.training.evaluate import (
    LOSS,
    Evaluation,
    means,
    name_of,
    score_outputs,
    target_spread,
)
from anynet.training.history import (
    Callback,
    EarlyStopping,
    EpochRecord,
    History,
    Plateau,
    Progress,
    ProgressCallback,
    StopReason,
    TimeLimit,
    describe_figures,
)
from anynet.training.model import Model
from anynet.training.options import FitOptions
from anynet.training.placement import place
from anynet.training.progress import TrainingBar
from anynet.training.selection import Pool
from anynet.training.state import Sums, TrainState, Weights, copy, first_weights
from anynet.training.step import TrainingStep
from anynet.training.trainer import Epoch, Member, train


@dataclass
class Run(Member):
    """One call of ``fit``, or one member of ``fit_population``, with checked arguments.

    Attributes
    ----------
    name : str
        The member of a population in the log, such as ``"member 3"``; empty for a single network.
    """

    errors = DivergedError

    step: TrainingStep
    options: FitOptions
    training: Subset
    held_out: Subset | None
    stopping: EarlyStopping
    plateau: Plateau | None
    resident: bool | None
    callbacks: tuple[Callback, ...]
    progress: ProgressCallback | bool | None
    metadata: dict[str, Any]
    start_weights: Weights | None = None
    pool: Pool | None = None
    name: str = ""
    checkpoints: CheckpointFolder | None = None
    resumed: Container | None = None
    saver: Saver | None = field(default=None, init=False)
    history: History = field(init=False)
    limit: TimeLimit = field(init=False)

    def __post_init__(self) -> None:
        loss, options = self.step.loss, self.options
        self.seed = options.seed
        self.batch_size = options.batch_size * self.step.network.members
        self.short_first = options.shuffle
        self.history = History(loss.metric.name, scoring=name_of(options.scoring))
        self.limit = TimeLimit(options.time_limit)
        share = self.epoch_samples / self.training.n_samples
        self.spread = share * target_spread(*self.training.targets(), loss)
        if self.held_out is not None:
            self.held_out_spread = target_spread(*self.held_out.targets(), loss)

    def train(self) -> Model:
        """Train this network alone.

        Returns
        -------
        Model

        Raises
        ------
        DivergedError
            If the loss of an epoch is not finite.
        TrainingInterrupted
            On Ctrl-C; its ``model`` is the best so far.
        """
        self.limit.begin(TimeLimit.clock())
        self._log(logging.INFO, "training begins: %s", self._introduction())
        try:
            if self.checkpoints is not None or self.group.size > 1:
                self.saver = Saver(self, self.checkpoints)
            with self.saver or nullcontext(), self._bar():
                self.watched = self.progress is not None or self.saver is not None
                train([self], alone=True)
        except KeyboardInterrupt as interrupt:
            self.history.stop(StopReason.INTERRUPTED, "interrupted")
            self.log_result()
            raise TrainingInterrupted(self.model()) from interrupt
        model = self.model()
        assert model is not None  # at least one epoch was finished
        self.log_result()
        return model

    @contextmanager
    def _bar(self) -> Iterator[None]:
        """Show a bar in the block with ``progress=True``."""
        if self.progress is not True:
            yield
            return
        with TrainingBar(self.history.metric, self.options.epochs) as bar:
            self.progress, self.callbacks = bar.within_epoch, (*self.callbacks, bar.after_epoch)
            yield

    def _introduction(self) -> str:
        """Return the network, the data and the backend, and why that was chosen."""
        network, backend = self.step.network, self.step.backend
        held_out = 0 if self.held_out is None else self.held_out.n_samples
        return (
            f"{network.n_parameters} parameters, {network.n_inputs} inputs, {network.n_outputs} "
            f"outputs; {self.training.n_samples} samples, {held_out} held out; batch size "
            f"{self.options.batch_size}, at most {self.options.epochs} epochs; {backend.name} on "
            f"{backend.device_name()}, {backend.dtype}: {backend.reason}"
        )

    def log_result(self) -> None:
        """Log why training ended, and which weights are kept."""
        history = self.history
        if history.warning:
            self._log(logging.WARNING, "%s", history.warning)
        if not history.records:
            return
        best, last = history.best, history.records[-1].epoch
        why, kept = history.stopped, f"the weights of epoch {best.epoch} are kept"
        score = best.validation_score
        if best.selection_score is not None:
            kept += f" ({history.scoring} {best.selection_score:.6g})"
        elif score is not None:
            kept += f" (validation {history.metric} {score:.6g})"
        self._log(logging.INFO, "training ended after epoch %d: %s; %s", last, why, kept)

    def _log(self, level: int, message: str, *args: Any) -> None:
        """Log a message in one process, after the name of the member if there is one."""
        if self.group.is_first:
            prefix = f"{self.name}: " if self.name else ""
            LOGGER.log(level, prefix + message, *args)

    @property
    def group(self) -> Group:
        """The processes that train together."""
        return self.step.backend.group

    @property
    def ended(self) -> bool:
        """Whether the run was complete when its last checkpoint was written."""
        return bool(self.history.stopped)

    @property
    def epoch_samples(self) -> int:
        """The number of rows in an epoch: all, or with ``drop_last`` whole batches.

        Each member of a network with members has its own.
        """
        rows = self.training.n_samples * self.step.network.members
        return min(rows, self.step.steps_per_epoch * self.batch_size)

    @property
    def rate_factor(self) -> float:
        """The factor by which the learning rate was reduced on a plateau."""
        return 1.0 if self.plateau is None else self.plateau.factor

    def place(self) -> tuple[Batches, Batches]:
        """Return the training and the held-out samples, placed for the loop."""
        rows, backend = self.training.rows, self.step.backend
        batches = place(rows, backend, self.resident)
        if self.held_out is None or self.held_out.rows is rows:
            return batches, batches
        return batches, place(self.held_out.rows, backend, self.resident)

    def start(self, fitted: dict[Any, Any]) -> Weights:
        """Return the weights to continue from, or new ones."""
        if self.start_weights is not None:
            return self.start_weights
        step, backend = self.step, self.step.backend

        def drawn() -> Weights:
            return first_weights(step.network, self.seed, self.training, backend, fitted)

        if self.group.size == 1:
            return drawn()
        weights = self.group.decide(lambda: tree.map(backend.to_host, drawn()))
        return tree.map(backend.to_device, weights)

    def begin(self, state: TrainState) -> TrainState:
        """Return the state of the checkpoint that is resumed, or the initial state."""
        return state if self.saver is None else self.saver.begin(state)

    def order(self) -> np.ndarray:
        """Return the indices of the samples in the order of the next epoch."""
        training, blocks, epoch = self.training, self.training.blocks(), self._epoch
        seed = self.seed if self.order_seed is None else self.order_seed
        n_samples, shuffle = training.n_samples, self.options.shuffle
        members, size = self.step.network.members, self.options.batch_size
        if shuffle and blocks is not None:
            window_rows = training.rows.x.window_rows
            order = block_order(blocks, seed, epoch, size, window_rows)
            if members > 1:  # they share the samples that are in memory at once
                order = interleave(np.tile(order, (members, 1)), size)
        elif members > 1:
            order = interleave(member_orders(n_samples, seed, epoch, members, shuffle), size)
        else:
            order = epoch_order(n_samples, seed, epoch, shuffle)
        return training.order(order[: self.epoch_samples])

    @property
    def _epoch(self) -> int:
        """The number of the epoch that is being trained."""
        return len(self.history.records) + 1

    def within_epoch(self, state: TrainState, seen: int, seconds: float) -> None:
        """Report progress, and write a checkpoint if one is due."""
        self.seen, self.seconds = seen, seconds
        total = self.epoch_samples
        if callable(self.progress):
            now = self.figures(tree.map(self.step.backend.to_host, state.sums))
            self.progress(Progress(self._epoch, self.options.epochs, seen, total, *now))
        if self.saver is not None and seen < total:
            self.saver.within_epoch(state)

    def figures(self, sums: Sums) -> Evaluation:
        """Return the training loss and score from running sums on the host."""
        return means(sums, self.step.loss, self.spread)

    def observe(self, epoch: Epoch) -> bool:
        """Record an epoch, mark its weights if they are the best, and return whether to stop.

        Raises
        ------
        DivergedError
            If a loss is not finite.
        """
        self.seen, self.seconds = 0, 0.0
        trained, validated = epoch.trained, epoch.validated
        self._check_finite("training", trained)
        if validated is not None:
            self._check_finite("validation", validated)
        own = EpochRecord(
            epoch=self._epoch,
            learning_rate=epoch.rate(),
            train_loss=trained.loss,
            train_score=trained.score,
            validation_loss=None if validated is None else validated.loss,
            validation_score=None if validated is None else validated.score,
            seconds=epoch.seconds,
            selection_score=self._selection_score(epoch.predicted),
        )
        record = self.group.broadcast(own)  # the clock of process 0
        self.history.records.append(record)
        level = logging.DEBUG if self.name else logging.INFO
        if LOGGER.isEnabledFor(level):
            figures = describe_figures(record, self.history.metric)
            self._log(level, "epoch %d/%d: %s", record.epoch, self.options.epochs, figures)
        is_best, stop = True, None
        score = record.validation_score
        if score is not None:
            if record.selection_score is not None:
                score = record.selection_score
            elif self.options.scoring == LOSS and record.validation_loss is not None:
                score = -record.validation_loss
            is_best, stop = self.stopping.observe(score)
            if self.plateau is not None:
                before, factor = self.rate_factor, self.plateau.observe(score)
                if factor != before:
                    self._log(logging.INFO, "learning rate is reduced, to %g of its value", factor)
        if is_best or not self.history.best_epoch:  # a score may be NaN
            epoch.keep()
            self.history.best_epoch = record.epoch
        if any([callback(record) is True for callback in self.callbacks]):  # noqa: C419
            stop = stop or (StopReason.CALLBACK, "a callback asked to stop")
        if stop is None and record.epoch >= self.options.epochs:
            stop = StopReason.EPOCHS, f"all {self.options.epochs} epochs done"
        stop = self.group.broadcast(stop or self.limit.observe())
        if self.pool is not None:
            stop = stop or self.pool.finished
            self.pool.add(epoch.predicted(), lambda: self._model_after(epoch))
        if stop is not None:
            self.history.stop(*stop)
        return stop is not None

    def _model_after(self, epoch: Epoch) -> Model:
        """Return the model as it is after an epoch, with the records so far."""
        weights: Weights = copy(epoch.weights(), self.step.backend)
        records = list(self.history.records)
        history = replace(self.history, records=records, best_epoch=len(records))
        return self._as_model(weights, history=history)

    def after_epoch(self, state: TrainState) -> None:
        """Write a checkpoint if one is due."""
        if self.saver is not None:
            self.saver.after_epoch(state)

    def failed(self, error: Exception) -> None:
        """Record that this member of a population has diverged."""
        self.history.warning = str(error)

    def _selection_score(self, predicted: Callable[[], np.ndarray]) -> float | None:
        """Score the held-out samples by ``scoring``; None without an additional score."""
        held_out, scoring = self.held_out, self.options.scoring
        if held_out is None or scoring is None or scoring == LOSS:
            return None
        outputs, targets, loss = predicted(), held_out.targets(), self.step.loss
        return self.group.decide(lambda: score_outputs(scoring, loss, outputs, *targets))

    def model(self) -> Model | None:
        """Return the model with the best weights so far; None if no epoch was finished."""
        if self.best is None:
            return None
        step, history, sign = self.step, self.history, ""
        if history.records:
            parts = [self.training, *([] if self.held_out is None else [self.held_out])]
            guesses = [best_guess(*part.targets(), step.loss) for part in parts]
            n_outputs = step.network.n_outputs
            sign = no_better_than_guessing(history.best, step.loss, n_outputs, *guesses)
        if sign and not history.warning:
            history.warning = (
                f"{sign}: try another learning rate (now {describe_value(step.schedule)}), more "
                f"epochs, or inputs scaled to about [0, 1]"
            )
        return self._as_model(self.best, history=history, metadata=self.metadata)

    def _as_model(self, weights: Weights, **about: Any) -> Model:
        step, backend = self.step, self.step.backend.joined(ALONE)
        params, states = tree.map(backend.to_device, weights)
        return Model(step.network, params, step.loss, backend, states=states, **about)

    def _check_finite(self, which: str, evaluation: Evaluation) -> None:
        if np.isfinite(evaluation.loss):
            return
        epoch = self._epoch
        self.history.stop(StopReason.DIVERGED, f"diverged in epoch {epoch}")
        message = (
            f"the {which} loss is not finite in epoch {epoch}: try a smaller learning rate "
            f"(now {describe_value(self.step.schedule)}), a bound on the gradient's norm "
            f"(clip_norm), or inputs scaled to about [0, 1]"
        )
        raise DivergedError(message, epoch, self.model())
