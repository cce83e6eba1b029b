"""The trainer: one or several members, trained together on one step.

A cohort owns the state and the loop, and runs the epochs. A member determines what differs between
fits: the order of its samples, its learning rate, its records, and when it stops.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, TypeVar

import numpy as np

from anynet import tree
from anynet.backends import Backend, Group, Share
from anynet.data.batches import Batches, split_order, split_orders
from anynet.data.subset import Subset
from anynet.members import numbers, per_member, with_numbers
from anynet.optim import Constant, ReduceOnPlateau, Schedule, Warmup
from anynet.seeds import device_seed
from anynet.training.evaluate import Evaluation, add_up, means, slice_rows
from anynet.training.state import Sums, TrainState, Weights, copy, initial_state, kept_weights
from anynet.training.step import EvaluationStep, PopulationStep, TrainingStep
from anynet.typing import Array

PROGRESS_PARTS = 20  # number of parts of an epoch; a watched member is called after each

AnyMember = TypeVar("AnyMember", bound="Member")


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch of one member.

    Attributes
    ----------
    trained : Evaluation
        Running means over the epoch.
    validated : Evaluation or None
        Of the held-out samples; None if the member has none.
    seconds : float
        The member's share of the time.
    weights : callable
        Returns the weights after the epoch, which the next epoch may overwrite.
    rate : callable
        Returns the learning rate of the last update.
    keep : callable
        Marks these weights as ``Member.best``.
    predicted : callable
        Returns the predicted mean of the target (N, O) for the held-out samples, on the host. The
        first call computes it for all members of the cohort at once.
    """

    trained: Evaluation
    validated: Evaluation | None
    seconds: float
    weights: Callable[[], Weights]
    rate: Callable[[], float]
    keep: Callable[[], None]
    predicted: Callable[[], np.ndarray]


class Member:
    """One fit: its step, its samples, and the decisions of the host between epochs.

    Attributes
    ----------
    step : TrainingStep
    training : Subset
        The samples to train on.
    held_out : Subset or None
        The samples that are scored after each epoch.
    batch_size : int
    seed : int
        Seed of the weights, the order, and the random bits on the device.
    short_first : bool
        Whether the short batch is the first of an epoch instead of the last.
    order_seed : int or None
        Seed of an order that all members share; None if each member has its own.
    best : Weights or None
        The weights to return; set by the cohort, see ``Epoch.keep``.
    watched : bool
        Whether ``within_epoch`` is called.
    seen : int
        Number of samples of the current epoch that have been trained on.
    seconds : float
        Training time of these samples.
    errors : type or tuple of type
        Exceptions of ``observe`` that end this member but not the others of its cohort.
    """

    step: TrainingStep
    training: Subset
    held_out: Subset | None
    batch_size: int
    seed: int
    short_first: bool = False
    order_seed: int | None = None
    best: Weights | None = None
    watched: bool = False
    seen: int = 0
    seconds: float = 0.0
    held_out_spread: np.ndarray
    errors: ClassVar[Any] = ()

    @property
    def ended(self) -> bool:
        """Whether training is complete before it starts, as for a resumed complete run."""
        return False

    @property
    def rate_factor(self) -> float:
        """The factor that multiplies the schedule in the next epoch."""
        return 1.0

    def place(self) -> tuple[Batches, Batches]:
        """Return the training and the held-out samples, placed for the loop."""
        raise NotImplementedError

    @property
    def key_word(self) -> int:
        """The 31-bit word that keys the random bits on the device."""
        return device_seed(self.seed)

    def sample_bytes(self) -> int:
        """Return the memory of the training samples on the device."""
        return self.training.rows.nbytes

    def start(self, fitted: dict[Any, Any]) -> Weights:
        """Return the initial weights on the device; ``fitted`` is shared by a cohort."""
        raise NotImplementedError

    def begin(self, state: TrainState) -> TrainState:
        """Return the state before the first step; only called if trained alone."""
        return state

    def order(self) -> np.ndarray:
        """Return the indices of the samples in the order of the next epoch."""
        raise NotImplementedError

    def epochs_ahead(self) -> int:
        """Return the number of epochs that can run before results must be observed."""
        return 1

    def within_epoch(self, state: TrainState, seen: int, seconds: float) -> None:
        """React to a part of an epoch; only called if trained alone."""

    def epoch_sent(self) -> None:
        """React to an epoch that was sent to the device, before its results are known."""

    def figures(self, sums: Sums) -> Evaluation:
        """Return the training loss and score from running sums on the host."""
        raise NotImplementedError

    def observe(self, epoch: Epoch) -> bool:
        """Record the results of an epoch and return whether training stops."""
        raise NotImplementedError

    def after_epoch(self, state: TrainState) -> None:
        """React to a recorded epoch; only called if trained alone."""

    def failed(self, error: Exception) -> None:
        """Record an exception of one of the classes ``errors``."""

    def finish(self, state: Callable[[], TrainState]) -> None:
        """React to the end of training; ``best`` is set, ``state`` returns the last state."""

    def key(self) -> Hashable:
        """Return a key that is equal for members that can be trained in one cohort."""
        held_out, index = self.held_out, self.training.index
        shared_index = None if self.order_seed is None or index is None else index.tobytes()
        return (
            common_step(self.step),
            self.batch_size,
            self.short_first,
            id(self.training.rows),
            self.training.n_samples,
            shared_index,
            None if held_out is None else (id(held_out.rows), held_out.n_samples),
        )


