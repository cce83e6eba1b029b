"""The forward pass over any number of samples, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy.sparse as sp

from anynet.backends import Backend
from anynet.nn.network import Network
from anynet.training.model import PREDICTION_BATCH
from anynet.typing import Array, Params


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
    with backend.context():
        for start in range(0, max(1, x.shape[0]), PREDICTION_BATCH):
            some = x[start : start + PREDICTION_BATCH, ...] if not sp.issparse(x) else _rows(x, start)
            logits = network.predict(params, backend.to_device(some), backend=backend)
            parts.append(logits if function is None else function(logits))
        return parts[0] if len(parts) == 1 else backend.xp.concat(parts, axis=0)


def _rows(x: Any, start: int) -> Any:
    return x[start : start + PREDICTION_BATCH].toarray()
