"""All parameters as two vectors, weights and the rest.

A small network spends most of an update on the overhead of calls: on two vectors an optimizer
makes half as many or fewer. L-BFGS wants a vector anyway, and the L2 penalty one of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from anynet.backends import Backend
from anynet.nn.layers.dense import ProductGradient
from anynet.nn.network import Network
from anynet.typing import Array, Namespace, Params


class _Slot(NamedTuple):
    """Where one parameter lies."""

    layer: int
    name: str
    group: str
    start: int
    stop: int
    shape: tuple[int, ...]


def each(function: Callable[..., Array], packed: Params, *others: Params) -> Params:
    """Apply a function to each vector: ``tree.map`` for packed parameters, in every step's way."""
    rest = [other[0] for other in others]
    vectors = packed[0].items()
    return ({name: function(vector, *[one[name] for one in rest]) for name, vector in vectors},)


@dataclass(frozen=True)
class Packing:
    """How the parameters of a network lie in ``{"weight": (W,), "bias": (V,)}``.

    Weights of dense layers go to ``weight``; biases, and gains of normalised layers, to ``bias``;
    both in the order of the layers. Optimizers take ``({"weight": …, "bias": …},)`` as the
    parameters of a network of one layer. Those of a population are (*P, W) and (*P, V).
    """

    network: Network

    @cached_property
    def slots(self) -> tuple[_Slot, ...]:
        """One entry a parameter, in order."""
        slots = []
        ends = {"weight": 0, "bias": 0}
        width = self.network.n_inputs
        for index, layer in enumerate(self.network.layers):
            shapes, width = layer.shapes(width)
            for name, shape in shapes.items():
                group = "weight" if name == "weight" else "bias"
                start = ends[group]
                ends[group] = start + math.prod(shape)
                slots.append(_Slot(index, name, group, start, ends[group], shape))
        return tuple(slots)

    def pack(self, params: Any, backend: Backend) -> Params:
        """Join a tree of parameters or gradients into the vectors; copies them."""
        xp = backend.xp
        weights: list[Array] = []
        rest: list[Array] = []
        for layer, name, group, _, _, shape in self.slots:
            leaf = params[layer][name]
            if isinstance(leaf, ProductGradient):
                leaf = leaf.form(backend)
            if len(shape) > 1:
                leaf = xp.reshape(leaf, (*leaf.shape[: -len(shape)], -1))
            (weights if group == "weight" else rest).append(leaf)
        return ({"weight": xp.concat(weights, axis=-1), "bias": xp.concat(rest, axis=-1)},)

    def unpack(self, packed: Params, xp: Namespace) -> Params:
        """Cut the vectors into the tree that ``Network.apply`` takes; shares memory if it can."""
        params: list[dict[str, Array]] = [{} for _ in self.network.layers]
        vectors = packed[0]
        for layer, name, group, start, stop, shape in self.slots:
            part = vectors[group][..., start:stop]
            if len(shape) > 1:
                part = xp.reshape(part, (*part.shape[:-1], *shape))
            params[layer][name] = part
        return tuple(params)
