"""scikit-learn's training step: packed parameters, the L2 penalty, its forms of SGD and Adam.

In a small network the calls of an update cost more than their arithmetic. On parameters that are
packed into two vectors, the weights and the rest, an optimizer makes half as many or fewer, which
saves up to a third of the time of a fit. L-BFGS needs a vector anyway, and the penalty one of the
weights.

The optimizers differ from those of ``anynet.optim``, which follow torch, only in where the learning
rate and ε enter. They update their own state in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.members import is_number, per_member
from anynet.nn.layers.dense import ProductGradient
from anynet.nn.network import Network
from anynet.optim import Optimizer
from anynet.optim.optimizers import AdamState, SGDState
from anynet.training.state import Sums, TrainState, Weights
from anynet.training.step import TrainingStep
from anynet.typing import Array, Grads, Key, LayerStates, Namespace, Params


class _Slot(NamedTuple):
    """Where one parameter lies."""

    layer: int
    name: str
    group: str
    start: int
    stop: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class PackedNetwork:
    """A network with the parameters ``({"weight": (*P, W), "bias": (*P, V)},)``.

    Weights of dense layers are in ``weight``; biases, and gains of normalised layers, in ``bias``;
    both in the order of the layers. A training step takes it in place of a ``Network``.

    Parameters
    ----------
    network : Network
        Without layers that keep state.
    """

    network: Network

    @property
    def members(self) -> int:
        """The number of members that share weights."""
        return self.network.members

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of inputs of each layer, and the number of outputs of the last."""
        return self.network.widths

    @property
    def n_parameters(self) -> int:
        """The number of parameters."""
        return self.network.n_parameters

    @cached_property
    def _slots(self) -> tuple[_Slot, ...]:
        """One entry a parameter, in order."""
        slots = []
        ends = {"weight": 0, "bias": 0}
        for index, shapes in enumerate(self.network.shapes()):
            for name, shape in shapes.items():
                group = "weight" if name == "weight" else "bias"
                start = ends[group]
                ends[group] = start + math.prod(shape)
                slots.append(_Slot(index, name, group, start, ends[group], shape))
        return tuple(slots)

    def init(self, seed: int, backend: Backend) -> Params:
        """Draw initial parameters; see ``Network.init``."""
        return self.pack(self.network.init(seed, backend), backend)

    def trainable(self, params: Params) -> Params:
        """Return all parameters."""
        return params

    def with_frozen(self, trained: Params, params: Params) -> Params:
        """Return the trained parameters, which are all."""
        del params
        return trained

    def apply(
        self, params: Params, x: Array, *, backend: Backend, key: Key | None, states: LayerStates
    ) -> tuple[Array, Any, LayerStates]:
        """Compute the logits, a pullback to packed gradients, and the states; see ``Network``."""
        unpacked = self.unpack(params, backend.xp)
        logits, pullback, states = self.network.apply(
            unpacked, x, backend=backend, key=key, states=states
        )

        def packed(dy: Array, need_dx: bool = False) -> tuple[Grads, Array | None]:
            grads, dx = pullback(dy, need_dx)
            return self.pack(grads, backend), dx

        return logits, packed, states

    def pack(self, params: Any, backend: Backend) -> Params:
        """Join a tree of parameters or gradients into the vectors; copies them."""
        xp = backend.xp
        groups: dict[str, list[Array]] = {"weight": [], "bias": []}
        for layer, name, group, _, _, shape in self._slots:
            leaf = params[layer][name]
            if isinstance(leaf, ProductGradient):
                leaf = leaf.form(backend)
            if len(shape) > 1:
                leaf = xp.reshape(leaf, (*leaf.shape[: -len(shape)], -1))
            groups[group].append(leaf)
        return ({group: xp.concat(leaves, axis=-1) for group, leaves in groups.items()},)

    def unpack(self, packed: Params, xp: Namespace) -> Params:
        """Cut the vectors into the parameters of ``network``; shares memory if possible."""
        params: list[dict[str, Array]] = [{} for _ in self.network.layers]
        for layer, name, group, start, stop, shape in self._slots:
            part = packed[0][group][..., start:stop]
            if len(shape) > 1:
                part = xp.reshape(part, (*part.shape[:-1], *shape))
            params[layer][name] = part
        return tuple(params)


