"""Batches: the order of the samples in an epoch, and the samples of a batch on the device.

A training set is sent to the device once and its rows are gathered in the step. One that does not
fit stays on the host or on disk, and a thread reads one block of rows while the step runs on
another. The step receives the same numbers either way.

References
----------
The blockwise shuffle of `block_order`: TensorFlow's ``Dataset.shuffle`` and WebDataset also shuffle
files first and then within a buffer; here the buffer is replaced as a whole, so that the disk is
read window by window.
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
from anynet.data.sources.arrays import InMemory
from anynet.data.sources.source import Source
from anynet.seeds import Purpose, host_generator
from anynet.typing import Array

MEMORY_SHARE = 0.5  # share of the available memory for blocks of rows from disk
BUFFERS = 2  # the step reads one while the other is filled


class Rows(NamedTuple):
    """Samples with their targets and weights.

    Attributes
    ----------
    x : array or Source
        Inputs (N, I) in their own dtype.
    y : array
        Targets (N,) or (N, O).
    weight : array or None
        Weights (N,).
    """

    x: Any
    y: Any
    weight: Any = None

    @property
    def n_samples(self) -> int:
        """The number of samples, N."""
        return int(self.x.shape[0])

    @property
    def nbytes(self) -> int:
        """The memory of the samples in bytes."""
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

        return Rows(take(self.x), take(self.y), take(self.weight))  # quicker than tree.map

    def read(self, index: np.ndarray, backend: Backend) -> np.ndarray:
        """Return the inputs of some samples on the host, wherever they live."""
        if isinstance(self.x, Source):
            return self.x[index].read(np.arange(len(index)))
        if not lives_on(self.x, backend):
            return np.asarray(self.x[index])
        return backend.to_host(backend.xp.take(self.x, backend.to_device(index), axis=0))


class Batches(Protocol):
    """What provides the samples of an epoch to a loop."""

    def blocks(
        self, *orders: np.ndarray, members: int = 1
    ) -> Generator[tuple[Array, Rows], None, None]:
        """Yield parts of each order (steps, *P, B) with their samples, on the device.

        In a group of processes, only the rows of the own share of each batch need be present.

        Parameters
        ----------
        *orders : ndarray
            Of whole batches.
        members : int
            See ``Backend.share``.
        """


class ResidentBatches:
    """Batches of samples that are all on the device; only the orders are sent."""

    def __init__(self, rows: Rows, backend: Backend) -> None:
        if isinstance(rows.x, Source):
            rows = rows._replace(x=rows.x.read(np.arange(rows.n_samples)))
        self.rows: Rows = tree.map(backend.to_device, rows)
        self.backend = backend

    def blocks(
        self,
        *orders: np.ndarray,
        members: int = 1,  # noqa: ARG002
    ) -> Generator[tuple[Array, Rows], None, None]:
        """Yield each order completely, with all samples."""
        for order in orders:
            yield self.backend.to_device(order), self.rows


class Block(NamedTuple):
    """Host memory that is sent at once: samples, and indices (M,) into them."""

    order: np.ndarray
    rows: Rows


class HostBatches:
    """Batches of samples on the host or on disk, which are read and sent in blocks.

    A block has whole batches, or this process's share of each. Two are in memory: a thread fills
    one while the step runs on the other.

    Parameters
    ----------
    rows : Rows
        NumPy arrays; the inputs may be a ``Source``.
    backend : Backend
        Where the step runs.
    block_bytes : int, optional
        Approximate size of a block; the window of the source by default.
    """

    def __init__(self, rows: Rows, backend: Backend, block_bytes: int | None = None) -> None:
        self.x: Source = rows.x if isinstance(rows.x, Source) else InMemory(rows.x)
        self.rows = rows
        self.backend = backend
        self.block_rows = self.x.window_rows
        available = available_memory()
        if available is not None:  # a system may grant more, and kill the process that uses it
            most = int(MEMORY_SHARE * available) // BUFFERS
            self.block_rows = min(self.block_rows, max(1, most // max(1, self.x.row_bytes)))
        if block_bytes is not None:
            self.block_rows = max(1, block_bytes // max(1, self.x.row_bytes))
        if backend.group.size > 1 and backend.share(1) is None:  # all run one program of JAX
            self.block_rows = min(backend.group.gather(self.block_rows))
        self._spare: list[list[Block]] = []  # memory is slow when it is first written

    def blocks(
        self, *orders: np.ndarray, members: int = 1
    ) -> Generator[tuple[Array, Rows], None, None]:
        """Yield as many steps at a time as fit a block, with indices into it."""
        groups, buffers = self._room_for(orders)
        if not groups:
            return
        reading = (
            self._fill(buffers[turn % BUFFERS], group, members) for turn, group in enumerate(groups)
        )
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
        """Return orders in groups, and memory for them; smaller groups if there is not enough."""
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
        """Return memory for blocks of ``size`` samples, from an earlier epoch if it is enough."""
        while self._spare:
            buffers = self._spare.pop()
            if buffers[0].order.size >= size:
                return buffers
        return [self._empty(size) for _ in range(BUFFERS)]

    def _empty(self, size: int) -> Block:
        empty = self.backend.host_empty
        rows = self.rows._replace(x=self.x)
        return Block(
            empty((size,), np.dtype(np.int32)),
            tree.map(lambda array: empty((size, *array.shape[1:]), array.dtype), rows),
        )

    def _fill(self, buffer: Block, group: list[np.ndarray], members: int) -> Block:
        """Read the samples of some steps, each once, in their order on disk."""
        wanted = np.concatenate([part.reshape(-1) for part in group])
        rows = np.sort(np.concatenate([self._own(part, members).reshape(-1) for part in group]))
        rows = rows[np.append(True, rows[1:] != rows[:-1])]  # members of a population share some
        count = rows.size
        position = np.zeros(self.rows.n_samples, dtype=np.int32)  # others are not read here
        position[rows] = np.arange(count, dtype=np.int32)
        np.take(position, wanted, out=buffer.order[: wanted.size], mode="clip")
        self.x.read_into(rows, buffer.rows.x[:count])
        for array, target in zip(self.rows[1:], buffer.rows[1:], strict=True):
            if array is not None:
                np.take(array, rows, axis=0, out=target[:count], mode="clip")
        return buffer

    def _own(self, order: np.ndarray, members: int) -> Any:
        """Return the share of this process of each batch."""
        share = self.backend.share(order.shape[-1], members)
        return order if share is None else share.take(order, np)


def _grouped(orders: Sequence[np.ndarray], block_rows: int) -> Iterator[list[np.ndarray]]:
    """Split orders into groups of consecutive steps; a short batch joins its neighbour's group."""
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
    """Return the order of the samples in one epoch, (n_samples,) int32.

    A permutation drawn from ``SeedSequence((seed, ORDER, epoch))``, the same on every backend.

    Parameters
    ----------
    n_samples : int
        The number of samples.
    seed, epoch : int
        Seed of the draw.
    shuffle : bool
        Whether to draw at all.

    Returns
    -------
    ndarray of int32
        Every index once.
    """
    if not shuffle:
        return np.arange(n_samples, dtype=np.int32)
    return host_generator(seed, Purpose.ORDER, epoch).permutation(
        np.arange(n_samples, dtype=np.int32)
    )


