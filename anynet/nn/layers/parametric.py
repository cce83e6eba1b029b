"""Elementwise layers with parameters: a learned scale, an activation with a learned share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.config import lookup, register
from anynet.nn.activations import ACTIVATIONS
from anynet.nn.layers.layer import Pullback, Shapes
from anynet.typing import Array, Key, LayerGrads, LayerParams


class _Gain:
    """Base of layers with one parameter for each input: ``gain`` (*P, I), 1 at the start."""

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shape of ``gain``, and the number of inputs."""
        return {"gain": (n_in,)}, n_in

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:  # noqa: ARG002
        """Return gains of 1, and the number of inputs."""
        return {"gain": np.ones(n_in)}, n_in


@register("layer")
@dataclass(frozen=True)
class FeatureScale(_Gain):
    """Multiply each input by a learned ``gain``, 1 at the start: a soft selection of features.

    References
    ----------
    The scaling layer of RealMLP: Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default",
    section 3.
    """

    kind: ClassVar[str] = "feature_scale"

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the scaled inputs, and the pullback."""
        gain = params["gain"][..., None, :]

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            return {"gain": backend.xp.sum(dy * x, axis=-2)}, dy * gain if need_dx else None

        return x * gain, pullback


@register("layer")
@dataclass(frozen=True)
class ParametricActivation(_Gain):
    """Compute x + a (f(x) − x): an activation f with a learned share a of each unit, ``gain``.

    Parameters
    ----------
    function : str
        f, a name of ``anynet.nn.ACTIVATIONS``.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", section 3.
    """

    kind: ClassVar[str] = "parametric_activation"

    function: str = "relu"

    def __post_init__(self) -> None:
        lookup("activation", self.function)

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the activations, and the pullback."""
        gain = params["gain"][..., None, :]
        activated, derivative = ACTIVATIONS[self.function](x, backend.xp)
        bend = activated - x

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            grads = {"gain": backend.xp.sum(dy * bend, axis=-2)}
            if not need_dx:
                return grads, None
            inner = dy * gain
            return grads, derivative(inner) + (dy - inner)

        return x + gain * bend, pullback
