"""Inputs far beyond [−1, 1]: a warning that names their range, before training."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from anynet.backends import Backend, lives_on
from anynet.data.sources.source import Source
from anynet.nn.layers import BatchNorm, Dense, Dropout, LayerNorm, Scale
from anynet.nn.network import Network

ROWS = 100  # that are looked at
LARGEST_RMS = 10.0  # of inputs without a warning; standardised ones have 1


def warn_of_range(x: Any, network: Network, backend: Backend) -> None:
    """Warn if the first dense layer gets values far beyond [−1, 1], judged by some of the rows.

    Scale layers before it are taken into account. There is no warning where a normalisation is
    before or right after it, or where x is a ``Source``, which is not read for this.
    """
    factor, offset = 1.0, 0.0
    layers = [layer for layer in network.layers if not isinstance(layer, Dropout)]
    while layers and isinstance(layers[0], Scale):
        factor, offset = factor * layers[0].factor, offset * layers[0].factor + layers[0].offset
        layers = layers[1:]
    normalised = any(isinstance(layer, (LayerNorm, BatchNorm)) for layer in layers[:2])
    if isinstance(x, Source) or not layers or not isinstance(layers[0], Dense) or normalised:
        return
    some = x[:: -(-x.shape[0] // ROWS), ...]
    values = np.asarray(backend.to_host(some) if lives_on(x, backend) else some, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    with np.errstate(over="ignore"):
        rms = np.sqrt(np.mean((values * factor + offset) ** 2))
    if not rms > LARGEST_RMS:
        return
    message = (
        f"x holds values from {low:.6g} to {high:.6g}, which are too large for a network to learn "
        f"well from: bring them to about [-1, 1], by anynet.mlp(…, scale=1 / "
        f"{max(abs(low), abs(high)):.6g}) or by standardising the columns of x"
    )
    warnings.warn(message, UserWarning, stacklevel=4)