def member_orders(
    n_samples: int, seed: int, epoch: int, members: int, shuffle: bool = True
) -> np.ndarray:
    """Return the order of each member of a network in one epoch, (members, n_samples) int32.

    Independent permutations; the first is that of ``epoch_order``.
    """
    streams = [epoch + (member << 32) for member in range(members)]
    return np.stack([epoch_order(n_samples, seed, stream, shuffle) for stream in streams])


def interleave(orders: np.ndarray, batch_size: int) -> np.ndarray:
    """Return one order whose batches hold a batch of each member, one member after another.

    Parameters
    ----------
    orders : ndarray of shape (K, N)
    batch_size : int
        The number of samples of a member in a batch, B; `split_order` needs K · B.

    Returns
    -------
    ndarray of shape (K · N,)
        Of the full batches (steps, K, B), then of the short one (K, N mod B).
    """
    members, n_samples = orders.shape
    whole = n_samples - n_samples % batch_size
    full = orders[:, :whole].reshape(members, -1, batch_size).swapaxes(0, 1)
    return np.concatenate([full.reshape(-1), orders[:, whole:].reshape(-1)])


def block_order(
    borders: np.ndarray, seed: int, epoch: int, batch_size: int, window_rows: int
) -> np.ndarray:
    """Return the blockwise shuffled order of samples that a disk reads quickly only in blocks.

    The blocks of an epoch come in random order. This sequence is split into windows of as many
    samples as are in memory at once, and each window is shuffled. So every sample comes once an
    epoch, and a batch mixes samples of as many blocks as fit into a window; if one window holds
    them all, all samples are shuffled. Drawn from ``SeedSequence((seed, ORDER, epoch))``.

    Parameters
    ----------
    borders : ndarray of shape (n_blocks + 1,)
        The first row of each block, and the end of the last.
    seed, epoch : int
        Seed of the draw.
    batch_size : int
        Windows are whole batches. The short batch, N mod batch_size samples, belongs to the first
        window and is last in the result, as `split_order` expects.
    window_rows : int
        Maximum number of samples in a window.

    Returns
    -------
    ndarray of shape (N,), int32
        Every index once.
    """
    generator = host_generator(seed, Purpose.ORDER, epoch)
    blocks = generator.permutation(len(borders) - 1)
    order = np.concatenate(
        [np.arange(borders[block], borders[block + 1], dtype=np.int32) for block in blocks]
    )
    short = order.size % batch_size
    window = batch_size * steps_in(window_rows, batch_size)
    start = 0
    for end in range(short + window, order.size + window, window):
        generator.shuffle(order[start:end])
        start = end
    return np.concatenate([order[short:], order[:short]])


def steps_in(window_rows: int, batch_rows: int) -> int:
    """Return the number of whole batches in a window, at least one."""
    return max(1, window_rows // max(1, batch_rows))


def split_order(
    order: np.ndarray, batch_size: int, parts: int = 1, short_first: bool = False
) -> list[np.ndarray]:
    """Split an epoch's order into arrays (steps, B), every sample once.

    Parameters
    ----------
    order : ndarray of shape (N,)
        Indices of samples.
    batch_size : int
        Samples in a batch, B.
    parts : int
        Maximum number of arrays of full batches, of equal size except the last.
    short_first : bool
        Whether the short batch comes before the full ones. The mean over a few samples makes a
        noisy step: as the last of an epoch it would affect the validation score.

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
    """Split the orders of K members, all of one length, into arrays (steps, K, B).

    Parameters
    ----------
    orders : sequence of ndarray
        Indices of samples, (N,) for each member.
    batch_size, short_first
        See `split_order`.

    Returns
    -------
    list of ndarray
        As from `split_order`, with the members as second axis.
    """
    split = [split_order(order, batch_size, short_first=short_first) for order in orders]
    return [np.stack(parts, axis=1) for parts in zip(*split, strict=True)]