def group_members(members: Iterable[AnyMember]) -> list[list[AnyMember]]:
    """Group the members that can be trained as one computation, in their original order."""
    groups: dict[Hashable, list[AnyMember]] = {}
    for member in members:
        try:
            groups.setdefault(member.key(), []).append(member)
        except TypeError:  # a user-defined part that cannot be hashed
            groups[id(member)] = [member]
    return list(groups.values())


def train(
    members: Sequence[Member],
    progress: Callable[[int, int], None] | None = None,
    *,
    alone: bool = False,
    cohorts: Sequence[Cohort] | None = None,
    after_epoch: Callable[[Sequence[Cohort]], None] | None = None,
) -> None:
    """Train members until all have stopped, and store their weights in ``Member.best``.

    Parameters
    ----------
    members : sequence of Member
        With the same ``key``.
    progress : callable, optional
        Called after each epoch with its number and the number of members that continue, while the
        weights of the epoch are still in place.
    alone : bool
        Whether this is a single fit: without a population axis, and interruptible within an epoch.
    cohorts : sequence of Cohort, optional
        Cohorts of these members that continue; by default new ones of all members.
    after_epoch : callable, optional
        Called after each epoch with the cohorts that continue, to write checkpoints.
    """
    first = members[0]
    backend = first.step.backend
    batches, scored = first.place()
    if cohorts is None:
        cohorts = make_cohorts(members, alone=alone)
    active = [cohort for cohort in cohorts if any(cohort.going)]
    try:
        for epoch in itertools.count(1):
            if not active:
                break
            n_members = sum(sum(cohort.going) for cohort in active)
            backend.together([functools.partial(cohort.train, batches) for cohort in active])
            trained = [cohort.figures() for cohort in active]
            seconds = time.perf_counter() - min(cohort.started for cohort in active)
            validated = backend.together(
                [functools.partial(cohort.validate, scored) for cohort in active]
            )
            for cohort, running, held_out in zip(active, trained, validated, strict=True):
                cohort.observe(running, held_out, seconds / n_members, scored)
            if progress is not None:
                progress(epoch, sum(sum(cohort.going) for cohort in active))
            for cohort in active:
                cohort.compact()
            active = [cohort for cohort in active if any(cohort.going)]
            if after_epoch is not None:
                after_epoch(active)
    finally:
        for cohort in cohorts:
            cohort.hand_over()


def make_cohorts(members: Sequence[Member], *, alone: bool = False) -> Sequence[Cohort]:
    """Divide members with the same ``key`` into cohorts of the sizes that suit the backend."""
    first = members[0]
    backend, sizes = first.step.backend, [1]
    if not alone:
        nbytes = first.step.network.n_parameters * np.dtype(backend.dtype).itemsize
        sizes = backend.batch_sizes(len(members), nbytes)
    bounds = itertools.pairwise([0, *itertools.accumulate(sizes)])
    return backend.together(
        [functools.partial(Cohort, members[start:end], alone=alone) for start, end in bounds]
    )


