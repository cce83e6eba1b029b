"""One update under scikit-learn's conventions, and the loss that it descends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.estimators.packing import Packing
from anynet.members import is_number, per_member
from anynet.optim import Optimizer, Schedule
from anynet.typing import Array, Key, Params


class SolverState(NamedTuple):
    """What one update maps to the next, a tree of device arrays; P is () for one network."""

    packed: Params  # see Packing
    optimizer: Any
    step: Array  # int32 (), updates made
    seed: Array  # int32 (*P,), keys dropout
    rate: Array  # (*P,), the learning rate, or what multiplies a schedule
    loss: Array  # (*P,), running sum over the samples of an epoch


@dataclass(frozen=True)
class Objective:
    """The mean loss of a batch plus ½ α ‖W‖² / Σw, biases left out, and its gradient.

    Σw is the sum of the sample weights of the batch, its number of samples without weights: that
    is where scikit-learn's ``alpha`` differs from a weight decay. In a step of a population
    ``alpha`` may be an array (*P,).
    """

    varies: ClassVar[tuple[str, ...]] = ("alpha",)

    packing: Packing
    loss: Any
    alpha: float
    backend: Backend

    def __call__(self, packed: Params, batch: Rows, key: Key | None) -> tuple[Array, Params]:
        """Return the value (*P,) and the gradient, packed like the parameters."""
        backend = self.backend
        xp = backend.xp
        x, y, weight = batch
        params = self.packing.unpack(packed, xp)
        logits, pullback, _ = self.packing.network.apply(params, x, backend=backend, key=key)
        value, dlogits = self.loss(logits, y, weight, backend=backend)
        grads = self.packing.pack(pullback(dlogits)[0], backend)
        if not is_number(self.alpha) or self.alpha:
            share: Any = self.alpha / x.shape[-2]
            if weight is not None:
                total = xp.sum(weight, axis=-1)
                share = xp.where(total > 0, self.alpha / xp.where(total > 0, total, 1.0), 0.0)
            weights = packed[0]["weight"]
            value = value + 0.5 * share * xp.vecdot(weights, weights)
            grads[0]["weight"] += per_member(share, weights, xp) * weights
        return value, grads


@dataclass(frozen=True)
class SolverStep:
    """``(state, rows, data) -> state``: gather, differentiate, update.

    A pure function with static shapes and no host reads, and a hashable value.
    """

    objective: Objective
    optimizer: Optimizer
    schedule: Schedule | None
    steps_per_epoch: int

    def __call__(self, state: SolverState, rows: Array, data: Rows) -> SolverState:
        backend = self.objective.backend
        key = Key(state.seed, state.step)
        value, grads = self.objective(state.packed, data.gather(rows, backend), key)
        rate = state.rate
        if self.schedule is not None:
            rate = rate * self.schedule(state.step, self.steps_per_epoch, backend=backend)
        packed, optimizer = self.optimizer.update(
            grads, state.optimizer, state.packed, rate, backend=backend
        )
        loss = state.loss + value * rows.shape[-1]
        return SolverState(packed, optimizer, state.step + 1, state.seed, state.rate, loss)
