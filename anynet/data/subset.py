"""Some samples of a set, named by their indices: what a hold-out makes, copying nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.data.batches import Rows


@dataclass(frozen=True, eq=False)
class Subset:
    """The samples ``index`` of ``rows``; all of them where ``index`` is None."""

    rows: Rows
    index: np.ndarray | None = None

    @property
    def n_samples(self) -> int:
        """How many samples these are."""
        return self.rows.n_samples if self.index is None else self.index.size

    def order(self, positions: np.ndarray) -> np.ndarray:
        """Return where in ``rows`` the samples at these positions lie, int32."""
        return positions if self.index is None else self.index[positions].astype(np.int32)

    def targets(self) -> tuple[Any, Any]:
        """Return the targets and weights of these samples."""
        y, weight = self.rows.y, self.rows.weight
        if self.index is None:
            return y, weight
        return y[self.index], None if weight is None else weight[self.index]
