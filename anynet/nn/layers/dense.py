"""The dense layer: its product, and the gradient of its weight as two factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.checks import check_bool, check_whole
from anynet.config import register
from anynet.nn.layers.initializers import (
    FITTED,
    convex_combinations,
    get_bias_initializer,
    get_initializer,
    unit_std,
)
from anynet.nn.layers.layer import Pullback, Shapes
from anynet.typing import Array, Key, LayerGrads, LayerParams


@register("layer")
@dataclass(frozen=True)
class Dense:
    """Compute x W + b.

    Parameters
    ----------
    units : int
        The number of outputs O; ``weight`` has shape (*P, I, O), ``bias`` (*P, O).
    initializer : str
        A name of ``anynet.nn.INITIALIZERS``.
    bias_initializer : str
        A name of ``anynet.nn.BIAS_INITIALIZERS``.
    ntk : bool
        Whether to compute x W / √I + b, with initial weights that are √I times as large: the same
        function at the start, whose learning rate does not depend on the number of inputs I.
        ``"lecun_normal"`` then draws from N(0, 1).

    References
    ----------
    ``ntk``: Jacot, Gabriel and Hongler 2018, "Neural Tangent Kernel", section 3.

    Examples
    --------
    >>> from anynet import nn
    >>> nn.Dense(32).shapes(64)
    ({'weight': (64, 32), 'bias': (32,)}, 32)
    """

    kind: ClassVar[str] = "dense"

    units: int
    initializer: str = "he_normal"
    bias_initializer: str = "zeros"
    ntk: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", check_whole("dense: units", self.units))
        get_initializer(self.initializer)
        get_bias_initializer(self.bias_initializer)
        check_bool("dense: ntk", self.ntk)

    @property
    def fits_params(self) -> bool:
        """Whether the initial parameters depend on the training samples, see ``fit_params``."""
        return self.initializer in FITTED or self.bias_initializer in FITTED

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shapes of ``weight`` and ``bias``, and the number of units."""
        return {"weight": (n_in, self.units), "bias": (self.units,)}, self.units

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw a weight and a bias, and return them with the number of units."""
        weight = get_initializer(self.initializer)(rng, n_in, self.units)
        bias = get_bias_initializer(self.bias_initializer)(rng, n_in, self.units)
        return {"weight": weight * n_in**0.5 if self.ntk else weight, "bias": bias}, self.units

    def fit_params(
        self, params: dict[str, np.ndarray], x: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the initial parameters for training samples.

        Parameters
        ----------
        params : dict of str to ndarray
            See ``init``.
        x : ndarray of shape (M, I)
            The inputs of this layer for training samples, in float64.
        rng : Generator
        """
        weight, bias = params["weight"], params["bias"]
        inputs = x * x.shape[-1] ** -0.5 if self.ntk else x
        if self.initializer in FITTED:
            weight = unit_std(weight, inputs)
        if self.bias_initializer in FITTED:
            bias = -convex_combinations(rng, inputs @ weight)
        return {"weight": weight, "bias": bias}

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the product with the bias added, and the pullback."""
        weight, factor = params["weight"], x.shape[-1] ** -0.5
        if self.ntk:
            x = x * factor
        y = backend.gemm(x, weight)
        y += params["bias"][..., None, :]

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            grads: LayerGrads = {
                "weight": ProductGradient(x, dy),
                "bias": backend.xp.sum(dy, axis=-2),
            }
            if not need_dx:
                return grads, None
            dx = backend.gemm(dy, weight, transpose_b=True)
            return grads, dx * factor if self.ntk else dx

        return y, pullback


@dataclass(eq=False, slots=True)
class ProductGradient:
    """The product xᵀ · dy; optimizers that only add it to the weight need not form it.

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
