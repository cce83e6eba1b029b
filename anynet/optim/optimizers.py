"""Optimizers: pairs of pure functions, ``init`` and ``update``.

The conventions are torch's (https://pytorch.org/docs/stable/optim.html), with two differences:
weight decay acts on weights, not on biases, gains or other parameters (see ``Group``), and the
learning rate is an argument of training, not of the optimizer, whose own arguments are keywords.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol

from anynet import tree
from anynet.backends import Backend
from anynet.config import named_or_given, register, registered
from anynet.errors import InvalidArgumentError
from anynet.members import Bounded, is_number, number, per_member
from anynet.nn.layers.dense import ProductGradient, form_gradients
from anynet.nn.network import Network
from anynet.optim.groups import Group, factors
from anynet.typing import Array, Grads, Params


class Optimizer(Protocol):
    """The interface of optimizers: how gradients change parameters.

    ``update`` receives the gradients as arrays, unless the class itself has
    ``takes_products = True``: then those of dense weights are ``ProductGradient``.
    """

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


@dataclass(frozen=True, kw_only=True)
class _Decaying(Bounded):
    """Base class of optimizers: weight decay, as an L2 penalty or decoupled, and groups."""

    kind: ClassVar[str]
    varies: ClassVar[tuple[str, ...]] = ("weight_decay",)

    weight_decay: float = number(0.0)
    decoupled: bool = False
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.groups, tuple) or not all(isinstance(g, Group) for g in self.groups):
            message = f"{self.kind}: groups must be a tuple of Group, got {self.groups!r}"
            raise InvalidArgumentError(message)

    def _decayed(
        self, grads: Grads, params: Params, rate: Array, backend: Backend
    ) -> tuple[Grads, Params]:
        """Apply ``weight_decay`` to the gradients, or if ``decoupled`` to the weights."""
        if is_number(self.weight_decay) and self.weight_decay == 0:
            return grads, params
        xp, n_layers = backend.xp, len(params)
        grads = form_gradients(grads, backend)

        def penalised(index: int, name: str, w: Array, g: Array) -> Array:
            decay = _times(self.weight_decay, factors(self.groups, index, n_layers, name)[1])
            return g if _is_zero(decay) else g + per_member(decay, w, xp) * w

        def shrunk(index: int, name: str, w: Array) -> Array:
            of_rate, of_decay = factors(self.groups, index, n_layers, name)
            decay = _times(self.weight_decay, of_decay)
            if _is_zero(decay):
                return w
            return w * (1 - per_member(_times(rate, of_rate) * decay, w, xp))

        if self.decoupled:
            return grads, _map_leaves(shrunk, params)
        return _map_leaves(penalised, params, grads), params

    def _descend(self, params: Params, steps: Grads, rate: Array, backend: Backend) -> Params:
        """θ − η · step; a ``ProductGradient`` is added by its own ``add_to``."""
        downhill: Array = -rate
        n_layers, xp = len(params), backend.xp

        def moved(index: int, name: str, p: Array, s: Any) -> Array:
            factor: Array | float = downhill
            if self.groups:
                factor = _times(downhill, factors(self.groups, index, n_layers, name)[0])
                if _is_zero(factor):
                    return p
            factor = per_member(factor, p, xp)
            if isinstance(s, ProductGradient):
                return s.add_to(p, factor, backend)
            stepped: Array = p + factor * s
            return stepped

        return _map_leaves(moved, params, steps)


@register("optimizer")
@dataclass(frozen=True, kw_only=True)
class SGD(_Decaying):
    """Stochastic gradient descent: v ← μ v + g; θ ← θ − η v.

    Parameters
    ----------
    momentum : float
        μ (Polyak 1964), in [0, 1).
    nesterov : bool
        Step along g + μ v instead (Sutskever et al. 2013).
    weight_decay : float
        λ: λ w is added to the gradient of each weight w (an L2 penalty).
    decoupled : bool
        Multiply each weight by 1 − η λ before the update instead (Loshchilov and Hutter 2019).
    groups : tuple of Group
        Factors of the learning rate and of ``weight_decay`` for some parameters.

    Examples
    --------
    >>> from anynet.optim import SGD
    >>> SGD(momentum=0.9, nesterov=True).momentum
    0.9
    """

    kind: ClassVar[str] = "sgd"
    varies: ClassVar[tuple[str, ...]] = ("momentum", "weight_decay")
    takes_products: ClassVar[bool] = True

    momentum: float = number(0.0, below=1)
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and is_number(self.momentum) and self.momentum == 0:
            message = "nesterov needs a momentum above 0, such as 0.9"
            raise InvalidArgumentError(message)

    def init(self, params: Params, *, backend: Backend) -> SGDState:
        """Return the state before the first update: zero velocities, none without momentum."""
        if is_number(self.momentum) and self.momentum == 0:
            return SGDState(())
        return SGDState(tree.map(backend.xp.zeros_like, params))

    def update(
        self, grads: Grads, state: SGDState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, SGDState]:
        """Return the parameters and the state after one update; both arguments are consumed."""
        xp = backend.xp
        grads, params = self._decayed(grads, params, rate, backend)
        if state.velocity == ():
            return self._descend(params, grads, rate, backend), state
        grads = form_gradients(grads, backend)
        velocity = tree.map(
            lambda v, g: per_member(self.momentum, v, xp) * v + g, state.velocity, grads
        )
        steps = velocity
        if self.nesterov:
            steps = tree.map(lambda g, v: g + per_member(self.momentum, v, xp) * v, grads, velocity)
        return self._descend(params, steps, rate, backend), SGDState(velocity)


@register("optimizer")
@dataclass(frozen=True, kw_only=True)
class RMSprop(_Decaying):
    """RMSprop: s ← ρ s + (1 − ρ) g²; θ ← θ − η g / (√s + ε).

    Tieleman and Hinton 2012, lecture 6.5.

    Parameters
    ----------
    rho : float
        ρ, in [0, 1).
    epsilon : float
        ε, added to √s.
    weight_decay, decoupled, groups
        As in ``SGD``.
    """

    kind: ClassVar[str] = "rmsprop"

    rho: float = number(0.99, below=1)
    epsilon: float = number(1e-8)

    def init(self, params: Params, *, backend: Backend) -> RMSpropState:
        """Return the state before the first update: means of 0."""
        return RMSpropState(tree.map(backend.xp.zeros_like, params))

    def update(
        self, grads: Grads, state: RMSpropState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, RMSpropState]:
        """Return the parameters and the state after one update; both arguments are consumed."""
        grads, params = self._decayed(form_gradients(grads, backend), params, rate, backend)
        square = _running_mean(self.rho, state.square, tree.map(lambda g: g * g, grads), backend)
        steps = tree.map(lambda g, s: g / (backend.xp.sqrt(s) + self.epsilon), grads, square)
        return self._descend(params, steps, rate, backend), RMSpropState(square)


@register("optimizer")
@dataclass(frozen=True, kw_only=True)
class Adam(_Decaying):
    """Adam (Kingma and Ba 2015, algorithm 1), with the bias corrections outside the root's ε.

    Parameters
    ----------
    beta_1, beta_2 : float
        The share of the running means of g and g² that each update keeps, in [0, 1).
    epsilon : float
        Added to √(corrected mean of g²).
    weight_decay, decoupled, groups
        As in ``SGD``; ``AdamW`` is ``decoupled=True``.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> adam = anynet.optim.Adam(weight_decay=0.0001)
    >>> model = anynet.fit(
    ...     network, data.train, epochs=5, optimizer=adam, learning_rate=0.01, backend="numpy"
    ... )
    >>> model.score(*data.test) > 0.9
    True
    """

    kind: ClassVar[str] = "adam"

    beta_1: float = number(0.9, below=1)
    beta_2: float = number(0.999, below=1)
    epsilon: float = number(1e-8)

    def init(self, params: Params, *, backend: Backend) -> AdamState:
        """Return the state before the first update: means of 0."""
        xp = backend.xp
        updates = xp.zeros((), dtype=xp.int32, device=backend.device)
        return AdamState(updates, tree.map(xp.zeros_like, params), tree.map(xp.zeros_like, params))

    def update(
        self, grads: Grads, state: AdamState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, AdamState]:
        """Return the parameters and the state after one update; both arguments are consumed."""
        xp = backend.xp
        grads, params = self._decayed(form_gradients(grads, backend), params, rate, backend)
        updates = state.updates + 1
        time = xp.astype(updates, backend.float_dtype)
        mean = _running_mean(self.beta_1, state.mean, grads, backend)
        square = _running_mean(self.beta_2, state.square, tree.map(lambda g: g * g, grads), backend)
        rate = rate / _bias_correction(self.beta_1, time, backend)
        root = xp.sqrt(_bias_correction(self.beta_2, time, backend))
        steps = tree.map(lambda m, s: m / (xp.sqrt(s) / root + self.epsilon), mean, square)
        return self._descend(params, steps, rate, backend), AdamState(updates, mean, square)


@register("optimizer")
@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

    The parameters are those of ``Adam``.

    Examples
    --------
    >>> from anynet.optim import AdamW, Group
    >>> AdamW(weight_decay=0.01, groups=(Group(index=-1, rate=0.1),)).weight_decay
    0.01
    """

    kind: ClassVar[str] = "adamw"

    weight_decay: float = number(0.01)
    decoupled: bool = True


