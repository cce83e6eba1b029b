"""States of layers that are fitted to the training samples before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.data.subset import Subset
from anynet.nn.network import Network

BLOCK_NUMBERS = 2**22  # inputs read at a time


def fitted_states(network: Network, samples: Subset, backend: Backend) -> Any:
    """Return the initial states of the layers, the first one fitted to samples if it can be.

    The samples are read in blocks, in the order in which they are stored.

    Returns
    -------
    tuple of dict of str to ndarray
        See ``Network.init_states``.
    """
    states = network.init_states()
    if not states or not hasattr(network.layers[0], "fit_state"):
        return states
    first = network.layers[0].fit_state(network.n_inputs, _blocks(samples, backend))
    return (first, *states[1:])


def stacked_states(network: Network, members: Sequence[Subset], backend: Backend) -> Any:
    """Return the states of a population, each member fitted to its own samples."""
    fitted: dict[Any, Any] = {}
    keys = [(id(one.rows), None if one.index is None else one.index.tobytes()) for one in members]
    for key, samples in zip(keys, members, strict=True):
        if key not in fitted:
            fitted[key] = fitted_states(network, samples, backend)
    return tree.map(lambda *leaves: np.stack(leaves), *(fitted[key] for key in keys))


def _blocks(samples: Subset, backend: Backend) -> Iterator[np.ndarray]:
    index = np.sort(samples.order(np.arange(samples.n_samples, dtype=np.int32)))
    size = max(1, BLOCK_NUMBERS // samples.rows.x.shape[1])
    for start in range(0, len(index), size):
        yield samples.rows.read(index[start : start + size], backend)
