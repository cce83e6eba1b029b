"""Optimizers: pairs of pure functions, ``init`` and ``update``.

The conventions are torch's (https://pytorch.org/docs/stable/optim.html), with two differences:
weight decay acts on weights, never on biases, gains or other parameters, and the learning rate is
an argument of training, not of the optimizer, whose own arguments go by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Protocol

from anynet import tree
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import is_number, per_member
from anynet.nn.gradients import ProductGradient, form_gradients
from anynet.typing import Array, Grads, Params


class Optimizer(Protocol):
    """How gradients change parameters."""

    kind: ClassVar[str]

    def init(self, params: Params, *, backend: Backend) -> Any:
        """Return the state before the first update, a NamedTuple of trees."""

    def update(
        self, grads: Grads, state: Any, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, Any]:
        """Return new parameters and state; ``rate`` is the learning rate, () or (*P,).

        ``params`` and ``state`` are consumed: their memory may hold the result.
        """


class SGDState(NamedTuple):
    """State of ``SGD``."""

    velocity: Params | tuple[()]  # like params; () without momentum


class RMSpropState(NamedTuple):
    """State of ``RMSprop``."""

    square: Params  # running mean of g², like params


class AdamState(NamedTuple):
    """State of ``Adam``."""

    updates: Array  # int32 (), how many were made
    mean: Params  # running mean of g, like params
    square: Params  # running mean of g², like params


@dataclass(frozen=True)
class _WithDecay:
    """What all optimizers share: weight decay, as an L2 penalty or decoupled from the gradient."""

    varies: ClassVar[tuple[str, ...]] = ("weight_decay",)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            below_one = field.name in ("momentum", "beta_1", "beta_2", "rho")
            if not is_number(value) and not isinstance(value, str):
                continue  # an array: one value per member
            if not is_number(value) or not 0 <= value < (1 if below_one else math.inf):
                bound = "in [0, 1)" if below_one else "a finite number of at least 0"
                message = f"{self.kind}: {field.name} must be {bound}, got {value!r}"  # type: ignore[attr-defined]
                raise InvalidArgumentError(message)

    def _decayed(
        self, grads: Grads, params: Params, rate: Array, backend: Backend
    ) -> tuple[Grads, Params]:
        """Apply ``weight_decay`` to the gradients, or if ``decoupled`` to the weights."""
        decay: Array | float = self.weight_decay  # type: ignore[attr-defined]
        if is_number(decay) and decay == 0:
            return grads, params
        xp = backend.xp
        grads = form_gradients(grads, backend)
        if self.decoupled:  # type: ignore[attr-defined]
            return grads, _on_weights(
                lambda weight: weight * (1 - per_member(rate * decay, weight, xp)), params
            )
        return (
            _on_weights(lambda g, w: g + per_member(decay, w, xp) * w, grads, params),
            params,
        )


@dataclass(frozen=True, kw_only=True)
class SGD(_WithDecay):
    """Stochastic gradient descent: v ← μ v + g; θ ← θ − η v.

    Parameters
    ----------
    momentum : float
        μ (Polyak 1964), in [0, 1).
    nesterov : bool
        Step along g + μ v instead (Sutskever et al. 2013).
    weight_decay : float
        λ: adds λ w to the gradient of each weight w (L2), or
    decoupled : bool
        multiplies each weight by 1 − η λ before the update (Loshchilov and Hutter 2019).
    """

    kind: ClassVar[str] = "sgd"
    varies: ClassVar[tuple[str, ...]] = ("momentum", "weight_decay")

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decoupled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and is_number(self.momentum) and self.momentum == 0:
            message = "nesterov needs a momentum above 0, such as 0.9"
            raise InvalidArgumentError(message)

    def init(self, params: Params, *, backend: Backend) -> SGDState:
        if is_number(self.momentum) and self.momentum == 0:
            return SGDState(())
        return SGDState(tree.map(backend.xp.zeros_like, params))

    def update(
        self, grads: Grads, state: SGDState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, SGDState]:
        xp = backend.xp
        grads, params = self._decayed(grads, params, rate, backend)
        if state.velocity == ():
            return _descend(params, grads, rate, backend), state
        grads = form_gradients(grads, backend)
        velocity = tree.map(
            lambda v, g: per_member(self.momentum, v, xp) * v + g, state.velocity, grads
        )
        steps = velocity
        if self.nesterov:
            steps = tree.map(lambda g, v: g + per_member(self.momentum, v, xp) * v, grads, velocity)
        return _descend(params, steps, rate, backend), SGDState(velocity)


@dataclass(frozen=True, kw_only=True)
class RMSprop(_WithDecay):
    """s ← ρ s + (1 − ρ) g²; θ ← θ − η g / (√s + ε) (Tieleman and Hinton 2012, lecture 6.5)."""

    kind: ClassVar[str] = "rmsprop"

    rho: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False

    def init(self, params: Params, *, backend: Backend) -> RMSpropState:
        return RMSpropState(tree.map(backend.xp.zeros_like, params))

    def update(
        self, grads: Grads, state: RMSpropState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, RMSpropState]:
        grads, params = self._decayed(form_gradients(grads, backend), params, rate, backend)
        square = _running_mean(self.rho, state.square, tree.map(lambda g: g * g, grads), backend)
        steps = tree.map(lambda g, s: g / (backend.xp.sqrt(s) + self.epsilon), grads, square)
        return _descend(params, steps, rate, backend), RMSpropState(square)


@dataclass(frozen=True, kw_only=True)
class Adam(_WithDecay):
    """Adam (Kingma and Ba 2015, algorithm 1), with the bias corrections outside the root's ε.

    Parameters
    ----------
    beta_1, beta_2 : float
        How much of the running means of g and g² each update keeps.
    epsilon : float
        Added to √(corrected mean of g²).
    weight_decay, decoupled
        As in ``SGD``; ``AdamW`` is ``decoupled=True``.
    """

    kind: ClassVar[str] = "adam"

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False

    def init(self, params: Params, *, backend: Backend) -> AdamState:
        xp = backend.xp
        updates = xp.zeros((), dtype=xp.int32, device=backend.device)
        return AdamState(updates, tree.map(xp.zeros_like, params), tree.map(xp.zeros_like, params))

    def update(
        self, grads: Grads, state: AdamState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, AdamState]:
        xp = backend.xp
        grads, params = self._decayed(form_gradients(grads, backend), params, rate, backend)
        updates = state.updates + 1
        time = xp.astype(updates, backend.float_dtype)
        mean = _running_mean(self.beta_1, state.mean, grads, backend)
        square = _running_mean(self.beta_2, state.square, tree.map(lambda g: g * g, grads), backend)
        rate = rate / _bias_correction(self.beta_1, time, backend)
        root = xp.sqrt(_bias_correction(self.beta_2, time, backend))
        steps = tree.map(lambda m, s: m / (xp.sqrt(s) / root + self.epsilon), mean, square)
        return _descend(params, steps, rate, backend), AdamState(updates, mean, square)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""

    kind: ClassVar[str] = "adamw"

    weight_decay: float = 0.01
    decoupled: bool = True


def _descend(params: Params, steps: Grads, rate: Array, backend: Backend) -> Params:
    """θ − η · step, where a product that is not formed yet is added by its own ``add_to``."""
    downhill, one_rate, xp = -rate, rate.ndim == 0, backend.xp

    def leaf(p: Array, s: Any) -> Array:
        factor = downhill if one_rate else per_member(downhill, p, xp)
        if isinstance(s, ProductGradient):
            return s.add_to(p, factor, backend)
        stepped: Array = p + factor * s
        return stepped

    return tuple(  # a tree.map, written out: it is in every step's way
        {name: leaf(p, gradients[name]) for name, p in layer.items()} if layer else layer
        for layer, gradients in zip(params, steps, strict=True)
    )


def _running_mean(keep: float, old: Params, new: Params, backend: Backend) -> Params:
    def leaf(o: Array, n: Array) -> Array:
        share = per_member(keep, o, backend.xp)
        return share * o + (1 - share) * n

    return tree.map(leaf, old, new)


def _bias_correction(beta: float, time: Array, backend: Backend) -> Array:
    """1 − βᵗ, by way of expm1: the difference would lose four digits in float32 at t = 1."""
    correction: Array = -backend.xp.expm1(time * math.log(beta)) if beta else time * 0 + 1
    return correction


def _on_weights(function: Any, params: Any, *others: Any) -> Any:
    """Apply a function to the leaves called ``weight``, and keep all others of the first tree."""
    return tuple(
        {
            name: function(*(layer[name] for layer in layers)) if name == "weight" else value
            for name, value in layers[0].items()
        }
        for layers in zip(params, *others, strict=True)
    )


OPTIMIZERS: dict[str, Any] = {
    optimizer.kind: optimizer for optimizer in (SGD, RMSprop, Adam, AdamW)
}