def _map_leaves(function: Callable[..., Array], params: Params, *others: Any) -> Params:
    """Apply ``function(layer index, name, leaf, *other leaves)`` to each leaf of ``params``."""
    mapped = []
    for index, (layer, *rest) in enumerate(zip(params, *others, strict=True)):
        own = {}
        for name, leaf in layer.items():
            own[name] = function(index, name, leaf, *[other[name] for other in rest])
        mapped.append(own)
    return tuple(mapped)


def _times(value: Any, factor: Any) -> Any:
    """Multiply; factors 0 and 1 cost nothing."""
    if is_number(factor) and factor in (0, 1):
        return value if factor else 0.0
    return value * factor


def _is_zero(value: Any) -> bool:
    return is_number(value) and value == 0


def _running_mean(keep: float, old: Params, new: Params, backend: Backend) -> Params:
    def leaf(o: Array, n: Array) -> Array:
        share = per_member(keep, o, backend.xp)
        return share * o + (1 - share) * n

    return tree.map(leaf, old, new)


def _bias_correction(beta: float, time: Array, backend: Backend) -> Array:
    """Return 1 − βᵗ by expm1; the difference would lose four digits in float32 at t = 1."""
    correction: Array = -backend.xp.expm1(time * math.log(beta)) if beta else time * 0 + 1
    return correction


