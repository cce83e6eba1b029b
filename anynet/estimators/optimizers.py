"""SGD and Adam in the form in which scikit-learn has them.

They differ from ``anynet.optim``, which follows torch, only in where the learning rate and ε enter.
Parameters and state are consumed: what an optimizer made itself, it updates in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from anynet import tree
from anynet.backends import Backend
from anynet.optim.optimizers import AdamState, SGDState
from anynet.typing import Array, Grads, Params


@dataclass(frozen=True)
class ClassicalMomentum:
    """v ← μ v − η g; θ ← θ + v (Sutskever et al. 2013, equations 1 and 2).

    The learning rate is part of the velocity: steps taken at an earlier rate keep it.

    Parameters
    ----------
    momentum : float
        μ, in [0, 1].
    nesterov : bool
        Step along μ v − η g instead.
    """

    kind: ClassVar[str] = "classical_momentum"

    momentum: float = 0.9
    nesterov: bool = True

    def init(self, params: Params, *, backend: Backend) -> SGDState:
        if self.momentum == 0:
            return SGDState(())
        return SGDState(tree.map(backend.xp.zeros_like, params))

    def update(
        self,
        grads: Grads,
        state: SGDState,
        params: Params,
        rate: Array,
        *,
        backend: Backend,  # noqa: ARG002  (one signature for all)
    ) -> tuple[Params, SGDState]:
        steps: Grads = tree.map(lambda g: g * rate, grads)
        if self.momentum == 0:
            return tree.map(lambda p, s: p - s, params, steps), state
        velocity = tree.map(lambda v, s: self.momentum * v - s, state.velocity, steps)
        if not self.nesterov:
            return tree.map(lambda p, v: p + v, params, velocity), SGDState(velocity)
        ahead = tree.map(lambda p, v, s: p + (self.momentum * v - s), params, velocity, steps)
        return ahead, SGDState(velocity)


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
        return AdamState(updates, tree.map(xp.zeros_like, params), tree.map(xp.zeros_like, params))

    def update(
        self, grads: Grads, state: AdamState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, AdamState]:
        xp = backend.xp
        updates = state.updates + 1
        time = xp.astype(updates, backend.float_dtype)
        rate = rate * (xp.sqrt(_correction(self.beta_2, time, xp)) / _correction(self.beta_1, time, xp))

        def first(m: Array, g: Array) -> Array:
            m *= self.beta_1
            m += (1 - self.beta_1) * g
            return m

        def second(v: Array, g: Array) -> Array:
            square = g * g
            square *= 1 - self.beta_2
            v *= self.beta_2
            v += square
            return v

        def moved(p: Array, m: Array, v: Array) -> Array:
            root = xp.sqrt(v)
            root += self.epsilon
            step = m / root
            step *= rate
            return p - step

        mean = tree.map(first, state.mean, grads)
        square = tree.map(second, state.square, grads)
        return tree.map(moved, params, mean, square), AdamState(updates, mean, square)


def _correction(beta: float, time: Array, xp: object) -> Array:
    """1 − βᵗ, by way of expm1."""
    if beta == 0:
        return time * 0 + 1
    correction: Array = -xp.expm1(time * math.log(beta))  # type: ignore[attr-defined]
    return correction
