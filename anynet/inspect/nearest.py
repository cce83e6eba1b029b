"""The training examples that are nearest to a sample, as the network sees them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from anynet.backends import to_numpy
from anynet.checks import check_choice, check_whole
from anynet.errors import InvalidArgumentError
from anynet.nn.layers import Dense
from anynet.nn.network import Network
from anynet.training.ensemble import Ensemble
from anynet.training.evaluate import slice_rows
from anynet.training.model import Model, map_rows

SPACES = ("hidden", "inputs")
ROWS = 8192  # examples that are compared at once


class Nearest(NamedTuple):
    """The nearest examples of each sample, the nearest first.

    Attributes
    ----------
    indices : ndarray of int, (N, k)
    distances : ndarray of shape (N, k)
        Euclidean.
    space : {"hidden", "inputs"}
        Where distances are measured: between outputs of the last hidden layer, or between inputs.
    """

    indices: np.ndarray
    distances: np.ndarray
    space: str


def nearest_examples(
    model: Model | Ensemble, x: Any, examples: Any, *, k: int = 5, space: str | None = None
) -> Nearest:
    """Find the examples that are nearest to each sample.

    Parameters
    ----------
    model : Model or Ensemble
        For an ensemble, the hidden outputs of all members are compared together.
    x : array of shape (N, I)
        The samples.
    examples : array of shape (M, I)
        Mostly those of training.
    k : int
        Number of examples to return for each sample.
    space : {"hidden", "inputs"}, optional
        By default ``"hidden"``, if each network has a hidden layer; otherwise ``"inputs"``.

    Returns
    -------
    Nearest

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, or there are fewer than k examples.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> model = anynet.fit(network, digits.train, epochs=3, backend="numpy")
    >>> x, y = digits.train
    >>> found = anynet.inspect.nearest_examples(model, x[:2], x, k=3)
    >>> found.indices[:, 0], found.space
    (array([0, 1]), 'hidden')
    """
    models = model.models if isinstance(model, Ensemble) else (model,)
    heads = [_without_output(one) for one in models]
    hidden = [one for one in heads if one is not None]
    if space is None:
        space = "hidden" if len(hidden) == len(models) else "inputs"
    check_choice("space", space, SPACES)
    if space == "hidden" and len(hidden) < len(models):
        message = "space='hidden' needs networks with a dense hidden layer: use space='inputs'"
        raise InvalidArgumentError(message)
    check_whole("k", k, most=len(examples))
    squares = np.zeros((len(x), len(examples)))
    for head in hidden if space == "hidden" else [None]:
        _add_squares(squares, _outputs(head, x), head, examples)
    indices = np.argsort(squares, axis=1, kind="stable")[:, :k]
    distances = np.sqrt(np.take_along_axis(squares, indices, axis=1))
    return Nearest(indices, distances, space)


def _without_output(model: Model) -> Model | None:
    """Return the network without its last dense layer; None if there is no other before it."""
    dense = [at for at, layer in enumerate(model.network.layers) if isinstance(layer, Dense)]
    if len(dense) < 2 or model.network.members > 1:
        return None
    end = dense[-1]
    network = Network(model.network.n_inputs, model.network.layers[:end])
    return Model(network, model.params[:end], model.loss, model.backend, states=model.states[:end])


def _outputs(head: Model | None, x: Any) -> np.ndarray:
    """Return the outputs (N, H) of a network on the host, or the inputs without one."""
    if head is None:
        return np.asarray(to_numpy(x), dtype=np.float64)
    size = slice_rows(head.network, head.backend)
    found = to_numpy(map_rows(head.logits, x, head.network.n_inputs, head.backend, size))
    return found.astype(np.float64)


def _add_squares(squares: np.ndarray, own: np.ndarray, head: Model | None, examples: Any) -> None:
    """Add the squared distances between samples (N, H) and examples to those of other networks."""
    for start in range(0, len(examples), ROWS):
        others = _outputs(head, examples[start : start + ROWS])
        for row, sample in enumerate(own):
            squares[row, start : start + ROWS] += np.sum((others - sample) ** 2, axis=1)
