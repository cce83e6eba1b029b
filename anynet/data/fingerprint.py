"""A digest of samples, which detects that the data of a run have changed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from anynet.backends import Backend, to_numpy
from anynet.data.subset import Subset

SAMPLED_BYTES, RUNS = 2**26, 16  # of the inputs that are read, and in how many runs of rows


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
