"""How well predicted probabilities agree with the frequencies of what they predict."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: Number of bins of equal width.
BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions in bins of their probability.

    Attributes
    ----------
    rows : array of shape (BINS,)
        Number of predictions in each bin; bin i has probabilities in (i/BINS, (i + 1)/BINS].
    predicted, observed : array of shape (BINS,)
        Mean probability of a bin, and the share of its predictions that are true; 0 without rows.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", section 2.
    """

    rows: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.float64]
    observed: npt.NDArray[np.float64]

    @classmethod
    def of(cls, probabilities: Any, are_true: Any) -> "Reliability":
        """Count predictions by their probability.

        Parameters
        ----------
        probabilities : array of shape (N,)
            Of the class that each row is predicted as, or of each label to be 1.
        are_true : array of shape (N,), bool
            Whether the row has that class, or the label is 1.
        """
        likely = np.asarray(probabilities, dtype=np.float64)
        bins = np.clip(np.ceil(likely * BINS).astype(np.int64) - 1, 0, BINS - 1)
        rows = np.bincount(bins, minlength=BINS)
        whole: Any = np.maximum(rows, 1)
        predicted, observed = (
            np.bincount(bins, weights=each, minlength=BINS) / whole for each in (likely, are_true)
        )
        return cls(rows, predicted, observed)

    @property
    def error(self) -> float:
        """The expected calibration error: mean |observed − predicted| over the bins, by rows."""
        gaps = np.abs(self.observed - self.predicted)
        return float(np.sum(gaps * self.rows) / max(int(np.sum(self.rows)), 1))

    def as_json(self) -> list[dict[str, Any]]:
        """Return the bins that have rows, in types of JSON."""
        return [
            {
                "from": at / BINS,
                "to": (at + 1) / BINS,
                "rows": int(self.rows[at]),
                "predicted": float(self.predicted[at]),
                "observed": float(self.observed[at]),
            }
            for at in np.flatnonzero(self.rows).tolist()
        ]
