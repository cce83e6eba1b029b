"""The gradient of a dense weight, kept as its two factors until it is needed as an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anynet import tree
from anynet.backends import Backend
from anynet.typing import Array


@dataclass(eq=False, slots=True)
class ProductGradient:
    """The product xᵀ · dy; an optimizer that only adds it to the weight never forms it.

    Attributes
    ----------
    x : Array of shape (*P, B, I) or (B, I)
    dy : Array of shape (*P, B, O)
    """

    x: Array
    dy: Array

    def form(self, backend: Backend) -> Array:
        """Return the gradient as an array (*P, I, O)."""
        return backend.gemm(self.x, self.dy, transpose_a=True)

    def add_to(self, weight: Array, factor: Array | float, backend: Backend) -> Array:
        """Return weight + factor · gradient as one product; ``weight`` is consumed."""
        return backend.gemm(
            self.x, self.dy, transpose_a=True, accumulate=weight, alpha=factor, beta=1
        )


def form_gradients(grads: Any, backend: Backend) -> Any:
    """Return a tree of gradients with every ``ProductGradient`` formed."""
    return tree.map(
        lambda leaf: leaf.form(backend) if isinstance(leaf, ProductGradient) else leaf, grads
    )