OPTIMIZERS: Mapping[str, Any] = registered("optimizer")


def as_optimizer(optimizer: Optimizer | str | None) -> Optimizer:
    """Return an optimizer unchanged, the registered optimizer of a name, or SGD for None.

    Raises
    ------
    InvalidArgumentError
        If it is none of these.
    """
    if optimizer is None:
        return SGD()
    return named_or_given("optimizer", optimizer, _is_optimizer, "Adam()")  # type: ignore[no-any-return]


def _is_optimizer(given: Any) -> bool:
    return hasattr(given, "init") and hasattr(given, "update")


def bound_to(network: Network, optimizer: Optimizer) -> Optimizer:
    """Return the optimizer with groups, and hidden weights, as indices of layers of a network.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
        One without groups is returned unchanged, or what its own ``bound(network)`` returns.

    Raises
    ------
    InvalidArgumentError
        If a group matches no parameter of the network.
    """
    if hasattr(optimizer, "bound"):
        optimizer = optimizer.bound(network)
    groups: tuple[Group, ...] = getattr(optimizer, "groups", ())
    if not groups:
        return optimizer
    found: list[Group] = []
    shapes = network.shapes()
    for group in groups:
        indices = [
            index
            for index, (layer, names) in enumerate(zip(network.layers, shapes, strict=True))
            if group.layer in (None, layer.kind)
            and any(group.matches(index, len(shapes), name) for name in names)
        ]
        if not indices:
            message = f"{group!r} matches no parameter of the network {network.layers!r}"
            raise InvalidArgumentError(message)
        found += [replace(group, layer=None, index=index) for index in indices]
    return replace(optimizer, groups=tuple(found))  # type: ignore[type-var]
