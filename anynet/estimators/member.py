"""One fit among others that are trained with it as one computation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from types import NoneType
from typing import Any

import numpy as np

from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.estimators.placement import RESIDENT_SHARE
from anynet.estimators.step import SolverState
from anynet.estimators.task import Task
from anynet.training.history import Callback
from anynet.training.trainer import common_step
from anynet.typing import Params

COPIES = 8  # arrays of the parameters' size that a member holds while it is trained
ACTIVATIONS_KEPT = 4  # and of an activation's size
HOST_BYTES = 2**30  # for all members at work, where free memory cannot be told
PLAIN = (bool, int, float, str, tuple, list, np.ndarray, np.generic, NoneType)


def can_be_member(estimator: Any) -> bool:
    """Whether an estimator is one network, trained by steps, of parts that are anynet's own.

    A part of the user's may know nothing of a population axis.
    """
    parts = [estimator.solver, estimator.learning_rate, getattr(estimator, "loss", None)]
    in_steps = estimator.solver != "lbfgs" and estimator.n_ensemble == 1
    return in_steps and all(map(_is_own, parts))


def _is_own(part: Any) -> bool:
    if not dataclasses.is_dataclass(part):
        return isinstance(part, PLAIN)
    inner = [getattr(part, field.name) for field in dataclasses.fields(part)]
    return type(part).__module__.partition(".")[0] == "anynet" and all(map(_is_own, inner))


class Member:
    """A task with all that it keeps to itself.

    Parameters
    ----------
    task : Task
    callbacks : tuple of callable
        Called after those of the estimator.

    Attributes
    ----------
    failure : Exception or None
        What went wrong with this one.
    seconds : float
        Its share of the time.
    """

    def __init__(self, task: Task, callbacks: tuple[Callback, ...] = ()) -> None:
        self.task = task
        self.descent = task.descent()
        self.run = self.descent.run
        self.run.callbacks = (*self.run.callbacks, *callbacks)
        self.failure: Exception | None = None
        self.seconds = 0.0
        self.best: Params | None = None
        self.going = True

    @property
    def backend(self) -> Backend:
        """Where it is trained."""
        return self.task.objective.backend

    @property
    def rows(self) -> Rows:
        """The samples, of which it trains on some."""
        return self.task.held.rows

    def key(self) -> Hashable:
        """Return what members of one computation have in common."""
        step = common_step(self.descent.step)
        return step, self.descent.batch_size, self.run.n_samples, id(self.rows), self.task.dtype

    def begin(self) -> Params:
        """Return the weights to start from, packed; now the validation set takes memory."""
        self.descent.select_validation()
        packed = self.task.first_weights()
        self.best = packed if self.run.patience.rising else None
        return packed

    def next_order(self) -> np.ndarray:
        """Return the places of the samples in the order of the next epoch."""
        order = self.run.next_order() if self.going else self.run.order
        places = self.task.held.places
        return order if places is None else places[order].astype(np.int32)

    def goes_on(
        self,
        loss: float,
        seconds: float,
        weights: Callable[[], Params],
        last_rate: Callable[[], float],
    ) -> bool:
        """Enter an epoch; return False, and let ``going`` say so, when it was the last.

        Parameters
        ----------
        loss, seconds, weights, last_rate
            See ``Run.finish_epoch``; the weights must be the member's own to keep.
        """
        run = self.run
        self.seconds += seconds
        try:
            is_best, stop = run.finish_epoch(loss, seconds, weights, last_rate)
        except Exception as error:  # of a scorer or a callback of the user's
            self.failure, self.going = error, False
            return False
        if is_best and self.best is not None:
            self.best = weights()
        if not stop and run.epochs_left <= 0:
            run.warn_of_max_iter()
            stop = True
        self.going = not stop
        return self.going

    def finish(self, state: SolverState) -> None:
        """Give the estimator what it has learnt, when training has ended."""
        if self.failure is None:
            self.descent.remember(state)
            self._set(self.run.weights_to_keep(state.packed, self.best))

    def interrupt(self, kept: Params) -> None:
        """Give the estimator what it had learnt after the last epoch that was completed."""
        self.going = False
        self._set(kept if self.best is None else self.best)

    def _set(self, packed: Params) -> None:
        try:
            self.task.finish(packed)
        except ValueError as error:
            self.failure = error


def that_fit(members: Sequence[Member]) -> Iterator[Sequence[Member]]:
    """Cut members of one ``key`` into parts of about equal size that fit into memory."""
    memory = members[0].backend.memory()
    limit = HOST_BYTES if memory is None else memory.free * RESIDENT_SHARE
    most = max(1, int(limit // member_bytes(members[0])))
    parts = -(-len(members) // most)
    for index in range(parts):
        yield members[index * len(members) // parts : (index + 1) * len(members) // parts]


def member_bytes(member: Member) -> int:
    """Estimate what a member takes on the device while it is trained, in bytes."""
    network = member.task.objective.packing.network
    widths = [network.n_inputs]
    for layer in network.layers:
        widths.append(layer.shapes(widths[-1])[1])
    activations = ACTIVATIONS_KEPT * member.descent.batch_size * sum(widths)
    itemsize = np.dtype(member.backend.dtype).itemsize
    return COPIES * parameter_bytes(member) + itemsize * activations


def parameter_bytes(member: Member) -> int:
    """Return what the parameters of a member take, in bytes."""
    slots = member.task.objective.packing.slots
    count = sum(slot.stop - slot.start for slot in slots)
    return count * np.dtype(member.backend.dtype).itemsize
