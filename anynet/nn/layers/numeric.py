"""Embeddings of numbers: each of the leading columns becomes several learned features."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from anynet.backends import Backend
from anynet.checks import check_whole
from anynet.config import register
from anynet.members import Bounded, number
from anynet.nn.layers.layer import Pullback, Shapes
from anynet.nn.layers.piecewise import Binned, encode, leading
from anynet.typing import Array, Key, LayerGrads, LayerParams, LayerState

Embed: TypeAlias = Callable[[Array], tuple[Array, Pullback]]
"""``x -> (y, pullback)`` of all columns at once: from (*P, C, B, 1) to (*P, C, B, D)."""


class NumberEmbedding:
    """Base of layers that embed the leading C columns, and pass the other inputs on behind them.

    A subclass has parameters of the shapes that ``column_shapes`` returns, for each column.
    """

    kind: ClassVar[str]
    keeps_inputs: ClassVar[bool] = False  # whether the embedded columns are passed on too
    columns: int | None

    def __post_init__(self) -> None:
        if self.columns is not None:
            object.__setattr__(self, "columns", check_whole(f"{self.kind}: columns", self.columns))
        super().__post_init__()  # type: ignore[misc]

    def column_shapes(self) -> tuple[Shapes, int]:
        """Return the shape of each parameter of one column, and the number of its outputs."""
        raise NotImplementedError

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shapes of the parameters, (C, …), and the number of outputs."""
        columns = leading(self, n_in)
        shapes, width = self.column_shapes()
        rest = n_in if self.keeps_inputs else n_in - columns
        return {name: (columns, *shape) for name, shape in shapes.items()}, columns * width + rest

    def over_columns(self, x: Array, embed: Embed, backend: Backend) -> tuple[Array, Pullback]:
        """Apply a function to the leading columns of x (*P, B, I), the columns as an axis."""
        xp, columns = backend.xp, leading(self, x.shape[-1])
        y, pull = embed(xp.matrix_transpose(x[..., :columns])[..., None])
        lead, (n_samples, width) = y.shape[:-3], y.shape[-2:]
        axes = (*range(len(lead)), y.ndim - 2, y.ndim - 3, y.ndim - 1)
        y = xp.reshape(xp.permute_dims(y, axes), (*lead, n_samples, columns * width))
        rest = x if self.keeps_inputs else x[..., columns:]
        if rest.shape[-1]:
            rest = xp.broadcast_to(rest, (*y.shape[:-1], rest.shape[-1]))
            y = xp.concat([y, rest], axis=-1)

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            own, passed = dy[..., : columns * width], dy[..., columns * width :]
            own = xp.permute_dims(xp.reshape(own, (*lead, n_samples, columns, width)), axes)
            grads, dx = pull(own, need_dx)
            if dx is None:
                return grads, None
            dx = xp.matrix_transpose(dx[..., 0])
            if self.keeps_inputs:
                dx, passed = dx + passed[..., :columns], passed[..., columns:]
            return grads, xp.concat([dx, passed], axis=-1) if passed.shape[-1] else dx

        return y, pullback


def _waves(x: Array, frequency: Array, phase: Array, backend: Backend) -> tuple[Array, Pullback]:
    """Return cos(2π w x + b) and its pullback; w and b are (*P, C, H), x is (*P, C, B, 1)."""
    xp = backend.xp
    speed = (2 * math.pi) * frequency[..., None, :]
    angle = x * speed + phase[..., None, :]

    def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
        slope = -xp.sin(angle) * dy
        grads = {
            "frequency": (2 * math.pi) * xp.sum(slope * x, axis=-2),
            "phase": xp.sum(slope, axis=-2),
        }
        return grads, xp.sum(slope * speed, axis=-1, keepdims=True) if need_dx else None

    return xp.cos(angle), pullback


