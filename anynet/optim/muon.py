"""Muon: steps of hidden weight matrices whose singular values are all about 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from anynet import tree
from anynet.backends import Backend
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.members import number, per_member
from anynet.nn.network import Network
from anynet.optim.optimizers import AdamState, AdamW
from anynet.typing import Array, Grads, Params

#: a, b, c of the polynomial a x + b x³ + c x⁵, which moves singular values in (0, 1] to about 1.
POLYNOMIAL = (3.4445, -4.775, 2.0315)
ITERATIONS = 5
TINY = 1e-30
WEIGHT = "weight"


class MuonState(NamedTuple):
    """State of ``Muon``."""

    adam: AdamState  # of all other parameters
    momentum: Params  # running mean of g, of the hidden weights


@register("optimizer")
@dataclass(frozen=True, kw_only=True)
class Muon(AdamW):
    """Muon for the weights of hidden dense layers, AdamW for all other parameters.

    The weights of all dense layers are hidden, except those of the last layer with parameters. For
    each of them, with the gradient g (I, O): m ← μ m + (1 − μ) g; u = (1 − μ) g + μ m;
    W ← (1 − η λ) W − η √max(1, O/I) · orthogonal(u), with η = ``ratio`` times the learning rate.

    Parameters
    ----------
    ratio : float
        Learning rate of the hidden weights divided by that of training, which is AdamW's.
    momentum : float
        μ, in [0, 1).
    beta_1, beta_2, epsilon
        As in ``AdamW``, for the other parameters.
    weight_decay, decoupled, groups
        As in ``AdamW``, for all parameters. ``rate`` of a group also multiplies the rate of hidden
        weights.
    hidden : tuple of int, optional
        Indices of the layers whose ``weight`` is hidden; ``bound_to`` and ``fit`` set them.

    References
    ----------
    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", with Nesterov
    momentum; on tables: arXiv 2604.15297.
    """

    kind: ClassVar[str] = "muon"
    varies: ClassVar[tuple[str, ...]] = ("weight_decay", "ratio", "momentum")

    ratio: float = number(20.0)
    momentum: float = number(0.95, below=1)
    hidden: tuple[int, ...] | None = None

    def bound(self, network: Network) -> Self:
        """Return the optimizer with the indices of the hidden layers of a network."""
        if self.hidden is not None:
            return self
        shapes = network.shapes()
        last = max((index for index, own in enumerate(shapes) if own), default=0)
        found = [
            index
            for index, layer in enumerate(network.layers)
            if layer.kind == "dense" and index != last and WEIGHT in shapes[index]
        ]
        return replace(self, hidden=tuple(found))

    def init(self, params: Params, *, backend: Backend) -> MuonState:  # type: ignore[override]
        """Return the state before the first update: means of 0."""
        hidden, rest = self._split(params)
        zeros = tree.map(backend.xp.zeros_like, hidden)
        return MuonState(super().init(rest, backend=backend), zeros)

    def update(  # type: ignore[override]
        self, grads: Grads, state: MuonState, params: Params, rate: Array, *, backend: Backend
    ) -> tuple[Params, MuonState]:
        """Return the parameters and the state after one update; both arguments are consumed."""
        hidden, rest = self._split(params)
        own, others = self._split(grads)
        rest, adam = super().update(others, state.adam, rest, rate, backend=backend)
        xp, rate = backend.xp, rate * self.ratio
        own, hidden = self._decayed(own, hidden, rate, backend)

        def mixed(mean: Array, g: Array) -> Array:
            keep = per_member(self.momentum, g, xp)
            return keep * mean + (1 - keep) * g

        momentum = tree.map(mixed, state.momentum, own)
        steps = tree.map(
            lambda mean, g: _scaled(orthogonalised(mixed(mean, g), backend=backend)), momentum, own
        )
        hidden = self._descend(hidden, steps, rate, backend)
        joined = tuple(
            {name: {**some, **other}[name] for name in layer}
            for layer, some, other in zip(params, hidden, rest, strict=True)
        )
        return joined, MuonState(adam, momentum)

    def _split(self, leaves: Any) -> tuple[Any, Any]:
        """Return the hidden weights, and all other leaves, as two trees of all layers."""
        if self.hidden is None:
            message = "use bound_to(network, optimizer): muon must know which layers are hidden"
            raise InvalidArgumentError(message)
        hidden, rest = [], []
        for index, layer in enumerate(leaves):
            is_own = index in self.hidden and WEIGHT in layer
            hidden.append({WEIGHT: layer[WEIGHT]} if is_own else {})
            rest.append({n: leaf for n, leaf in layer.items() if not (is_own and n == WEIGHT)})
        return tuple(hidden), tuple(rest)


def orthogonalised(matrix: Array, *, backend: Backend) -> Array:
    """Move the singular values of matrices to about 1 (0.7 to 1.2), keeping their vectors.

    Five steps of a Newton–Schulz iteration, on the smaller of the two Gram matrices A:
    X ← X / ‖X‖_F, then X ← (a + b A + c A²) X with A = X Xᵀ, or X (a + b A + c A²) with A = Xᵀ X.

    Parameters
    ----------
    matrix : Array of shape (*P, I, O)
    backend : Backend

    Returns
    -------
    Array of shape (*P, I, O)
        Zeros stay zeros.
    """
    xp, (a, b, c) = backend.xp, POLYNOMIAL
    rows, columns = matrix.shape[-2:]
    largest = xp.max(xp.abs(matrix), axis=(-2, -1), keepdims=True)
    x: Array = matrix / xp.maximum(largest, TINY)  # so that squares neither underflow nor overflow
    x = x / xp.maximum(xp.sqrt(xp.sum(x * x, axis=(-2, -1), keepdims=True)), TINY)
    wide, size = rows <= columns, min(rows, columns)
    identity = a * xp.eye(size, dtype=x.dtype, device=backend.device)
    for _ in range(ITERATIONS):
        gram = backend.gemm(x, x, transpose_a=not wide, transpose_b=wide)
        square = backend.gemm(gram, gram, transpose_b=True)  # symmetric: half of it is computed
        factor = identity + b * gram + c * square
        x = backend.gemm(factor, x) if wide else backend.gemm(x, factor)
    return x


def _scaled(step: Array) -> Array:
    """Multiply by √max(1, O/I)."""
    rows, columns = step.shape[-2:]
    scaled: Array = step * math.sqrt(max(1.0, columns / rows))
    return scaled
