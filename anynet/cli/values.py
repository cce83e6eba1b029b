"""How well a model predicts values, in numbers and as text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.cli.baseline import value_warning
from anynet.cli.terminal import table
from anynet.data.tables.encoders import mean_and_deviation, root_mean_square


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
        spread = mean_and_deviation(self.true)[1]
        left = root_mean_square(self.true - self.predicted)
        if not spread:
            return float(left == 0)
        with np.errstate(over="ignore"):
            return float(1 - np.square(left / spread))

    def measures(self) -> dict[str, float]:
        """Return what a run reports of its test set: R², and errors in the units of the table.

        ``baseline_rmse`` is that of always predicting the mean, whose R² is 0.
        """
        error = self.predicted - self.true
        return {
            "r2": self.score,
            "rmse": root_mean_square(error),
            "mae": mean_and_deviation(np.abs(error))[0],
            "baseline_rmse": mean_and_deviation(self.true)[1],
        }

    def warning(self, *, weighted: bool = False) -> str:  # noqa: ARG002  (that is for classes)
        """Return a sentence if the model is no better than the mean of the true values."""
        return value_warning(self.score)

    def as_json(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        return {**self.measures(), "rows": len(self.true)}

    def as_text(self) -> str:
        """Return the errors as a table."""
        measures = self.measures()
        rows = [
            ["root of the mean squared error", f"{measures['rmse']:.6g}"],
            ["mean absolute error", f"{measures['mae']:.6g}"],
            ["the same of always predicting the mean", f"{measures['baseline_rmse']:.6g}"],
        ]
        return table(rows)
