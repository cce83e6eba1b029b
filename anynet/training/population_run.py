"""Runs that differ in numbers alone, trained as one computation."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.data.batches import Batches, split_order, split_orders
from anynet.errors import DivergedError
from anynet.members import numbers, per_member, with_numbers
from anynet.optim import Constant, ReduceOnPlateau, Schedule, Warmup
from anynet.seeds import device_seed
from anynet.training.evaluate import (
    EVALUATION_BATCH,
    Evaluation,
    finish_members,
    target_spread,
)
from anynet.training.history import StopReason
from anynet.training.run import Run
from anynet.training.state import Weights, copy, initial_state, kept_weights, zero_sums
from anynet.training.step import EvaluationStep, PopulationStep
from anynet.typing import Array

Step = TypeVar("Step")  # a TrainingStep, or another dataclass with a ``schedule``


class Differs(Enum):
    """What stands in a common step where members have numbers of their own."""

    DIFFERS = "one number a member"

    def __repr__(self) -> str:
        return self.value


DIFFERS = Differs.DIFFERS


def common_step(step: Step) -> Step:
    """Return what members of one computation must share: a step without its numbers.

    Reducing the rate on a plateau is done by the host, so such a schedule is a constant one here.
    """
    step = _without_plateau(step)
    return with_numbers(step, {path: DIFFERS for path, _ in numbers(step)})


def stack_numbers(steps: Sequence[Step], backend: Backend) -> tuple[Step, dict[str, Array]]:
    """Split steps of one ``common_step`` into what they share and the numbers that differ.

    Returns
    -------
    step
        For ``PopulationStep``.
    dict of str to Array
        One number a member, (P,), at each path of ``anynet.members.numbers`` where they differ.
    """
    steps = [_without_plateau(step) for step in steps]
    columns = zip(*(numbers(step) for step in steps), strict=True)
    differing = {
        column[0][0]: [value for _, value in column]
        for column in columns
        if len({value for _, value in column}) > 1
    }
    arrays = {
        path: backend.to_device(np.array(values, dtype=backend.dtype))
        for path, values in differing.items()
    }
    return with_numbers(steps[0], dict.fromkeys(differing, DIFFERS)), arrays


def _without_plateau(step: Step) -> Step:
    return replace(step, schedule=_as_constant(step.schedule))  # type: ignore[type-var, attr-defined]


def _as_constant(schedule: Schedule) -> Schedule:
    if isinstance(schedule, ReduceOnPlateau):
        return Constant(schedule.value)
    if isinstance(schedule, Warmup):
        return replace(schedule, schedule=_as_constant(schedule.schedule))
    return schedule


class Batch:
    """Members on one population axis: their state, and the best weights of each so far.

    Parameters
    ----------
    runs : list of Run
        Of one ``common_step``, of equally many samples and of one batch size.
    order_seed : int, optional
        Draws the one order in which all see the samples, which are then the same for all; without
        it each has its own.
    """

    def __init__(self, runs: list[Run], order_seed: int | None = None) -> None:
        self.runs = runs
        self.order_seed = order_seed
        self.going = [True] * len(runs)
        self.backend: Backend = runs[0].step.backend
        for run in runs:
            run.start()
        self._stack_numbers()
        step = with_numbers(self.step, self.numbers)
        self.state = initial_state(
            step.network,
            step.loss,
            step.optimizer,
            tuple(run.options.seed for run in runs),
            self.backend,
            average=step.average is not None,
            weights=self._first_weights(),
        )
        self.best = copy(self._weights(), self.backend)
        self.spreads = [
            target_spread(*run.held_out.targets(), run.step.loss) if run.held_out else np.zeros(1)
            for run in runs
        ]

    def _first_weights(self) -> Weights:
        fitted: dict[Any, Any] = {}
        own = [run.first_weights(fitted) for run in self.runs]
        return tree.map(lambda *leaves: self.backend.xp.stack(leaves), *own)

    def _stack_numbers(self) -> None:
        """Split the steps of the members into what they share and the numbers that differ."""
        self.step, self.numbers = stack_numbers([run.step for run in self.runs], self.backend)
        backend, shared = self.backend, self.step
        self.loop = backend.loop(PopulationStep(shared))
        self.scoring_loop = backend.loop(
            PopulationStep(EvaluationStep(shared.network, shared.loss, backend))
        )
        if self.order_seed is not None and self.step.augment is not None:
            alike = not any(path.startswith("augment.") for path in self.numbers)
            if alike:  # the same rows, augmented once for all
                seed = np.asarray(device_seed(self.order_seed), dtype=np.int32)
                self.numbers["augment.seed"] = self.backend.to_device(seed)

    def train(self, epoch: int, batches: Batches) -> None:
        """Train all members for one epoch."""
        backend, first = self.backend, self.runs[0]
        options = first.options
        sums = zero_sums(self.step.loss, self.step.network, (len(self.runs),), backend)
        factors = np.array(
            [1.0 if run.plateau is None else run.plateau.factor for run in self.runs]
        )
        self.state = self.state._replace(
            sums=sums, rate_factor=backend.to_device(factors.astype(backend.dtype))
        )
        if self.order_seed is not None:
            order = replace(first, options=replace(first.options, seed=self.order_seed)).order(
                epoch
            )
            parts = split_order(order, options.batch_size, short_first=options.shuffle)
        else:
            orders = [run.order(epoch) for run in self.runs]
            parts = split_orders(orders, options.batch_size, short_first=options.shuffle)
        with closing(batches.blocks(*parts)) as blocks:
            for rows, block in blocks:
                self.state = self.loop.run(self.state, rows, (block, self.numbers))

    def trained(self) -> list[Evaluation]:
        """Return the running loss and score of each member; waits for the device."""
        spreads = [run.spread for run in self.runs]
        return finish_members(self.state.sums, self.step.loss, spreads, self.backend)

    def validate(self, scored: Batches) -> list[Evaluation] | list[None]:
        """Score all members on what they hold out, if they do."""
        held_out = [run.held_out for run in self.runs if run.held_out is not None]
        if not held_out:
            return [None] * len(self.runs)
        positions = np.arange(held_out[0].n_samples, dtype=np.int32)
        size = min(EVALUATION_BATCH, positions.size)
        orders = [subset.order(positions) for subset in held_out]
        if all(np.array_equal(order, orders[0]) for order in orders[1:]):
            parts = split_order(orders[0], size)
        else:
            parts = split_orders(orders, size)
        backend, loss, network = self.backend, self.step.loss, self.step.network
        sums = zero_sums(loss, network, (len(self.runs),), backend)
        with closing(scored.blocks(*parts)) as blocks:
            for rows, block in blocks:
                data = ((self._weights(), block), self.numbers)
                sums = self.scoring_loop.run(sums, rows, data)
        return finish_members(sums, loss, self.spreads, backend)

    def rates(self) -> np.ndarray:
        """Return the learning rate of each member's last update."""
        step = with_numbers(self.step, self.numbers)
        rate: Any = step.schedule(self.state.step - 1, step.steps_per_epoch, backend=self.backend)
        return self.backend.to_host(rate * self.state.rate_factor)

    def observe(
        self,
        epoch: int,
        trained: list[Evaluation],
        validated: list[Evaluation] | list[None],
        seconds: float,
    ) -> None:
        """Enter an epoch into each history, keep the best weights, and note who stops."""
        rates = self.rates()
        improved = np.zeros(len(self.runs), dtype=bool)
        try:
            for member, run in enumerate(self.runs):
                if not self.going[member]:
                    continue
                keep = functools.partial(improved.__setitem__, member, True)
                try:
                    weights = functools.partial(self._weights_of, member)
                    record = run.record(
                        epoch, rates[member], trained[member], validated[member], seconds, weights
                    )
                    stops = run.observe(record, keep)
                except DivergedError as error:
                    run.history.warning, stops = str(error), True
                if not stops and epoch == run.options.epochs:
                    run.history.stop(StopReason.EPOCHS, f"all {epoch} epochs done")
                    stops = True
                self.going[member] = not stops
        finally:
            self._keep(improved)

    def _keep(self, improved: np.ndarray) -> None:
        """Copy the weights of the members whose epoch was their best."""
        if not improved.any():
            return
        xp = self.backend.xp
        mask = self.backend.to_device(improved)
        self.best = tree.map(
            lambda new, old: xp.where(per_member(mask, new, xp), new, old),
            self._weights(),
            self.best,
        )

    def compact(self) -> None:
        """Leave the members that have stopped, once they are half of the batch."""
        left = [member for member, going in enumerate(self.going) if going]
        if not 0 < len(left) <= len(self.runs) // 2:
            return
        self.hand_over()
        backend = self.backend
        index = backend.to_device(np.array(left, dtype=np.int32))

        def keep(leaf: Any) -> Any:
            if leaf.ndim == 0:
                return backend.xp.asarray(leaf, copy=True)
            return backend.xp.take(leaf, index, axis=0)

        self.state, self.best = tree.map(keep, self.state), tree.map(keep, self.best)
        self.runs = [self.runs[member] for member in left]
        self.spreads = [self.spreads[member] for member in left]
        self.going = [True] * len(left)
        self._stack_numbers()

    def hand_over(self) -> None:
        """Give each run the best weights of its own."""
        for member, run in enumerate(self.runs):
            run.best = tree.map(
                lambda leaf, member=member: self.backend.xp.asarray(leaf[member, ...], copy=True),
                self.best,
            )

    def _weights(self) -> Any:
        return kept_weights(self.state, self.step.network)

    def _weights_of(self, member: int) -> Any:
        return tree.map(lambda leaf: leaf[member, ...], self._weights())