class Cohort:
    """Members that are trained at once: their common state, and the best weights of each.

    Parameters
    ----------
    members : sequence of Member
        With the same ``key``.
    alone : bool
        Whether a single member is trained without a population axis.
    """

    def __init__(self, members: Sequence[Member], *, alone: bool = False) -> None:
        self.members = list(members)
        self.alone = alone
        self.going = [True] * len(members)
        self.backend: Backend = members[0].step.backend
        self.started = 0.0  # when the current epoch began
        self.sums: list[Sums] = []  # of the epochs that are not observed yet
        self.factors: list[float] = []  # of the learning rates on the device
        self._make_loops()
        step, xp = with_numbers(self.step, self.numbers), self.backend.xp
        fitted: dict[Any, Any] = {}
        starts = [member.start(fitted) for member in members]
        seeds = [member.seed for member in members]
        self.state: TrainState = initial_state(
            step.network,
            step.loss,
            step.optimizer,
            seeds[0] if alone else tuple(seeds),
            self.backend,
            average=step.average is not None,
            weights=starts[0] if alone else tree.map(lambda *leaves: xp.stack(leaves), *starts),
            sums=step.zero_sums(self.population),
        )
        words = np.array([member.key_word for member in members], dtype=np.int32)
        keys = self.backend.to_device(words.reshape(self.population))
        self.state = self.state._replace(seed=keys)
        if not alone:
            self.state = self.backend.divide_members(self.state)
        self.best: Any = None if alone else copy(self._weights(), self.backend)
        if alone:
            self.state = members[0].begin(self.state)
            self.going = [not members[0].ended]

    def _make_loops(self) -> None:
        """Split the steps into the common step and the numbers that differ between members."""
        backend, seed = self.backend, self.members[0].order_seed
        if self.alone:
            self.step, self.numbers = self.members[0].step, dict[str, Array]()
        else:
            self.step, self.numbers = stack_numbers([one.step for one in self.members], backend)
            alike = not any(path.startswith("augment.") for path in self.numbers)
            if seed is not None and self.step.augment is not None and alike:
                word = np.asarray(device_seed(seed), dtype=np.int32)
                self.numbers["augment.seed"] = backend.to_device(word)  # one augmentation for all
        scoring = EvaluationStep(self.step.network, self.step.loss, backend)
        self.loop = backend.loop(PopulationStep(self.step))
        self.scoring = backend.loop(PopulationStep(scoring))
        # Once, as other sizes would be captured or compiled anew; the same in all processes.
        rows = slice_rows(self.step.network, backend, len(self.members))
        self.scored_rows = backend.group.size * backend.group.broadcast(rows)

    @property
    def population(self) -> tuple[int, ...]:
        """The population axes: none for a single fit."""
        return () if self.alone else (len(self.members),)

    def train(self, batches: Batches) -> None:
        """Train all members for one epoch, or for several if none can stop before the last."""
        first = self.members[0]
        self.started = time.perf_counter() - (first.seconds if self.alone else 0.0)
        self.sums = []
        ahead = min(one.epochs_ahead() for one in self._going())
        for _ in range(ahead):
            self._train_epoch(batches)
            sums = self.state.sums
            # The loop may overwrite these arrays in the next epoch.
            self.sums.append(sums if ahead == 1 else copy(sums, self.backend))
            for member in self._going():
                member.epoch_sent()

    def _train_epoch(self, batches: Batches) -> None:
        """Train one epoch, or the rest of one that was interrupted."""
        first, seen = self.members[0], self.members[0].seen if self.alone else 0
        if seen == 0:
            self.state = self.state._replace(sums=self.step.zero_sums(self.population))
            factors = [one.rate_factor for one in self.members]
            if factors != self.factors:
                self.factors = factors
                shaped = np.reshape(np.array(factors, self.backend.dtype), self.population)
                self.state = self.state._replace(rate_factor=self.backend.to_device(shaped))
        parts = self._order()
        ends = np.cumsum([part.size for part in parts]).tolist()
        left = [part for part, end in zip(parts, ends, strict=True) if end > seen]
        with closing(batches.blocks(*left, members=self.step.network.members)) as blocks:
            for rows, block in blocks:
                self.state = self.loop.run(self.state, rows, (block, self.numbers))
                seen += math.prod(rows.shape)
                if self.alone and first.watched and seen in ends:
                    first.within_epoch(self.state, seen, time.perf_counter() - self.started)

    def _order(self) -> list[np.ndarray]:
        """Return the batches of the next epoch, as arrays (steps, B) or (steps, K, B)."""
        first = next(self._going())
        order = first.order()
        if self.alone or first.order_seed is not None:
            parts = PROGRESS_PARTS if self.alone and first.watched else 1
            return split_order(order, first.batch_size, parts, short_first=first.short_first)
        orders = [  # the order of a stopped member has no effect
            one.order() if going and one is not first else order
            for one, going in zip(self.members, self.going, strict=True)
        ]
        return split_orders(orders, first.batch_size, short_first=first.short_first)

    def figures(self) -> list[list[Evaluation]]:
        """Return the training results of each member, epoch by epoch; waits for the device."""
        return [
            [member.figures(self._of(sums, index)) for index, member in enumerate(self.members)]
            for sums in [tree.map(self.backend.to_host, sums) for sums in self.sums]
        ]

    def validate(self, scored: Batches) -> Sequence[Evaluation | None]:
        """Evaluate all members on their held-out samples, if they have some."""
        parts = self._held_out_parts()
        if not parts:
            return [None] * len(self.members)
        zero = self.step.zero_sums(self.population)
        sums = add_up(self.scoring, zero, self._weights(), scored, parts, self.numbers)
        sums = tree.map(self.backend.to_host, self.backend.all_reduce(sums))
        return [
            means(self._of(sums, index), self.step.loss, member.held_out_spread)
            for index, member in enumerate(self.members)
        ]

    def _held_out_parts(self) -> list[np.ndarray]:
        """Return the held-out samples in batches, (steps, B) or (steps, K, B); [] for none."""
        held_out = [one.held_out for one in self.members if one.held_out is not None]
        if not held_out:
            return []
        positions = np.arange(held_out[0].n_samples, dtype=np.int32)
        size = min(self.scored_rows, positions.size)
        orders = [subset.order(positions) for subset in held_out]
        alike = all(np.array_equal(order, orders[0]) for order in orders[1:])
        return split_order(orders[0], size) if alike else split_orders(orders, size)

    def _predict(self, scored: Batches) -> np.ndarray:
        """Return the predicted means of the held-out samples, (*P, N, O), on the host."""
        step, weights, means = with_numbers(self.step, self.numbers), self._weights(), []
        parts, group = self._held_out_parts(), self.backend.group
        with closing(scored.blocks(*parts)) as blocks:
            for order, data in blocks:
                share = self.backend.share(order.shape[-1])
                for index in range(order.shape[0]):
                    x = step.gather(order[index, ...], data, share).x
                    logits = step.network.predict(
                        weights.params, x, backend=self.backend, states=weights.states
                    )
                    mean = step.loss.link(logits, self.backend.xp)
                    means.append(self.backend.to_host(mean))
        predicted = np.concatenate(means, axis=-2)
        return predicted if self.backend.share(1) is None else _assembled(predicted, parts, group)

    def observe(
        self,
        trained: list[list[Evaluation]],
        validated: Sequence[Evaluation | None],
        seconds: float,
        scored: Batches,
    ) -> None:
        """Pass the results to each member, keep the best weights, and end members that stop."""
        improved = np.zeros(len(self.members), dtype=bool)
        rates = functools.cache(self._rates)
        predict = functools.cache(functools.partial(self._predict, scored))

        def stops(index: int) -> bool:
            member = self.members[index]
            for figures in trained:
                epoch = Epoch(
                    figures[index],
                    validated[index],
                    seconds / len(trained),
                    weights=lambda: self._of(self._weights(), index),
                    rate=lambda: _shortest(rates()[index]),
                    keep=lambda: improved.__setitem__(index, True),
                    predicted=lambda: predict() if self.alone else predict()[index],
                )
                try:
                    ends = member.observe(epoch)
                except member.errors as error:
                    if self.alone:
                        raise
                    member.failed(error)
                    return True
            return ends

        try:
            stopped = [index for index, going in enumerate(self.going) if going and stops(index)]
        finally:
            self._keep(improved)
        if self.alone:
            self.members[0].after_epoch(self.state)
        for index in stopped:
            member, self.going[index] = self.members[index], False
            if not self.alone:
                member.best = self._copy_of(self.best, index)
            member.finish(functools.partial(self._copy_of, self.state, index))

    def _rates(self) -> np.ndarray:
        """Return the learning rates (P,) of the last update, with P = 1 for a single fit."""
        step = with_numbers(self.step, self.numbers)
        # An array: NumPy raises scalars to a power to other bits than the arrays of the loop.
        last = self.backend.xp.reshape(self.state.step, (1,)) - 1
        rate: Any = step.schedule(last, step.steps_per_epoch, backend=self.backend)
        return self.backend.to_host(rate * self.state.rate_factor).reshape(-1)

    def _keep(self, improved: np.ndarray) -> None:
        """Copy the weights of the members in the mask ``improved``."""
        if not improved.any():
            return
        if self.alone:
            self.members[0].best = copy(self._weights(), self.backend)
            return
        xp, mask = self.backend.xp, self.backend.to_device(improved)
        self.best = tree.map(
            lambda new, old: xp.where(per_member(mask, new, xp), new, old),
            self._weights(),
            self.best,
        )

    def compact(self) -> None:
        """Drop the members that have stopped, once they are half of the cohort."""
        left = [index for index, going in enumerate(self.going) if going]
        if not 0 < len(left) <= len(self.members) // 2:
            return
        xp, index = self.backend.xp, self.backend.to_device(np.array(left, dtype=np.int32))

        def keep(leaf: Array) -> Any:
            return xp.take(leaf, index, axis=0) if leaf.ndim else xp.asarray(leaf, copy=True)

        self.state = self.backend.divide_members(tree.map(keep, self.state))
        self.best = self.backend.divide_members(tree.map(keep, self.best))
        self.members = list(self._going())
        self.going = [True] * len(left)
        self._make_loops()

    def hand_over(self) -> None:
        """Store the best weights of the members that have not stopped."""
        for index, member in enumerate(self.members):
            if self.going[index] and not self.alone:
                member.best = self._copy_of(self.best, index)

    def _going(self) -> Iterator[Member]:
        return itertools.compress(self.members, self.going)

    def _weights(self) -> Weights:
        return kept_weights(self.state, self.step.network)

    def _of(self, arrays: Any, index: int) -> Any:
        """Return the part of a tree that belongs to one member."""
        if self.alone:
            return arrays
        return tree.map(lambda leaf: leaf[index, ...] if leaf.ndim else leaf, arrays)

    def _copy_of(self, arrays: Any, index: int) -> Any:
        return copy(self._of(arrays, index), self.backend)


