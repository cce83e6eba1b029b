"""A fixed test set for data that comes without one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.errors import DataError

TEST_FRACTION = 0.2
TEST_SEED = 0

Indices = npt.NDArray[np.int64]


def hold_out(
    labels: npt.NDArray[Any], name: str, share: float = TEST_FRACTION, seed: int = TEST_SEED
) -> tuple[Indices, Indices]:
    """Split samples into those for training and a share for test, class by class.

    The split is a function of labels, share and seed alone; with the defaults, 20 % and seed 0,
    everyone's test set is the same. Within each class the number of test samples is that share
    rounded, but one at least is on either side; a class with a single sample stays in training.

    Parameters
    ----------
    labels : ndarray
        Shape (N,): the class of each sample.
    name : str
        The data set in quotes, for the message.
    share : float
        Of the samples of each class, in (0, 1).
    seed : int
        Draws which they are.

    Returns
    -------
    train, test : ndarray of int64
        The indices of the two parts, ascending; together every sample once.

    Raises
    ------
    DataError
        When no class has two samples, so that nothing can be held out.
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
