"""Draws of the samples that are held out: for validation, and as the test set of data without."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.checks import is_whole
from anynet.errors import DataError, InvalidArgumentError
from anynet.seeds import Purpose, host_generator

TEST_FRACTION = 0.2
TEST_SEED = 0

Indices = npt.NDArray[np.int64]


def train_validation_split(
    n_samples: int, validation: int | float, seed: int
) -> tuple[Indices, Indices]:
    """Draw the samples that are held out for validation.

    ``fit(..., validation=validation, seed=seed)`` holds out the same samples.

    Parameters
    ----------
    n_samples : int
        The number of samples.
    validation : int or float
        The number of samples to hold out, or their share in (0, 1).
    seed : int
        Seed of the draw.

    Returns
    -------
    training, validation : ndarray of int64
        Sorted indices; together they contain every sample once.

    Raises
    ------
    InvalidArgumentError
        If no sample would be left on either side.
    """
    is_share = isinstance(validation, (float, np.floating))
    if not (is_share or is_whole(validation)):
        is_short = isinstance(validation, (str, bool))
        shown = repr(validation) if is_short else type(validation).__name__
        message = (
            f"validation must be (x, y), a number of samples or a share in (0, 1), got {shown}"
        )
        raise InvalidArgumentError(message)
    held_out = validation
    if is_share:
        held_out = round(float(validation) * n_samples) if 0 < validation < 1 else 0
    if not 0 < held_out < n_samples:
        message = (
            f"validation must hold out at least 1 and leave at least 1 of the {n_samples} "
            f"training samples, got {validation!r}"
        )
        raise InvalidArgumentError(message)
    order = host_generator(seed, Purpose.SPLIT).permutation(n_samples)
    return np.sort(order[int(held_out) :]), np.sort(order[: int(held_out)])


def hold_out(
    labels: npt.NDArray[Any], name: str, share: float = TEST_FRACTION, seed: int = TEST_SEED
) -> tuple[Indices, Indices]:
    """Split samples into training and test set, each class in the same proportion.

    The split depends on labels, share and seed only: with the defaults, 20 % and seed 0, everyone's
    test set is the same. In each class the number of test samples is rounded, but at least one is
    on either side; a class with a single sample stays in the training set.

    Parameters
    ----------
    labels : ndarray
        Shape (N,): the class of each sample.
    name : str
        The data set in quotes, for the message.
    share : float
        Share of each class to hold out, in (0, 1).
    seed : int
        Seed of the draw.

    Returns
    -------
    train, test : ndarray of int64
        Sorted indices; together they contain every sample once.

    Raises
    ------
    DataError
        If no class has two samples, so that nothing can be held out.
    """
    generator = np.random.default_rng(seed)
    in_test = np.zeros(labels.shape[0], dtype=bool)
    by_class = np.argsort(labels, kind="stable")
    borders = np.flatnonzero(labels[by_class][1:] != labels[by_class][:-1]) + 1
    for members in np.split(by_class, borders):
        count = min(max(round(share * members.size), 1), members.size - 1)
        in_test[generator.permutation(members)[:count]] = True
    if not in_test.any():
        message = (
            f"{name} cannot be split into training and test: expected a class with two samples; "
            f"give a test set"
        )
        raise DataError(message)
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
