"""A moving average of the weights."""

from __future__ import annotations

from anynet import tree
from anynet.backends import Backend
from anynet.members import per_member
from anynet.typing import Array, Params


def update_average(
    average: Params, params: Params, decay: float | Array, step: Array, *, backend: Backend
) -> Params:
    """Mix new parameters into their exponential moving average.

    Polyak and Juditsky 1992, in TensorFlow's variant: the decay is min(decay, (1 + t) / (10 + t))
    at update t, so that the average forgets the initial weights.

    Parameters
    ----------
    average, params : Params
    decay : float or Array of shape (*P,)
        In [0, 1); 0.999 averages over about the last 1,000 updates.
    step : Array of shape (), int32
        The number t of updates made before this one.
    backend : Backend

    Returns
    -------
    Params
    """
    time = backend.xp.astype(step, backend.float_dtype)
    xp = backend.xp
    share = 1 - xp.minimum((time + 1.0) / (time + 10.0), decay)
    return tree.map(lambda a, p: a + per_member(share, a, xp) * (p - a), average, params)
