"""Some samples of a data set by their indices, without a copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.data.batches import Rows
from anynet.data.sources.source import borders


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