class Differs(Enum):
    """The placeholder in a common step for numbers that differ between members."""

    DIFFERS = "one number a member"


DIFFERS = Differs.DIFFERS


def common_step(step: TrainingStep) -> TrainingStep:
    """Return what the members of one cohort share: the step without its numbers.

    The host reduces the rate on a plateau, so such a schedule counts as a constant one.
    """
    step = _without_plateau(step)
    return with_numbers(step, {path: DIFFERS for path, _ in numbers(step)})


def stack_numbers(
    steps: Sequence[TrainingStep], backend: Backend
) -> tuple[TrainingStep, dict[str, Array]]:
    """Split steps with one ``common_step`` into the shared step and the numbers that differ.

    Parameters
    ----------
    steps : sequence of TrainingStep
    backend : Backend

    Returns
    -------
    TrainingStep
        For ``PopulationStep``.
    dict of str to Array
        One number a member, (P,), at each path of ``anynet.members.numbers`` where they differ.
    """
    steps = [_without_plateau(step) for step in steps]
    members = [dict(numbers(step)) for step in steps]
    arrays: dict[str, Array] = {}
    for path in members[0]:
        values = [member[path] for member in members]
        if len(set(values)) > 1:
            arrays[path] = backend.to_device(np.array(values, dtype=backend.dtype))
    return with_numbers(steps[0], dict.fromkeys(arrays, DIFFERS)), arrays


