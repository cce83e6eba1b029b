"""Per-member hyperparameters against parameters that carry the population axes in front."""

from __future__ import annotations

from anynet.typing import Array, Namespace


def per_member(value: Array | float, leaf: Array, xp: Namespace) -> Array | float:
    """Give ``value`` (*P,) trailing axes of length one, so that it multiplies ``leaf`` (*P, …).

    A Python number or a 0-d array serves all members as it is.
    """
    if isinstance(value, (int, float)) or value.ndim == 0:
        return value
    shaped: Array = xp.reshape(value, value.shape + (1,) * (leaf.ndim - value.ndim))
    return shaped
