"""The weights before the first step: drawn, fitted to the training samples, or of another model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from anynet.backends import Backend
from anynet.data.subset import Subset
from anynet.nn.network import Network, place
from anynet.training.state import Weights

BLOCK_NUMBERS = 2**22  # inputs read at a time


def first_weights(
    network: Network,
    seed: int,
    samples: Subset,
    backend: Backend,
    fitted: dict[Any, Any] | None = None,
) -> Weights:
    """Draw the parameters of a network, and fit its first layer to the samples if it can be.

    Parameters
    ----------
    fitted : dict, optional
        Results for earlier members of a population, which are used again for the same samples.
    """
    states: Any = network.init_states()
    if states and hasattr(network.layers[0], "fit_state"):
        fitted = {} if fitted is None else fitted
        key = (id(samples.rows), None if samples.index is None else samples.index.tobytes())
        if key not in fitted:
            blocks = _blocks(samples, backend)
            fitted[key] = network.layers[0].fit_state(network.n_inputs, blocks)
        states = (fitted[key], *states[1:])
    return Weights(network.init(seed, backend), place(states, backend))


def _blocks(samples: Subset, backend: Backend) -> Iterator[np.ndarray]:
    """Yield the inputs in the order in which they are stored."""
    index = np.sort(samples.order(np.arange(samples.n_samples, dtype=np.int32)))
    size = max(1, BLOCK_NUMBERS // samples.rows.x.shape[1])
    for start in range(0, len(index), size):
        yield samples.rows.read(index[start : start + size], backend)