def _assembled(predicted: np.ndarray, parts: Sequence[np.ndarray], group: Group) -> np.ndarray:
    """Return the predictions (N, O) of all processes in the order of the batches ``parts``."""
    everyone = group.gather(predicted)
    result = np.empty((sum(part.size for part in parts), predicted.shape[-1]), predicted.dtype)
    for rank, rows in enumerate(everyone):
        taken = start = 0
        for size in itertools.chain(*([part.shape[-1]] * len(part) for part in parts)):
            share = Share.of(size, rank, group.size)
            for first, last in share.ranges:
                if not share.is_empty:
                    result[start + first : start + last] = rows[taken : taken + last - first]
                taken += last - first
            start += size
    return result


def _without_plateau(step: TrainingStep) -> TrainingStep:
    return replace(step, schedule=_as_constant(step.schedule))


def _as_constant(schedule: Schedule) -> Schedule:
    if isinstance(schedule, ReduceOnPlateau):
        return Constant(schedule.value)
    if isinstance(schedule, Warmup):
        return replace(schedule, schedule=_as_constant(schedule.schedule))
    return schedule


def _shortest(number: np.ndarray) -> float:
    """Return the shortest decimal that reads back as the same number: 0.1, not 0.10000000149."""
    return float(str(number[()]))
