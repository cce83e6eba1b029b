"""Subsets of samples by their indices, without a copy; how they are drawn and told apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.backends import Backend, to_numpy
from anynet.checks import is_whole
from anynet.data.batches import Rows
from anynet.data.sources.source import borders
from anynet.errors import DataError, InvalidArgumentError
from anynet.seeds import Purpose, host_generator

SAMPLED_BYTES, RUNS = 2**26, 16  # of the inputs that are read, and in how many runs of rows


@dataclass(frozen=True, eq=False)
class Subset:
    """The samples ``index`` of ``rows``.

    Attributes
    ----------
    rows : Rows
        Samples.
    index : ndarray or None
        Increasing indices of those that belong to the subset, (M,); None for all of them.
    """

    rows: Rows
    index: np.ndarray | None = None

    @property
    def n_samples(self) -> int:
        """The number of samples, M."""
        return self.rows.n_samples if self.index is None else self.index.size

    def order(self, positions: np.ndarray) -> np.ndarray:
        """Return the indices into ``rows`` of the samples at these positions, int32."""
        return positions if self.index is None else self.index[positions].astype(np.int32)

    def blocks(self) -> np.ndarray | None:
        """Return the borders of the blocks of these samples, None if single rows are read."""
        starts = getattr(self.rows.x, "starts", None)
        if starts is None:
            return None
        if self.index is None:
            return np.append(starts, self.rows.n_samples)
        return borders(starts, self.index)

    def targets(self) -> tuple[Any, Any]:
        """Return the targets and weights of these samples."""
        y, weight = self.rows.y, self.rows.weight
        if self.index is None:
            return y, weight
        return y[self.index], None if weight is None else weight[self.index]


def fingerprint(samples: Subset, backend: Backend) -> dict[str, Any]:
    """Return the shape and a digest of all targets and weights and of some evenly spaced rows.

    It is the same wherever the arrays live, and for any dtype that holds the values. The rows are
    read in runs, because files of tables are decoded in blocks.

    Parameters
    ----------
    samples : Subset
    backend : Backend
        Its dtype is the one in which values are compared.

    Returns
    -------
    dict
        ``rows``, ``columns``, ``digest``, and ``blocks``: how samples on disk are shuffled.
    """
    rows, n_samples = samples.rows, samples.n_samples
    most = max(1, SAMPLED_BYTES // RUNS // max(1, rows.nbytes // rows.n_samples))
    length = min(most, -(-n_samples // RUNS))
    code = hashlib.blake2b(digest_size=16)
    for start in np.unique(np.linspace(0, n_samples - length, RUNS).astype(np.int64)):
        index = samples.order(np.arange(start, start + length, dtype=np.int32))
        code.update(index.tobytes())
        code.update(_values(rows.read(index, backend), backend))
    for column in samples.targets():
        if column is not None:
            code.update(_values(to_numpy(column), backend))
    return {
        "rows": n_samples,
        "columns": int(rows.x.shape[1]),
        "digest": code.hexdigest(),
        "blocks": _blocks(samples),
    }


def _blocks(samples: Subset) -> str:
    """Return a digest of how samples on disk are shuffled; empty for those in memory."""
    borders = samples.blocks()
    if borders is None:
        return ""
    code = hashlib.blake2b(borders.astype(np.int64).tobytes(), digest_size=16)
    return f"{code.hexdigest()} {samples.rows.x.window_rows}"


def _values(array: np.ndarray, backend: Backend) -> bytes:
    with np.errstate(over="ignore"):
        return array.astype(backend.dtype).tobytes()


def stratified_split(
    y: npt.NDArray[Any], validation: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw a number of samples that represent the classes, or the range of the values, evenly.

    The samples are shuffled and sorted by the target, and taken at equal distances: systematic
    sampling. Each sample is held out with the same probability.

    Parameters
    ----------
    y : ndarray of shape (N,)
        Classes or values.
    validation : int
        The number of samples to hold out, from 1 to N - 1.
    seed : int
        Seed of the draw.

    Returns
    -------
    training, validation : ndarray of int64
        Sorted indices; together they contain every sample once.
    """
    generator = host_generator(seed, Purpose.SPLIT)
    shuffled = generator.permutation(len(y))
    order = shuffled[np.argsort(np.asarray(y)[shuffled], kind="stable")]
    places = (np.arange(validation) + generator.random()) * len(y) / validation
    held_out = order[places.astype(np.int64)]
    return np.setdiff1d(np.arange(len(y)), held_out), np.sort(held_out)


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
