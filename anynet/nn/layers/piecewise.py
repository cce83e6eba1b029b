"""Piecewise-linear encoding of numbers, with the quantiles of the training samples as edges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.checks import check_bool, check_whole
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.nn.activations import Derivative
from anynet.nn.layers.layer import Pullback, Shapes, without_params
from anynet.typing import Array, Key, LayerParams, LayerState

MOST_VALUES = 2**24  # in memory to find the quantiles; of more, every 2nd, 4th, … row is used
LARGEST_SCALE = 1e38  # of float32


class Binned:
    """Base of layers that encode the leading columns by quantile bins, which are their state.

    The state has four arrays (*P, C, K), for C columns of K bins: component t of x is
    ``clip((x − left) · scale, least, most)``. The first component of a column is unbounded below,
    the last one above. A column with fewer distinct quantiles has fewer bins: its remaining
    components are 0.
    """

    kind: ClassVar[str]
    columns: int | None
    bins: int

    def __post_init__(self) -> None:
        if self.columns is not None:
            object.__setattr__(self, "columns", check_whole(f"{self.kind}: columns", self.columns))
        object.__setattr__(self, "bins", check_whole(f"{self.kind}: bins", self.bins))

    def init_state(self, n_in: int) -> dict[str, np.ndarray]:
        """Return bins of equal width from −2 to 2."""
        edges = np.linspace(-2, 2, self.bins + 1)
        columns = [_components(edges, self.bins)] * leading(self, n_in)
        return {name: np.stack([column[name] for column in columns]) for name in columns[0]}

    def fit_state(self, n_in: int, blocks: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the state for samples that come in blocks.

        Parameters
        ----------
        n_in : int
            Number of inputs I.
        blocks : iterable of ndarray of shape (M, I)
            Of more than 2**24 numbers in the encoded columns, evenly spaced samples are used.

        Returns
        -------
        dict of str to ndarray of shape (C, K)
        """
        n_columns = leading(self, n_in)
        samples = _thinned((block[:, :n_columns] for block in blocks), MOST_VALUES // n_columns)
        levels = np.linspace(0, 1, self.bins + 1)
        columns = []
        for column in samples.T:
            edges = np.unique(np.quantile(column, levels).astype(column.dtype))
            columns.append(_components(edges.astype(np.float64), self.bins))
        return {name: np.stack([column[name] for column in columns]) for name in columns[0]}


def leading(layer: Any, n_in: int) -> int:
    """Return the number of leading columns that a layer encodes, out of ``n_in``.

    Raises
    ------
    InvalidArgumentError
        If there are fewer.
    """
    columns: int = n_in if layer.columns is None else layer.columns
    if columns > n_in:
        message = f"{layer.kind}: columns must be at most the {n_in} inputs, got {columns}"
        raise InvalidArgumentError(message)
    return columns


def _thinned(blocks: Iterable[np.ndarray], most: int) -> np.ndarray:
    """Return the rows of all blocks, or at most ``most`` of them, every 2ᵏ-th."""
    parts: list[np.ndarray] = []
    step, seen = 1, 0
    for block in blocks:
        x = np.asarray(block)
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        parts.append(x[-seen % step :: step])
        seen += len(x)
        while sum(map(len, parts)) > max(1, most):
            parts, step = [np.concatenate(parts)[::2]], 2 * step
    return np.concatenate(parts)


def _components(edges: np.ndarray, bins: int) -> dict[str, np.ndarray]:
    """Return the components of one column between increasing edges, with zeros at the end."""
    count = len(edges) - 1
    arrays = {name: np.zeros(bins) for name in ("left", "scale", "least", "most")}
    if count:
        arrays["left"][:count] = edges[:-1]
        arrays["scale"][:count] = np.minimum(1 / np.diff(edges), LARGEST_SCALE)
        arrays["most"][:count] = 1.0
        arrays["least"][0], arrays["most"][count - 1] = -np.inf, np.inf
    return arrays


def encode(state: LayerState, x: Array, *, backend: Backend) -> tuple[Array, Derivative]:
    """Return the components of each number, and a function from their gradient to that of x.

    Parameters
    ----------
    state : LayerState
        See ``Binned``; with axes of length 1 where x has axes of samples.
    x : Array of shape (…, 1)
    backend : Backend

    Returns
    -------
    Array of shape (…, K)
    callable
        From a gradient (…, K) to one of shape (…, 1).
    """
    xp = backend.xp
    z = (x - state["left"]) * state["scale"]
    y = xp.minimum(xp.maximum(z, state["least"]), state["most"])

    def derivative(dy: Array) -> Array:
        inside = xp.astype(y == z, dy.dtype)
        dx: Array = xp.sum(dy * inside * state["scale"], axis=-1, keepdims=True)
        return dx

    return y, derivative


@register("layer")
@dataclass(frozen=True)
class PiecewiseLinear(Binned):
    """Replace each of the leading columns by its piecewise-linear encoding.

    Component t of a column is (x − e_t) / (e_{t+1} − e_t), clipped to [0, 1], where e are the
    distinct quantiles at 0, 1/K, …, 1 of the training samples; the first component is not clipped
    below, the last one not above. The state is fitted once before training, like that of
    ``Standardize``; weights of samples are ignored. It must be the first layer. The output has K
    components for each column, in the order of the columns, then the columns themselves if
    ``keep_input``, then the other inputs unchanged.

    Parameters
    ----------
    columns : int, optional
        The number of leading columns to encode; all by default. Columns with two values gain
        nothing and cost K inputs: place them behind.
    bins : int
        The number of bins of a column, K. See ``PiecewiseLinear.bins_for``.
    keep_input : bool
        Whether the encoded columns are outputs too.

    References
    ----------
    Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical Features in Tabular Deep
    Learning", equation 1; Gorishniy et al. 2025, "TabM", appendix (version B: unbounded ends).
    """

    kind: ClassVar[str] = "piecewise_linear"

    columns: int | None = None
    bins: int = 48
    keep_input: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bool("piecewise_linear: keep_input", self.keep_input)

    @staticmethod
    def bins_for(n_rows: int) -> int:
        """Return a number of bins for a number of training samples: one per 25, from 4 to 48."""
        rows = check_whole("n_rows", n_rows)
        return max(4, min(48, rows // 25))

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return no shapes, and the number of outputs."""
        columns = leading(self, n_in)
        return {}, columns * self.bins + (n_in if self.keep_input else n_in - columns)

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, Any], int]:  # noqa: ARG002
        """Return no parameters, and the number of outputs."""
        return {}, self.shapes(n_in)[1]

    def apply_with_state(
        self,
        params: LayerParams,  # noqa: ARG002
        state: LayerState,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback, LayerState]:
        """Return the encoded columns and the other inputs, the pullback, and the same state."""
        xp = backend.xp
        columns = leading(self, x.shape[-1])
        bins = {name: array[..., None, :, :] for name, array in state.items()}
        encoded, derivative = encode(bins, x[..., :columns, None], backend=backend)
        width = columns * self.bins
        y = xp.reshape(encoded, (*encoded.shape[:-2], width))
        rest = x if self.keep_input else x[..., columns:]
        if rest.shape[-1]:
            rest = xp.broadcast_to(rest, (*y.shape[:-1], rest.shape[-1]))
            y = xp.concat([y, rest], axis=-1)

        def pull(dy: Array) -> Array:
            dx = derivative(xp.reshape(dy[..., :width], encoded.shape))[..., 0]
            passed = dy[..., width:]
            if self.keep_input:
                dx = dx + passed[..., :columns]
                passed = passed[..., columns:]
            return xp.concat([dx, passed], axis=-1) if passed.shape[-1] else dx

        return y, without_params(pull), state
