"""Some samples of a data set by their indices, without a copy, and a digest of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.backends import Backend, to_numpy
from anynet.data.batches import Rows
from anynet.data.sources.source import borders

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
