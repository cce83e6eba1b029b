"""One training step: a function from a state and row indices to the next state."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from anynet import tree
from anynet.augment import Pipeline
from anynet.backends import Backend, Share
from anynet.backends.groups import ALONE
from anynet.data.batches import Rows
from anynet.members import per_member, with_numbers
from anynet.nn.layers.dense import form_gradients
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.optim import Optimizer, Schedule
from anynet.optim.transformations import clip_by_global_norm, limit_weight_norms, update_average
from anynet.training.state import Sums, TrainState, Weights, zero_sums
from anynet.typing import Array, Grads, Key, LayerStates, Params

TINY = 1e-30  # smaller than the square of any relevant float32 gradient


class SummingStep:
    """Base of steps that keep running sums of the loss and the score."""

    loss: Loss
    backend: Backend

    def gather(self, rows: Array, data: Rows, share: Share | None) -> Rows:
        """Return the samples of a batch, or this process's share of them."""
        if share is None:
            return data.gather(rows, self.backend)
        xp = self.backend.xp
        x, y, weight = data.gather(share.take(rows, xp), self.backend)
        if share.is_empty:
            shape, dtype = y.shape[: rows.ndim], self.backend.float_dtype
            weight = xp.zeros(shape, dtype=dtype, device=self.backend.device)
        return Rows(x, y, weight)

    def batch_sums(self, value: Array, logits: Array, target: Array, weight: Array | None) -> Sums:
        """Return the loss and the score of a batch, weighted by the sample weights."""
        xp, loss = self.backend.xp, self.loss
        predicted: Any = loss.link(logits, xp) if loss.task == "values" else logits
        score = loss.metric.batch_sum(predicted, target, weight, xp)
        total: Any = logits.shape[-2] if weight is None else xp.sum(weight, axis=-1)
        return Sums(value * total, score, total)


def add_sums(sums: Sums, batch: Sums) -> Sums:
    """Add the sums of a batch to running sums."""
    return Sums(*map(operator.add, sums, batch))


