"""Scores of predicted values, as numbers and as text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.cli.mistakes import Mistake
from anynet.cli.terminal import table
from anynet.data.tables.statistics import mean_and_deviation, root_mean_square


@dataclass(frozen=True, eq=False)
class ValueReport:
    """True and predicted values in the units of their table.

    Attributes
    ----------
    true, predicted : array of shape (N,)
    name : str
        Name of the values.
    """

    true: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    name: str

    metric = "r2"

    @property
    def score(self) -> float:
        """R², the explained share of the variance; of constant values, 1 if all are correct."""
        spread = mean_and_deviation(self.true)[1]
        left = root_mean_square(self.true - self.predicted)
        if not spread:
            return float(left == 0)
        with np.errstate(over="ignore"):
            return float(1 - np.square(left / spread))

    @property
    def title(self) -> str:
        """R², for pictures."""
        return f"R² {self.score:.4f} on {len(self.true):,} rows"

    def measures(self) -> dict[str, float]:
        """Return the measures that a run reports of its test set: R², and errors in units.

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
        """Return a warning if the model is no better than the mean, otherwise nothing."""
        if self.score > 0:
            return ""
        return (
            f"R² {self.score:.4f} on the test rows is not better than that of always predicting "
            f"their mean (0)"
        )

    def mistakes(self, most: int) -> tuple[list[Mistake], None]:
        """Return the largest errors, and None, since all values differ."""
        errors = self.predicted - self.true
        return [
            Mistake(
                int(at), float(self.true[at]), float(self.predicted[at]), float(errors[at]), "error"
            )
            for at in np.argsort(-np.abs(errors), kind="stable")[:most]
        ], None

    def summary(self) -> str:
        """Return the measures in one line."""
        measures = self.measures()
        return (
            f"R² {measures['r2']:.4f}, error {measures['rmse']:.6g} (root of the mean square), "
            f"{measures['mae']:.6g} (mean); always predicting the mean: R² 0, error "
            f"{measures['baseline_rmse']:.6g}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything in types of JSON."""
        return {**self.measures(), "rows": len(self.true)}

    def as_text(self) -> str:
        """Return the errors as a table."""
        names = {
            "rmse": "root of the mean squared error",
            "mae": "mean absolute error",
            "baseline_rmse": "root of the mean squared error of always predicting the mean",
        }
        measures = self.measures()
        return table([[name, f"{measures[each]:.6g}"] for each, name in names.items()])
