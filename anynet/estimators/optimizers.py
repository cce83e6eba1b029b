"""SGD and Adam in the form in which scikit-learn has them, on packed parameters.

They differ from ``anynet.optim``, which follows torch, only in where the learning rate and ε enter.
Parameters and state are consumed: what an optimizer made itself, it updates in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from anynet.backends import Backend
from anynet.estimators.packing import each
from anynet.members import is_number, per_member
from anynet.optim.optimizers import AdamState, SGDState
from anynet.typing import Array, Grads, Namespace, Params


@dataclass(frozen=True)
class ClassicalMomentum:
    """v ← μ v − η g; θ ← θ + v (Sutskever et al. 2013, equations 1 and 2).

    The learning rate is part of the velocity: steps taken at an earlier rate keep it.

    Parameters
    ----------
    momentum : float
        μ, in [0, 1]; in a step of a population it may be an array (*P,).
    nesterov : bool
        Step along μ v − η g instead.
    """

    kind: ClassVar[str] = "classical_momentum"
    varies: ClassVar[tuple[str, ...]] = ("momentum",)

    momentum: float = 0.9
    nesterov: bool = True

    def init(self, params: Params, *, backend: Backend) -> SGDState:
        if self._has_none:
            return SGDState(())
        return SGDState(each(backend.xp.zeros_like, params))

    def update(
        self,
        grads: Grads,
        state: SGDState,
        params: Params,
        rate: Array,
        *,
        backend: Backend,
    ) -> tuple[Params, SGDState]:
        xp = backend.xp
        steps = each(lambda g: g * per_member(rate, g, xp), grads)
        if self._has_none:
            return each(lambda p, s: p - s, params, steps), state

        def slowed(v: Array, s: Array) -> Array:
            v *= per_member(self.momentum, v, xp)
            v -= s
            return v

        velocity = each(slowed, state.velocity, steps)
        if not self.nesterov:
            return each(lambda p, v: p + v, params, velocity), SGDState(velocity)

        def ahead(p: Array, v: Array, s: Array) -> Array:
            moved: Array = per_member(self.momentum, v, xp) * v
            moved -= s
            moved += p
            return moved

        return each(ahead, params, velocity, steps), SGDState(velocity)

    @property
    def _has_none(self) -> bool:
        return is_number(self.momentum) and self.momentum == 0


@dataclass(frozen=True)
class ShortAdam:
    """Adam with both bias corrections in the learning rate, so that ε is not corrected.

    Kingma and Ba 2015, the last paragraph of section 2.

    Parameters
    ----------
    beta_1, beta_2 : float
        How much of the running means of g and g² each update keeps.
    epsilon : float
        Added to √(mean of g²).
    """

    kind: ClassVar[str] = "short_adam"

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, params: Params, *, backend: Backend) -> AdamState:
        xp = backend.xp
        updates = xp.zeros((), dtype=xp.int32, device=backend.device)
        return AdamState(updates, each(xp.zeros_like, params), each(xp.zeros_like, params))

    def update(
        self, grads: Grads, state: AdamState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, AdamState]:
        xp = backend.xp
        updates = state.updates + 1
        time = xp.astype(updates, backend.float_dtype)
        # The running sums are kept without their factors 1 − β, which saves two passes over them.
        spread = math.sqrt(1 - self.beta_2)
        root_2 = xp.sqrt(_correction(self.beta_2, time, xp))
        rate = rate * ((1 - self.beta_1) / spread) * root_2 / _correction(self.beta_1, time, xp)

        def first(m: Array, g: Array) -> Array:
            m *= self.beta_1
            m += g
            return m

        def second(v: Array, g: Array) -> Array:
            v *= self.beta_2
            v += g * g
            return v

        def moved(p: Array, m: Array, v: Array) -> Array:
            step = xp.sqrt(v)
            step += self.epsilon / spread
            step = m / step
            step *= per_member(rate, p, xp)
            new: Array = p - step
            return new

        mean = each(first, state.mean, grads)
        square = each(second, state.square, grads)
        return each(moved, params, mean, square), AdamState(updates, mean, square)


def _correction(beta: float, time: Array, xp: Namespace) -> Array:
    """1 − βᵗ, by way of expm1: the difference would lose digits in float32."""
    exponent = math.log(beta) if beta else -math.inf
    correction: Array = -xp.expm1(time * exponent)
    return correction
