"""Fits that differ in numbers alone, trained as one computation."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from anynet import tree
from anynet.data.batches import Batches, split_orders
from anynet.estimators.member import Member, parameter_bytes, that_fit
from anynet.estimators.placement import place
from anynet.estimators.step import SolverState
from anynet.estimators.stochastic import as_float, last_rate
from anynet.members import with_numbers
from anynet.training.state import copy
from anynet.training.step import PopulationStep
from anynet.training.trainer import stack_numbers
from anynet.typing import Array, Params


def grouped(members: Sequence[Member]) -> list[list[Member]]:
    """Put together what can be one computation, in the order of first appearance."""
    groups: dict[Hashable, list[Member]] = {}
    for member in members:
        groups.setdefault(member.key(), []).append(member)
    return list(groups.values())


def train_together(members: Sequence[Member]) -> None:
    """Train members of one ``key`` to their ends, as many at once as fit into memory.

    What goes wrong with one is its ``failure``; the others go on.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, when the estimators that were being trained have the weights of the last epoch,
        or with ``early_stopping`` the best.
    """
    backend = members[0].backend
    with backend.context():
        batches = place(members[0].rows, backend)
        for some in that_fit(members):
            sizes = backend.batch_sizes(len(some), parameter_bytes(some[0]))
            ends = [0, *itertools.accumulate(sizes)]
            parts = [Population(some[start:end]) for start, end in itertools.pairwise(ends)]
            try:
                _train(parts, batches)
            except KeyboardInterrupt:
                for part in parts:
                    part.interrupt()
                raise


def _train(parts: Sequence[Population], batches: Batches) -> None:
    backend, active = parts[0].backend, list(parts)
    while active:
        n_going = sum(member.going for part in active for member in part.members)
        start = time.perf_counter()
        backend.together([functools.partial(part.train, batches) for part in active])
        losses = [part.losses() for part in active]
        seconds = (time.perf_counter() - start) / n_going
        for part, found in zip(active, losses, strict=True):
            part.observe(found, seconds)
        active = [part for part in active if any(member.going for member in part.members)]


class Population:
    """Members on one axis in front of all arrays.

    Parameters
    ----------
    members : sequence of Member
        Of one ``key``.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)
        self.backend = members[0].backend
        backend, xp = self.backend, self.backend.xp
        self._stack_numbers()
        starts = [member.begin() for member in members]
        packed: Params = tree.map(lambda *leaves: xp.stack(leaves), *starts)
        optimizer = with_numbers(self.step, self.numbers).optimizer
        seeds = [member.descent.seed for member in members]
        self.state = SolverState(
            packed=packed,
            optimizer=optimizer.init(packed, backend=backend),
            step=backend.to_device(np.zeros((), dtype=np.int32)),
            seed=backend.to_device(np.array(seeds, dtype=np.int32)),
            rate=self._zeros(),
            loss=self._zeros(),
        )
        self.kept = copy(packed, backend)

    def train(self, batches: Batches) -> None:
        """Train all members for one epoch; those that have ended are computed but not looked at."""
        backend = self.backend
        rates = [member.run.rate.current for member in self.members]
        rate = backend.to_device(np.array(rates, dtype=backend.dtype))
        self.state = self.state._replace(rate=rate, loss=self._zeros())
        orders = [member.next_order() for member in self.members]
        for part in split_orders(orders, self.members[0].descent.batch_size):
            for rows, data in batches.blocks(part):
                self.state = self.loop.run(self.state, rows, (data, self.numbers))

    def losses(self) -> np.ndarray:
        """Return the mean loss of each member's samples; waits for the device."""
        sums = self.backend.to_host(self.state.loss).astype(np.float64)
        return sums / self.members[0].run.n_samples

    def observe(self, losses: np.ndarray, seconds: float) -> None:
        """Enter an epoch into each run, and let those finish that have come to their end."""
        for index, member in enumerate(self.members):
            if not member.going:
                continue
            member.run.epoch_sent()
            weights = functools.partial(self._member_of, self.state.packed, index)
            rate = functools.partial(self._last_rate, index)
            if not member.goes_on(float(losses[index]), seconds, weights, rate):
                member.finish(self._member_of(self.state, index))
        self._compact()
        self.kept = copy(self.state.packed, self.backend)

    def interrupt(self) -> None:
        """Let all that are not at their end have the weights after the last epoch."""
        for index, member in enumerate(self.members):
            if member.going:
                member.interrupt(self._member_of(self.kept, index))

    def _compact(self) -> None:
        """Leave the members that have ended, once they are half of all."""
        left = [index for index, member in enumerate(self.members) if member.going]
        if not 0 < len(left) <= len(self.members) // 2:
            return
        backend, xp = self.backend, self.backend.xp
        places = backend.to_device(np.array(left, dtype=np.int32))

        def keep(leaf: Array) -> Array:
            return xp.take(leaf, places, axis=0) if leaf.ndim else xp.asarray(leaf, copy=True)  # type: ignore[no-any-return]

        self.state = tree.map(keep, self.state)
        self.members = [self.members[index] for index in left]
        self._stack_numbers()

    def _stack_numbers(self) -> None:
        """Split the steps of the members into what they share and the numbers that differ."""
        steps = [member.descent.step for member in self.members]
        self.step, self.numbers = stack_numbers(steps, self.backend)
        self.loop = self.backend.loop(PopulationStep(self.step))

    def _member_of(self, arrays: Any, index: int) -> Any:
        """Return a copy of what is one member's."""
        xp = self.backend.xp
        return tree.map(
            lambda leaf: xp.asarray(leaf[index, ...] if leaf.ndim else leaf, copy=True), arrays
        )

    def _last_rate(self, index: int) -> float:
        """Return the learning rate of a member's last update."""
        rates = last_rate(with_numbers(self.step, self.numbers), self.state)
        return as_float(rates[index, ...], self.step)

    def _zeros(self) -> Array:
        return self.backend.to_device(np.zeros(len(self.members), dtype=self.backend.dtype))