@dataclass(frozen=True)
class TrainingStep(SummingStep):
    """``(state, rows, data) -> state``: gather, augment, forward, loss, backward, update.

    A pure function with static shapes and no host reads. It is hashable, so that runs with the
    same configuration reuse a compiled loop, independent of seed and data.

    ``driven`` holds pairs of a path, such as ``"optimizer.weight_decay"`` or
    ``"network.layers.3.rate"`` (see ``anynet.members.numbers``), and the schedule that sets the
    number there in each step. The number of the part itself is not used, except that SGD needs a
    momentum other than 0 to have a velocity.
    """

    varies: ClassVar[tuple[str, ...]] = ("clip_norm", "max_norm", "average", "adversarial")

    network: Network
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    steps_per_epoch: int
    backend: Backend
    clip_norm: float | None = None
    average: float | None = None
    max_norm: float | None = None
    augment: Pipeline | None = None
    adversarial: float | None = None
    driven: tuple[tuple[str, Schedule], ...] = ()

    def __call__(self, state: TrainState, rows: Array, data: Rows) -> TrainState:
        """Return the state after an update on the samples at the indices ``rows``."""
        if self.driven:
            values = {path: self._number(schedule, state) for path, schedule in self.driven}
            return with_numbers(replace(self, driven=()), values)(state, rows, data)
        backend = self.backend
        share = None
        if backend.group is not ALONE:
            share = backend.share(rows.shape[-1], self.network.members)
        x, y, weight = self.gather(rows, data, share)
        key = Key(state.seed, state.step, share=share)
        loss: Any = self.loss
        if self.augment is not None:
            x, own = self.augment(x, y, backend=backend, key=key)
            loss = loss if own is None else MixedLoss(loss, own)
        if share is not None:
            loss = SharedLoss(loss, share)
        value, logits, grads, states = self.gradients(loss, state, x, y, weight, key)
        batch = self.batch_sums(value, logits, y, weight)
        if share is not None or "takes_products" not in vars(type(self.optimizer)):
            grads = form_gradients(grads, backend)
        if share is not None:
            grads, batch = self._reduced(grads, batch, share, data.weight is not None)
        if self.clip_norm is not None:
            grads = clip_by_global_norm(grads, self.clip_norm, state.seed.ndim, backend=backend)
        rate = self._number(self.schedule, state) * state.rate_factor
        params, optimizer_state = self.optimizer.update(
            grads, state.optimizer, self.network.trainable(state.params), rate, backend=backend
        )
        if self.max_norm is not None:
            params = limit_weight_norms(params, self.max_norm, state.seed.ndim, backend=backend)
        average: Params | tuple[()] = ()
        if self.average is not None:
            average = update_average(
                state.average, params, self.average, state.step, backend=backend
            )
        return TrainState(
            params=self.network.with_frozen(params, state.params),
            states=states,
            optimizer=optimizer_state,
            average=average,
            step=state.step + 1,
            seed=state.seed,
            rate_factor=state.rate_factor,
            sums=add_sums(state.sums, batch),
        )

    def _reduced(
        self, grads: Grads, batch: Sums, share: Share, weighted: bool
    ) -> tuple[Grads, Sums]:
        """Return the gradients and the sums of the whole batch, see ``SharedLoss``."""
        if not weighted:  # then the total is the number of rows
            grads, batch = self.backend.all_reduce((grads, batch._replace(weight=None)))  # type: ignore[arg-type]
            return grads, batch._replace(weight=share.size)  # type: ignore[arg-type]
        xp = self.backend.xp
        grads, batch = self.backend.all_reduce((grads, batch))
        total = xp.maximum(batch.weight, TINY)
        return tree.map(lambda leaf: leaf / per_member(total, leaf, xp), grads), batch

    def zero_sums(self, population: tuple[int, ...]) -> Sums:
        """Return the running sums at the start of an epoch."""
        return zero_sums(self.loss, self.network, population, self.backend)

    def _number(self, schedule: Schedule, state: TrainState) -> Any:
        """Return the value of a schedule in this step, in the dtype of the backend."""
        value: Any = schedule(state.step, self.steps_per_epoch, backend=self.backend)
        if type(value) in (int, float):
            return value
        return self.backend.xp.astype(value, self.backend.float_dtype, copy=False)

    def gradients(
        self,
        loss: Any,
        state: TrainState | Weights,
        x: Array,
        y: Array,
        weight: Array | None,
        key: Key | None,
    ) -> tuple[Array, Array, Grads, LayerStates]:
        """Return the loss, the logits, the gradients and the next layer states of a batch.

        With ``adversarial``, they are the gradients of half of the loss of the samples plus half of
        the loss of their adversarial neighbours. The neighbours do not change the layer states.
        """
        backend = self.backend
        apply = functools.partial(
            self.network.apply, state.params, backend=backend, key=key, states=state.states
        )
        logits, pullback, states = apply(x)
        value, dlogits = loss(logits, y, weight, backend=backend)
        grads, dx = pullback(dlogits, need_dx=self.adversarial is not None)
        if self.adversarial is None or dx is None:
            return value, logits, grads, states
        x = backend.xp.astype(x, backend.float_dtype, copy=False)
        neighbours = move_uphill(x, dx, self.adversarial, backend=backend)
        theirs, pullback, _ = apply(neighbours)
        _, dlogits = loss(theirs, y, weight, backend=backend)
        both = (form_gradients(grads, backend), form_gradients(pullback(dlogits)[0], backend))
        return value, logits, tree.map(lambda own, other: 0.5 * (own + other), *both), states


@dataclass(frozen=True)
class PopulationStep:
    """``(state, rows, (data, numbers)) -> state``: a step of members that differ in numbers.

    The numbers are data, not part of the step. The step is therefore hashable, and populations
    that differ in numbers only share one compiled or captured loop.

    Parameters
    ----------
    step : TrainingStep or EvaluationStep
        The common step; its own values at the paths of the numbers are not used.
    """

    step: Any

    def __call__(self, state: Any, rows: Array, data: tuple[Any, dict[str, Array]]) -> Any:
        """Run the step with the numbers of the members."""
        shared, numbers = data
        return with_numbers(self.step, numbers)(state, rows, shared)


