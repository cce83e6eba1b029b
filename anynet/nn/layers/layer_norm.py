"""Layer normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.nn.layers.layer import Pullback
from anynet.typing import Array, Key, LayerGrads, LayerParams


@dataclass(frozen=True)
class LayerNorm:
    """Shift and scale each sample to mean 0 and variance 1, then by a learnt gain and bias.

    Ba, Kiros and Hinton 2016, equation 4; ``gain`` and ``bias`` have shape (*P, I).
    """

    kind: ClassVar[str] = "layer_norm"
    random: ClassVar[bool] = False

    epsilon: float = 1e-5

    def shapes(self, n_in: int) -> tuple[dict[str, tuple[int, ...]], int]:
        return {"gain": (n_in,), "bias": (n_in,)}, n_in

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:  # noqa: ARG002
        return {"gain": np.ones(n_in), "bias": np.zeros(n_in)}, n_in

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None = None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        xp = backend.xp
        gain = params["gain"][..., None, :]
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        deviation = xp.sqrt(variance + self.epsilon)
        normal = centred / deviation

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            grads = {"gain": xp.sum(dy * normal, axis=-2), "bias": xp.sum(dy, axis=-2)}
            if not need_dx:
                return grads, None
            slope = dy * gain
            along = xp.mean(slope * normal, axis=-1, keepdims=True)
            level = xp.mean(slope, axis=-1, keepdims=True)
            return grads, (slope - level - normal * along) / deviation

        return normal * gain + params["bias"][..., None, :], pullback
