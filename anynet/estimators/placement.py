"""Samples for a loop: on the device as a whole, or sent in blocks."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import scipy.sparse as sp

from anynet.backends import Backend
from anynet.data.batches import Batches, HostBatches, ResidentBatches, Rows
from anynet.typing import Array

RESIDENT_SHARE = 0.7  # of the device's free memory that the data may take
BLOCK_BYTES = 64 * 2**20  # are sent at once
DENSE_BYTES = 2**30  # a sparse matrix that takes no more as an array becomes one


def place(rows: Rows, backend: Backend) -> Batches:
    """Choose how the samples reach the device."""
    x: Any = rows.x
    if sp.issparse(x):
        if np.prod(x.shape) * np.dtype(backend.dtype).itemsize > DENSE_BYTES:
            return SparseBatches(rows, backend)
        rows = rows._replace(x=x.toarray())
    if not isinstance(rows.x, np.ndarray):
        return ResidentBatches(rows, backend)
    # Rows are gathered in every step: of another layout each would be a copy of the whole array.
    rows = rows._replace(x=np.ascontiguousarray(rows.x, dtype=backend.dtype))
    memory = backend.memory()
    if memory is None or rows.nbytes < RESIDENT_SHARE * memory.free:
        return ResidentBatches(rows, backend)
    return HostBatches(rows, backend)


class SparseBatches:
    """A sparse matrix that stays on the host; blocks of whole batches become arrays."""

    def __init__(self, rows: Rows, backend: Backend) -> None:
        self.rows, self.backend = rows, backend

    def blocks(self, *orders: np.ndarray) -> Generator[tuple[Array, Rows], None, None]:
        """Yield as many steps at a time as fit a block, with indices into the block."""
        row_bytes = self.rows.x.shape[1] * np.dtype(self.backend.dtype).itemsize
        for order in orders:
            steps = max(1, BLOCK_BYTES // max(1, order[0].size * row_bytes))
            for start in range(0, order.shape[0], steps):
                yield from self._block(order[start : start + steps])

    def _block(self, part: np.ndarray) -> Generator[tuple[Array, Rows], None, None]:
        wanted = part.reshape(-1)
        x = self.rows.x[wanted].toarray()
        weight = None if self.rows.weight is None else self.rows.weight[wanted]
        local = np.arange(wanted.size, dtype=np.int32).reshape(part.shape)
        yield from ResidentBatches(Rows(x, self.rows.y[wanted], weight), self.backend).blocks(local)