@dataclass(frozen=True)
class EvaluationStep(SummingStep):
    """``(sums, rows, (weights, data)) -> sums``: evaluate loss and score of a batch.

    In a group of processes, the sums are those of the own share of the rows.
    """

    network: Network
    loss: Loss
    backend: Backend

    def __call__(self, sums: Sums, rows: Array, data: tuple[Weights, Rows]) -> Sums:
        """Add the loss and the score of a batch to the sums."""
        weights, samples = data
        share = self.backend.share(rows.shape[-1])
        x, y, weight = self.gather(rows, samples, share)
        logits = self.network.predict(
            weights.params, x, backend=self.backend, states=weights.states
        )
        value, _ = self.loss(logits, y, weight, backend=self.backend)
        return add_sums(sums, self.batch_sums(value, logits, y, weight))


@dataclass(frozen=True)
class SharedLoss:
    """The loss of this process's share of a batch, with its part of the gradient.

    The gradient is multiplied by the share of the rows, so that its sum over the processes is the
    gradient of the whole batch. With sample weights it is multiplied by the sum of the own
    weights instead, and the sum over the processes is divided by the sum of all weights.

    Parameters
    ----------
    loss : Loss
    share : Share
    """

    loss: Any
    share: Share

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the mean over the own rows (*P,), and the part of the gradient (*P, B, O)."""
        value, dlogits = self.loss(logits, target, weight, backend=backend)
        if weight is None:
            return value, dlogits * self.share.fraction
        total = backend.xp.sum(weight, axis=-1)
        return value, dlogits * per_member(total, dlogits, backend.xp)


@dataclass(frozen=True)
class MixedLoss:
    """The mean of the losses for both targets, weighted by the shares of their samples.

    Parameters
    ----------
    loss : Loss
    share : Array of shape (*P,)
        Weight of the sample's own target. The rest is the weight of the target at the mirrored
        position of the batch, see ``anynet.augment.Mixup``.
    """

    loss: Loss
    share: Array

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the value (*P,) and the gradient (*P, B, O)."""
        xp = backend.xp
        other = xp.flip(target, axis=-1 if self.loss.task == "classes" else -2)
        other_weight = None if weight is None else xp.flip(weight, axis=-1)
        value, dlogits = self.loss(logits, target, weight, backend=backend)
        other_value, other_dlogits = self.loss(logits, other, other_weight, backend=backend)
        share = per_member(self.share, dlogits, xp)
        return (
            other_value + self.share * (value - other_value),
            other_dlogits + share * (dlogits - other_dlogits),
        )


def move_uphill(x: Array, dx: Array, distance: float | Array, *, backend: Backend) -> Array:
    """Move each sample by a distance along the gradient of the loss: x + ε g / ‖g‖₂.

    Parameters
    ----------
    x : Array of shape (B, I) or (*P, B, I)
    dx : Array of shape (*P, B, I)
        The gradient; samples with a zero gradient are not moved.
    distance : float or Array of shape (*P,)
        ε, in the units of x.
    backend : Backend

    Returns
    -------
    Array of shape (*P, B, I)

    References
    ----------
    Goodfellow, Shlens and Szegedy 2015, "Explaining and Harnessing Adversarial Examples", section
    5; the ball is that of the Euclidean norm, as in equation 3 of Miyato, Maeda, Koyama and Ishii
    2019, "Virtual Adversarial Training".
    """
    xp = backend.xp
    largest = xp.max(xp.abs(dx), axis=-1, keepdims=True)
    dx = dx / xp.maximum(largest, TINY)  # so that squares neither underflow nor overflow
    norm = xp.sqrt(xp.sum(dx * dx, axis=-1, keepdims=True))
    moved: Array = x + dx * (per_member(distance, dx, xp) / xp.maximum(norm, TINY))
    return moved
