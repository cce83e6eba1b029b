"""Embeddings of categories: a learned vector for each level of a column of integer codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.checks import check_whole
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.nn.layers.layer import Pullback, Shapes
from anynet.typing import Array, Key, LayerGrads, LayerParams


@register("layer")
@dataclass(frozen=True)
class Embedding:
    """Replace each of the trailing columns, of integer codes, by a learned vector of its level.

    ``weight`` of shape (*P, ΣL, D) has the vectors of the levels of all columns, one column after
    another, drawn from N(0, 1). A code that is not one of 0, …, L − 1, such as −1 for an unknown or
    missing category, becomes a vector of zeros. The outputs are the leading inputs unchanged, then
    D numbers for each column of codes.

    Parameters
    ----------
    levels : tuple of int
        The number of levels L of each trailing column.
    width : int
        The length of a vector, D.
    """

    kind: ClassVar[str] = "embedding"

    levels: tuple[int, ...]
    width: int = 8

    def __post_init__(self) -> None:
        given = self.levels
        if not isinstance(given, (tuple, list)) or not given:
            message = f"embedding: levels must be a tuple such as (3, 12), got {given!r}"
            raise InvalidArgumentError(message)
        levels = tuple(check_whole("embedding: a number of levels", one) for one in given)
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "width", check_whole("embedding: width", self.width))

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shape of ``weight``, and the number of outputs.

        Raises
        ------
        InvalidArgumentError
            If there are fewer inputs than columns of codes.
        """
        columns = len(self.levels)
        if columns > n_in:
            message = f"embedding: levels has {columns} columns, and there are {n_in} inputs"
            raise InvalidArgumentError(message)
        return {"weight": (sum(self.levels), self.width)}, n_in - columns + columns * self.width

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw the vectors, and return them with the number of outputs."""
        shapes, n_outputs = self.shapes(n_in)
        return {"weight": rng.standard_normal(shapes["weight"])}, n_outputs

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the leading inputs and the vectors, and the pullback."""
        xp, width = backend.xp, self.width
        n_numbers = x.shape[-1] - len(self.levels)
        columns = [xp.astype(x[..., n_numbers + at], xp.int32) for at in range(len(self.levels))]
        vectors = self._vectors(params["weight"], columns, backend)
        if n_numbers:
            numbers = xp.broadcast_to(x[..., :n_numbers], (*vectors[0].shape[:-1], n_numbers))
            vectors.insert(0, numbers)

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            parts = []
            for at, (codes, n_levels) in enumerate(zip(columns, self.levels, strict=True)):
                levels = xp.arange(n_levels, dtype=codes.dtype, device=backend.device)
                one_hot = xp.astype(codes[..., None] == levels, dy.dtype)
                start = n_numbers + at * width
                own = dy[..., start : start + width]
                parts.append(backend.gemm(one_hot, own, transpose_a=True))
            grads = {"weight": xp.concat(parts, axis=-2)}
            if not need_dx:
                return grads, None
            of_codes = xp.zeros_like(dy[..., : len(columns)])
            return grads, xp.concat([dy[..., :n_numbers], of_codes], axis=-1)

        return xp.concat(vectors, axis=-1), pullback

    def _vectors(self, weight: Array, columns: list[Array], backend: Backend) -> list[Array]:
        """Return the vectors (*P, B, D) of the codes (*P, B) or (B,) of each column."""
        xp, lead, total = backend.xp, weight.shape[:-2], weight.shape[-2]
        rows = xp.reshape(weight, (-1, self.width))
        members = xp.arange(math.prod(lead), dtype=xp.int32, device=backend.device)
        first = xp.reshape(members * total, (*lead, 1))  # row of each member's first level
        vectors = []
        for codes, n_levels in zip(columns, self.levels, strict=True):
            known = (codes >= 0) & (codes < n_levels)
            places = xp.where(known, codes, 0) + first
            found = xp.take(rows, xp.reshape(places, (-1,)), axis=0)
            found = xp.reshape(found, (*places.shape, self.width))
            vectors.append(found * xp.astype(known, weight.dtype)[..., None])
            first = first + n_levels
        return vectors
