"""Batches: the order of an epoch, and the rows that it names, on the device.

A training set is placed on the device once and its rows are gathered in the step; one that does
not fit stays on the host, whose iterator sends a block of rows at a time. Both give the step the
same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.seeds import Purpose, host_generator
from anynet.typing import Array

BLOCK_BYTES = 64 * 2**20


class Rows(NamedTuple):
    """Samples: inputs (N, I) in their own dtype, targets (N,) or (N, O), weights (N,) or None."""

    x: Any
    y: Any
    weight: Any = None

    @property
    def n_samples(self) -> int:
        """N."""
        return int(self.x.shape[0])

    @property
    def nbytes(self) -> int:
        """The memory that the samples take, in bytes."""
        return sum(int(leaf.nbytes) for leaf in tree.leaves(self))

    def select(self, rows: np.ndarray) -> Rows:
        """Return the samples of some indices, each array where it lives."""
        chosen: Rows = tree.map(lambda leaf: leaf[rows], self)
        return chosen

    def gather(self, rows: Array, backend: Backend) -> Rows:
        """Return the samples of the indices (B,), or of each member's indices (*P, B)."""
        flat = backend.xp.reshape(rows, (-1,)) if rows.ndim > 1 else rows

        def take(array: Any) -> Any:
            if array is None:
                return None
            taken = backend.xp.take(array, flat, axis=0)
            if rows.ndim == 1:
                return taken
            return backend.xp.reshape(taken, (*rows.shape, *array.shape[1:]))

        return Rows(take(self.x), take(self.y), take(self.weight))


class Batches(Protocol):
    """A source of samples for ``Backend.scan``."""

    def blocks(self, order: np.ndarray) -> Iterator[tuple[Array, Rows]]:
        """Yield parts of ``order`` (steps, *P, B), on the device, with the samples they index."""


class ResidentBatches:
    """All samples live on the device; only the order is sent."""

    def __init__(self, rows: Rows, backend: Backend) -> None:
        self.rows: Rows = tree.map(backend.to_device, rows)
        self.backend = backend

    def blocks(self, order: np.ndarray) -> Iterator[tuple[Array, Rows]]:
        """Yield the whole order at once."""
        yield self.backend.to_device(order), self.rows


class HostBatches:
    """The samples stay on the host; blocks of whole batches are gathered there and sent.

    Parameters
    ----------
    rows : Rows
        NumPy arrays, memory maps included.
    backend : Backend
    block_bytes : int
        About how much is sent at once.
    """

    def __init__(self, rows: Rows, backend: Backend, block_bytes: int = BLOCK_BYTES) -> None:
        self.rows = rows
        self.backend = backend
        self.block_bytes = block_bytes

    def blocks(self, order: np.ndarray) -> Iterator[tuple[Array, Rows]]:
        """Yield as many steps at a time as fit a block, with indices into the block."""
        batch_bytes = order[0].size * self.rows.nbytes // self.rows.n_samples
        steps = max(1, self.block_bytes // max(1, batch_bytes))
        for start in range(0, order.shape[0], steps):
            part = order[start : start + steps]
            wanted = part.reshape(-1)
            block = tree.map(self.backend.to_device, self.rows.select(wanted))
            local = np.arange(wanted.size, dtype=np.int32).reshape(part.shape)
            yield self.backend.to_device(local), block


def epoch_order(n_samples: int, seed: int, epoch: int, shuffle: bool = True) -> np.ndarray:
    """Return the order in which one epoch sees the samples, (n_samples,) int32.

    A permutation drawn from ``SeedSequence((seed, ORDER, epoch))``, the same on every backend.
    """
    if not shuffle:
        return np.arange(n_samples, dtype=np.int32)
    return host_generator(seed, Purpose.ORDER, epoch).permutation(
        np.arange(n_samples, dtype=np.int32)
    )


def split_order(
    order: np.ndarray, batch_size: int, parts: int = 1, short_first: bool = False
) -> list[np.ndarray]:
    """Cut an epoch's order into arrays (steps, B), every sample once.

    Parameters
    ----------
    order : ndarray of shape (N,)
    batch_size : int
    parts : int
        How many arrays of full batches at most, of equal size but for the last.
    short_first : bool
        Whether the short batch comes before the full ones. The mean of a few samples makes a
        noisy step: at the end of an epoch it would be what the validation set is scored on.

    Returns
    -------
    list of ndarray
        The full batches in sequence, then the rest as one array (1, N mod B) if there is one; or
        that array before them.
    """
    steps = order.size // batch_size
    full = order[: steps * batch_size].reshape(steps, batch_size)
    size = -(-steps // max(1, parts)) or 1
    arrays = [full[start : start + size] for start in range(0, steps, size)]
    short = [order[steps * batch_size :].reshape(1, -1)] if order.size % batch_size else []
    return [*short, *arrays] if short_first else [*arrays, *short]


def split_orders(
    orders: Sequence[np.ndarray], batch_size: int, short_first: bool = False
) -> list[np.ndarray]:
    """Cut the orders of K members, all of one length, into arrays (steps, K, B)."""
    split = [split_order(order, batch_size, short_first=short_first) for order in orders]
    return [np.stack(parts, axis=1) for parts in zip(*split, strict=True)]
