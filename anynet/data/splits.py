"""Holding samples out for validation."""

from __future__ import annotations

import numpy as np

from anynet.errors import InvalidArgumentError
from anynet.seeds import Purpose, host_generator


def train_validation_split(
    n_samples: int, validation: int | float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw which samples are held out.

    Parameters
    ----------
    n_samples : int
    validation : int or float
        A number of samples, or a share of them in (0, 1).
    seed : int

    Returns
    -------
    training, validation : ndarray of int64
        Sorted indices; together every sample once.

    Raises
    ------
    InvalidArgumentError
        If no sample would be left on either side.
    """
    if isinstance(validation, bool) or not isinstance(
        validation, (int, float, np.integer, np.floating)
    ):
        message = f"validation must be a number of samples or a share in (0, 1), got {validation!r}"
        raise InvalidArgumentError(message)
    held_out = validation
    if isinstance(validation, (float, np.floating)):
        held_out = round(float(validation) * n_samples) if 0 < validation < 1 else 0
    if not 0 < held_out < n_samples:
        message = (
            f"validation must hold out at least 1 and leave at least 1 of the {n_samples} "
            f"training samples, got {validation!r}"
        )
        raise InvalidArgumentError(message)
    order = host_generator(seed, Purpose.SPLIT).permutation(n_samples)
    return np.sort(order[int(held_out) :]), np.sort(order[: int(held_out)])
