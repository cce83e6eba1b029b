"""How well a model predicts values, in numbers and as text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.cli.terminal import table


@dataclass(frozen=True, eq=False)
class ValueReport:
    """True and predicted values in the units of their table.

    Attributes
    ----------
    true, predicted : array (N,)
    name : str
        Of the values.
    """

    true: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    name: str

    metric = "r2"

    @property
    def score(self) -> float:
        """R²: the share of the variance that is explained; for constant values 1 if all right."""
        spread = float(np.sum((self.true - self.true.mean()) ** 2))
        left = float(np.sum((self.true - self.predicted) ** 2))
        return 1 - left / spread if spread else float(left == 0)

    def measures(self) -> dict[str, float]:
        """What a run reports of its test set: R², and errors in the units of the table."""
        error = self.predicted - self.true
        return {
            "r2": self.score,
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        return {**self.measures(), "rows": len(self.true)}

    def as_text(self) -> str:
        """Return the errors as a table."""
        measures = self.measures()
        rows = [
            ["root of the mean squared error", f"{measures['rmse']:.6g}"],
            ["mean absolute error", f"{measures['mae']:.6g}"],
            ["standard deviation of the true values", f"{np.std(self.true):.6g}"],
        ]
        return table(rows)
