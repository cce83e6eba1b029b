"""The forward pass over any number of samples, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy.sparse as sp

from anynet.backends import Backend
from anynet.nn.network import Network
from anynet.typing import Array, Params

SLICE = 1024  # samples; activations of a few hundred units then stay in a core's cache


def infer(
    network: Network,
    params: Params,
    x: Any,
    backend: Backend,
    function: Callable[[Array], Array] | None = None,
) -> Array:
    """Return the logits of some samples, or ``function`` of them, on the device.

    Parameters
    ----------
    x : array or sparse matrix of shape (N, I)
        On the host or on the device.
    function : callable, optional
        Of logits (B, O), row by row.
    """
    parts = []
    n_samples = x.shape[0]
    with backend.context():
        for start in range(0, max(1, n_samples), SLICE):
            some = x[start : min(start + SLICE, n_samples), :]
            some = some.toarray() if sp.issparse(some) else some
            logits = network.predict(params, backend.to_device(some), backend=backend)
            parts.append(logits if function is None else function(logits))
        return parts[0] if len(parts) == 1 else backend.xp.concat(parts, axis=0)
