"""Batches: the order of an epoch, and the rows that it names, on the device.

A training set is placed on the device once and its rows are gathered in the step; one that does
not fit stays on the host or on disk, from where a thread brings a block of rows at a time, one
ahead of the step. Both give the step the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import numpy as np

from anynet import tree
from anynet.backends import Backend, lives_on
from anynet.data.memory import available_memory
from anynet.data.prefetch import read_ahead
from anynet.data.shuffle import steps_in
from anynet.data.sources.arrays import InMemory
from anynet.data.sources.source import Source
from anynet.seeds import Purpose, host_generator
from anynet.typing import Array

MEMORY_SHARE = 0.5  # of what is available, for the blocks of rows that come from disk
BUFFERS = 2  # one that the step reads, one that is filled meanwhile


class Rows(NamedTuple):
    """Samples: inputs (N, I) in their own dtype, targets (N,) or (N, O), weights (N,) or None.

    The inputs may be a ``Source``; targets and weights are arrays.
    """

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

    def read(self, index: np.ndarray, backend: Backend) -> np.ndarray:
        """Return the inputs of some samples on the host, wherever they live."""
        if isinstance(self.x, Source):
            return self.x[index].read(np.arange(len(index)))
        if not lives_on(self.x, backend):
            return np.asarray(self.x[index])
        return backend.to_host(backend.xp.take(self.x, backend.to_device(index), axis=0))


class Batches(Protocol):
    """A source of samples for a loop."""

    def blocks(self, *orders: np.ndarray) -> Generator[tuple[Array, Rows], None, None]:
        """Yield parts of each order (steps, *P, B), on the device, with the samples they index."""


class ResidentBatches:
    """All samples live on the device; only the orders are sent."""

    def __init__(self, rows: Rows, backend: Backend) -> None:
        if isinstance(rows.x, Source):
            rows = rows._replace(x=rows.x.read(np.arange(rows.n_samples)))
        self.rows: Rows = tree.map(backend.to_device, rows)
        self.backend = backend

    def blocks(self, *orders: np.ndarray) -> Generator[tuple[Array, Rows], None, None]:
        """Yield each order as a whole."""
        for order in orders:
            yield self.backend.to_device(order), self.rows


class Block(NamedTuple):
    """Host memory that is sent at once: indices (M,) into the samples beside them."""

    order: np.ndarray
    rows: Rows


class HostBatches:
    """The samples stay on the host or on disk; blocks of whole batches are read there and sent.

    Two blocks are in memory: a thread fills one while the step runs on the other.

    Parameters
    ----------
    rows : Rows
        NumPy arrays; the inputs may be a ``Source``.
    backend : Backend
    block_bytes : int, optional
        About how much is sent at once; the source's window if not given.
    """

    def __init__(self, rows: Rows, backend: Backend, block_bytes: int | None = None) -> None:
        self.x: Source = rows.x if isinstance(rows.x, Source) else InMemory(rows.x)
        self.rows = rows
        self.backend = backend
        self.block_rows = self.x.window_rows
        available = available_memory()
        if available is not None:  # a system may promise more, and kill the process that takes it
            most = int(MEMORY_SHARE * available) // BUFFERS
            self.block_rows = min(self.block_rows, max(1, most // max(1, self.x.row_bytes)))
        if block_bytes is not None:
            self.block_rows = max(1, block_bytes // max(1, self.x.row_bytes))
        self._spare: list[list[Block]] = []  # memory is slow the first time it is written

    def blocks(self, *orders: np.ndarray) -> Generator[tuple[Array, Rows], None, None]:
        """Yield as many steps at a time as fit a block, with indices into the block."""
        groups, buffers = self._room_for(orders)
        if not groups:
            return
        reading = (self._fill(buffers[turn % BUFFERS], group) for turn, group in enumerate(groups))
        with (
            closing(read_ahead(reading, BUFFERS)) as ahead,
            closing(self.backend.stream(ahead)) as sent,
        ):
            for group, block in zip(groups, sent, strict=True):
                start = 0
                for part in group:
                    local = block.order[start : start + part.size]
                    start += part.size
                    yield self.backend.xp.reshape(local, part.shape), block.rows
        self._spare.append(buffers)

    def _room_for(self, orders: Sequence[np.ndarray]) -> tuple[list[list[np.ndarray]], list[Block]]:
        """Return orders in groups, and memory for them; smaller groups where memory is short."""
        while True:
            groups = list(_grouped(orders, self.block_rows))
            sizes = [sum(part.size for part in group) for group in groups]
            try:
                return groups, self._buffers(max(sizes, default=0))
            except Exception as error:
                smallest = all(len(group) == 1 and len(group[0]) == 1 for group in groups)
                if smallest or not self.backend.is_out_of_memory(error):
                    raise
            self.block_rows = max(1, min(self.block_rows, max(sizes)) // 2)

    def _buffers(self, size: int) -> list[Block]:
        """Return memory for blocks of so many samples, that of an epoch before if it will do."""
        while self._spare:
            buffers = self._spare.pop()
            if buffers[0].order.size >= size:
                return buffers
        return [self._empty(size) for _ in range(BUFFERS)]

    def _empty(self, size: int) -> Block:
        y, weight = self.rows.y, self.rows.weight
        empty = self.backend.host_empty
        return Block(
            empty((size,), np.dtype(np.int32)),
            Rows(
                empty((size, self.x.shape[1]), self.x.dtype),
                empty((size, *y.shape[1:]), y.dtype),
                None if weight is None else empty((size,), weight.dtype),
            ),
        )

    def _fill(self, buffer: Block, group: list[np.ndarray]) -> Block:
        """Read the samples of some steps, each once, in the order in which they lie on disk."""
        wanted = np.concatenate([part.reshape(-1) for part in group])
        rows = np.sort(wanted)
        rows = rows[np.append(True, rows[1:] != rows[:-1])]  # members of a population share some
        count = rows.size
        places = np.empty(self.rows.n_samples, dtype=np.int32)
        places[rows] = np.arange(count, dtype=np.int32)
        np.take(places, wanted, out=buffer.order[: wanted.size], mode="clip")
        self.x.read_into(rows, buffer.rows.x[:count])
        for array, home in ((self.rows.y, buffer.rows.y), (self.rows.weight, buffer.rows.weight)):
            if array is not None:
                np.take(array, rows, axis=0, out=home[:count], mode="clip")
        return buffer


def _grouped(orders: Sequence[np.ndarray], block_rows: int) -> Iterator[list[np.ndarray]]:
    """Cut orders into groups of consecutive steps; a short batch goes with what is beside it."""
    full = max((math.prod(order.shape[1:]) for order in orders), default=1)
    steps = room = steps_in(block_rows, full)
    group: list[np.ndarray] = []
    for order in orders:
        is_short = math.prod(order.shape[1:]) < full
        start = 0
        while start < len(order):
            if room == 0 and not is_short:
                yield group
                group, room = [], steps
            part = order[start : start + (len(order) if is_short else room)]
            room -= 0 if is_short else len(part)
            start += len(part)
            group.append(part)
    if group:
        yield group


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