def train_together(
    runs: list[Run],
    order_seed: int | None = None,
    told: Callable[[int, int], None] | None = None,
) -> None:
    """Train runs of one ``common_step`` to their ends; ``Run.model`` of each is the result.

    Parameters
    ----------
    runs : list of Run
    order_seed : int, optional
        See ``Batch``.
    told : callable, optional
        Takes the epoch, and how many members go on, after every epoch.
    """
    backend = runs[0].step.backend
    batches, scored = runs[0].place()
    ends = list(itertools.accumulate(backend.batch_sizes(len(runs), parameter_bytes(runs[0]))))
    parts = backend.together(
        [
            functools.partial(Batch, runs[start:end], order_seed)
            for start, end in itertools.pairwise([0, *ends])
        ]
    )
    active = list(parts)
    epoch = 0
    try:
        while active:
            epoch += 1
            n_members = sum(len(part.runs) for part in active)
            start = time.perf_counter()
            backend.together([functools.partial(part.train, epoch, batches) for part in active])
            trained = [part.trained() for part in active]
            seconds = (time.perf_counter() - start) / n_members
            validated = backend.together(
                [functools.partial(part.validate, scored) for part in active]
            )
            for part, running, held_out in zip(active, trained, validated, strict=True):
                part.observe(epoch, running, held_out, seconds)
                part.compact()
            active = [part for part in active if any(part.going)]
            if told is not None:
                told(epoch, sum(sum(part.going) for part in active))
    finally:
        for part in parts:
            part.hand_over()


def parameter_bytes(run: Run) -> int:
    """Return what the parameters of one member take, without drawing them."""
    network, width, count = run.step.network, run.step.network.n_inputs, 0
    for layer in network.layers:
        shapes, width = layer.shapes(width)
        count += sum(map(math.prod, shapes.values()))
    return count * np.dtype(run.step.backend.dtype).itemsize
