"""The validation set: its loss and its score after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from anynet.data.batches import Rows
from anynet.estimators.inference import infer
from anynet.estimators.step import Objective
from anynet.typing import Array, Params


@dataclass(frozen=True)
class Validation:
    """Samples that are not trained on.

    Parameters
    ----------
    objective : Objective
    rows : Rows
        Inputs; targets and weights as the loss takes them, on the host.
    score : callable
        ``(logits on the host, packed parameters, loss) -> score``.
    """

    objective: Objective
    rows: Rows
    score: Callable[[np.ndarray, Params, float], float]

    def evaluate(self, packed: Params) -> tuple[float, float]:
        """Return the mean loss, without the L2 penalty, and the score."""
        objective = self.objective
        backend = objective.backend
        params = objective.packing.unpack(packed, backend.xp)
        logits = infer(objective.packing.network, params, self.rows.x, backend)
        with backend.context():
            value, _ = objective.loss(
                logits,
                self._to_device(self.rows.y),
                self._to_device(self.rows.weight),
                backend=backend,
            )
        loss = float(backend.to_host(value))
        on_host = backend.to_host(logits)
        return loss, float("nan") if not np.isfinite(on_host).all() else self.score(
            on_host, packed, loss
        )

    def _to_device(self, array: Any) -> Array | None:
        return None if array is None else self.objective.backend.to_device(array)