@dataclass(frozen=True)
class SolverStep(TrainingStep):
    """A training step of a ``PackedNetwork`` with scikit-learn's penalty, ½ α ‖W‖² / Σw.

    The penalty is part of the loss. W are the weights without the biases, Σw is the sum of the
    sample weights of the batch, or its number of samples: that is how ``alpha`` differs from a
    weight decay. The running sums hold the loss alone, each batch by its number of samples.

    Parameters
    ----------
    alpha : float
        In the step of a population it may be an array (*P,).
    """

    varies: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = 0.0

    def gradients(
        self,
        loss: Any,
        state: TrainState | Weights,
        x: Array,
        y: Array,
        weight: Array | None,
        key: Key | None,
    ) -> tuple[Array, Array, Grads, LayerStates]:
        """Return the loss with the penalty, the logits, the gradients and the layer states."""
        xp = self.backend.xp
        value, logits, grads, states = super().gradients(loss, state, x, y, weight, key)
        if is_number(self.alpha) and not self.alpha:
            return value, logits, grads, states
        share: Any = self.alpha / x.shape[-2]
        if weight is not None:
            total = xp.sum(weight, axis=-1)
            share = xp.where(total > 0, self.alpha / xp.where(total > 0, total, 1.0), 0.0)
        weights = state.params[0]["weight"]
        grads[0]["weight"] += per_member(share, weights, xp) * weights
        square = self.backend.gemm(weights[..., None, :], weights[..., None])[..., 0, 0]
        return value + 0.5 * share * square, logits, grads, states

    def zero_sums(self, population: tuple[int, ...]) -> Sums:
        """Return the running loss at the start of an epoch."""
        zeros = self.backend.to_device(np.zeros(population, dtype=self.backend.dtype))
        return Sums(zeros, (), ())  # type: ignore[arg-type]

    def batch_sums(self, value: Array, logits: Array, target: Array, weight: Array | None) -> Sums:
        """Return the loss of a batch, counted by its number of samples."""
        del target, weight
        return Sums(value * logits.shape[-2], (), ())  # type: ignore[arg-type]


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
    takes_products: ClassVar[bool] = True  # packed gradients have none
    varies: ClassVar[tuple[str, ...]] = ("momentum",)

    momentum: float = 0.9
    nesterov: bool = True

    def init(self, params: Params, *, backend: Backend) -> SGDState:
        """Return the velocity before the first update, zero; none without momentum."""
        if self._has_none:
            return SGDState(())
        return SGDState(tree.map(backend.xp.zeros_like, params))

    def update(
        self,
        grads: Grads,
        state: SGDState,
        params: Params,
        rate: Array,
        *,
        backend: Backend,
    ) -> tuple[Params, SGDState]:
        """Return the next parameters and velocity."""
        xp = backend.xp
        steps = tree.map(lambda g: g * per_member(rate, g, xp), grads)
        if self._has_none:
            return tree.map(lambda p, s: p - s, params, steps), state

        def slowed(v: Array, s: Array) -> Array:
            v *= per_member(self.momentum, v, xp)
            v -= s
            return v

        velocity = tree.map(slowed, state.velocity, steps)
        if not self.nesterov:
            return tree.map(lambda p, v: p + v, params, velocity), SGDState(velocity)

        def ahead(p: Array, v: Array, s: Array) -> Array:
            moved: Array = per_member(self.momentum, v, xp) * v
            moved -= s
            moved += p
            return moved

        return tree.map(ahead, params, velocity, steps), SGDState(velocity)

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
    takes_products: ClassVar[bool] = True  # packed gradients have none

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, params: Params, *, backend: Backend) -> AdamState:
        """Return the running sums before the first update, zero."""
        xp = backend.xp
        updates = xp.zeros((), dtype=xp.int32, device=backend.device)
        return AdamState(updates, tree.map(xp.zeros_like, params), tree.map(xp.zeros_like, params))

    def update(
        self, grads: Grads, state: AdamState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, AdamState]:
        """Return the next parameters and running sums."""
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

        mean = tree.map(first, state.mean, grads)
        square = tree.map(second, state.square, grads)
        return tree.map(moved, params, mean, square), AdamState(updates, mean, square)


@dataclass(frozen=True)
class UnpackedOptimizer:
    """An optimizer of packed parameters that updates them layer by layer with another.

    It serves optimizers whose update of an array depends on more than its elements: those with
    parameter groups, and those of other packages.

    Parameters
    ----------
    optimizer : Optimizer
        Bound to the network, see ``anynet.optim.bound_to``.
    packed : PackedNetwork
    """

    takes_products: ClassVar[bool] = True  # packed gradients have none

    optimizer: Optimizer
    packed: PackedNetwork

    def init(self, params: Params, *, backend: Backend) -> Any:
        """Return the state of the inner optimizer before the first update."""
        return self.optimizer.init(self.packed.unpack(params, backend.xp), backend=backend)

    def update(
        self, grads: Grads, state: Any, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, Any]:
        """Return the packed parameters and the state after one update."""
        xp = backend.xp
        moved, state = self.optimizer.update(
            self.packed.unpack(grads, xp), state, self.packed.unpack(params, xp), rate,
            backend=backend,
        )  # fmt: skip
        return self.packed.pack(moved, backend), state


def _correction(beta: float, time: Array, xp: Namespace) -> Array:
    """1 − βᵗ, by way of expm1: the difference would lose digits in float32."""
    exponent = math.log(beta) if beta else -math.inf
    correction: Array = -xp.expm1(time * exponent)
    return correction