@register("layer")
@dataclass(frozen=True)
class PBLD(NumberEmbedding, Bounded):
    """Periodic bias linear DenseNet: embed each number x as Wᵀ cos(2π w x + b) + c.

    The outputs are ``width`` numbers for each of the leading columns, then all inputs, the
    embedded columns included. Parameters of a column: ``frequency`` w ~ N(0, σ²) and ``phase``
    b ~ U(−π, π), both (H,), ``weight`` W (H, D) and ``bias`` c (D,) ~ U(±1/√H).

    Parameters
    ----------
    columns : int, optional
        The number of leading columns to embed; all by default.
    waves : int
        The number of cosines of a column, H.
    width : int
        The number of linear outputs of a column, D.
    sigma : float
        The standard deviation of the initial frequencies, σ.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", appendix.
    """

    kind: ClassVar[str] = "pbld"
    varies: ClassVar[tuple[str, ...]] = ("sigma",)
    keeps_inputs: ClassVar[bool] = True

    columns: int | None = None
    waves: int = 16
    width: int = 3
    sigma: float = number(0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("waves", "width"):
            object.__setattr__(self, name, check_whole(f"pbld: {name}", getattr(self, name)))

    def column_shapes(self) -> tuple[Shapes, int]:
        """Return the shape of each parameter of one column, and the number of its outputs."""
        h, d = self.waves, self.width
        return {"frequency": (h,), "phase": (h,), "weight": (h, d), "bias": (d,)}, d

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw the parameters, and return them with the number of outputs."""
        shapes, n_outputs = self.shapes(n_in)
        bound = self.waves**-0.5
        params = {
            "frequency": self.sigma * rng.standard_normal(shapes["frequency"]),
            "phase": rng.uniform(-math.pi, math.pi, shapes["phase"]),
            "weight": rng.uniform(-bound, bound, shapes["weight"]),
            "bias": rng.uniform(-bound, bound, shapes["bias"]),
        }
        return params, n_outputs

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the embedded columns and all inputs, and the pullback."""
        weight = params["weight"]

        def embed(numbers: Array) -> tuple[Array, Pullback]:
            waves, of_waves = _waves(numbers, params["frequency"], params["phase"], backend)
            y = backend.gemm(waves, weight) + params["bias"][..., None, :]

            def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
                grads, dx = of_waves(backend.gemm(dy, weight, transpose_b=True), need_dx)
                own = {
                    "weight": backend.gemm(waves, dy, transpose_a=True),
                    "bias": backend.xp.sum(dy, axis=-2),
                }
                return grads | own, dx

            return y, pullback

        return self.over_columns(x, embed, backend)


@register("layer")
@dataclass(frozen=True)
class CosineEmbedding(NumberEmbedding, Bounded):
    """Embed each number x as [x, cos(2π (w x + b))] with a learned affine map of each element.

    Parameters of a column: ``frequency`` w ~ N(0, σ²) and ``phase`` b ~ U(0, 1), both (D − 1,);
    ``gain`` 1 and ``bias`` 0, both (D,).

    Parameters
    ----------
    columns : int, optional
        The number of leading columns to embed; all by default.
    width : int
        The number of outputs of a column, D: x and D − 1 cosines.
    sigma : float
        The standard deviation of the initial frequencies, σ.

    References
    ----------
    "TabPack", 2026, arXiv 2607.05380; periodic features: Gorishniy, Rubachev and Babenko 2022, "On
    Embeddings for Numerical Features in Tabular Deep Learning", equation 3.
    """

    kind: ClassVar[str] = "cosine_embedding"

    columns: int | None = None
    width: int = 16
    sigma: float = number(1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "width", check_whole("cosine_embedding: width", self.width, 2))

    def column_shapes(self) -> tuple[Shapes, int]:
        """Return the shape of each parameter of one column, and the number of its outputs."""
        waves, d = (self.width - 1,), (self.width,)
        return {"frequency": waves, "phase": waves, "gain": d, "bias": d}, self.width

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw the parameters, and return them with the number of outputs."""
        shapes, n_outputs = self.shapes(n_in)
        params = {
            "frequency": self.sigma * rng.standard_normal(shapes["frequency"]),
            "phase": rng.uniform(0, 1, shapes["phase"]),
            "gain": np.ones(shapes["gain"]),
            "bias": np.zeros(shapes["bias"]),
        }
        return params, n_outputs

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the embedded columns and the other inputs, and the pullback."""
        xp = backend.xp
        gain, bias = (params[name][..., None, :] for name in ("gain", "bias"))

        def embed(numbers: Array) -> tuple[Array, Pullback]:
            turn = 2 * math.pi
            waves, of_waves = _waves(numbers, params["frequency"], turn * params["phase"], backend)
            features = xp.concat([xp.broadcast_to(numbers, (*waves.shape[:-1], 1)), waves], axis=-1)

            def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
                slope = dy * gain
                grads, dx = of_waves(slope[..., 1:], need_dx)
                grads["phase"] = turn * grads["phase"]
                grads["gain"] = xp.sum(dy * features, axis=-2)
                grads["bias"] = xp.sum(dy, axis=-2)
                return grads, None if dx is None else dx + slope[..., :1]

            return features * gain + bias, pullback

        return self.over_columns(x, embed, backend)


@register("layer")
@dataclass(frozen=True)
class PiecewiseLinearEmbedding(NumberEmbedding, Binned):
    """Embed each number by a linear map plus a linear map of its piecewise-linear encoding.

    y = v x + c + Uᵀ PLE(x), see ``PiecewiseLinear``; it must be the first layer too. Parameters of
    a column: ``weight`` v and ``bias`` c, both (D,) ~ U(±1/√D), and ``bin_weight`` U (K, D), 0 at
    the start.

    Parameters
    ----------
    columns : int, optional
        The number of leading columns to embed; all by default.
    bins : int
        The number of bins of a column, K.
    width : int
        The number of outputs of a column, D.

    References
    ----------
    Gorishniy, Kotelnikov and Babenko 2025, "TabM", appendix: version B of the embeddings.
    """

    kind: ClassVar[str] = "piecewise_linear_embedding"

    columns: int | None = None
    bins: int = 48
    width: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("piecewise_linear_embedding: width", self.width)

    def column_shapes(self) -> tuple[Shapes, int]:
        """Return the shape of each parameter of one column, and the number of its outputs."""
        d = self.width
        return {"weight": (d,), "bias": (d,), "bin_weight": (self.bins, d)}, d

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw the parameters, and return them with the number of outputs."""
        shapes, n_outputs = self.shapes(n_in)
        bound = self.width**-0.5
        params = {name: rng.uniform(-bound, bound, shapes[name]) for name in ("weight", "bias")}
        return params | {"bin_weight": np.zeros(shapes["bin_weight"])}, n_outputs

    def apply_with_state(
        self,
        params: LayerParams,
        state: LayerState,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback, LayerState]:
        """Return the embedded columns and the other inputs, the pullback, and the same state."""
        xp = backend.xp
        weight, bias = (params[name][..., None, :] for name in ("weight", "bias"))

        def embed(numbers: Array) -> tuple[Array, Pullback]:
            along: Any = {name: array[..., None, :] for name, array in state.items()}
            encoded, derivative = encode(along, numbers, backend=backend)
            lead = params["bin_weight"].shape[:-2]
            encoded = xp.broadcast_to(encoded, (*lead, *encoded.shape[-2:]))
            y = backend.gemm(encoded, params["bin_weight"]) + (numbers * weight + bias)

            def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
                grads: LayerGrads = {
                    "weight": xp.sum(dy * numbers, axis=-2),
                    "bias": xp.sum(dy, axis=-2),
                    "bin_weight": backend.gemm(encoded, dy, transpose_a=True),
                }
                if not need_dx:
                    return grads, None
                of_bins = derivative(backend.gemm(dy, params["bin_weight"], transpose_b=True))
                return grads, of_bins + xp.sum(dy * weight, axis=-1, keepdims=True)

            return y, pullback

        return *self.over_columns(x, embed, backend), state
