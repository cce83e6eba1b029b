"""How well a model does on labelled rows, in numbers and as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.cli.terminal import table


@dataclass(frozen=True, eq=False)
class Report:
    """Counts of what was taken for what.

    Attributes
    ----------
    counts : array (classes, classes)
        Rows are the true classes, columns the predicted ones.
    classes : tuple of str
        Their names.
    """

    counts: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, true: Any, predicted: Any, classes: Sequence[str]) -> "Report":
        """Count pairs of labels."""
        n = len(classes)
        pairs = np.asarray(true, dtype=np.int64) * n + np.asarray(predicted, dtype=np.int64)
        return cls(np.bincount(pairs, minlength=n * n).reshape(n, n), tuple(classes))

    metric = "accuracy"

    @property
    def score(self) -> float:
        """The accuracy."""
        return self.accuracy

    @property
    def accuracy(self) -> float:
        """Share of the rows that were taken for what they are."""
        return float(np.trace(self.counts) / max(self.counts.sum(), 1))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Of the rows taken for each class, the share that belong to it; 0 if none were."""
        return _share(np.diag(self.counts), self.counts.sum(axis=0))

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Of the rows of each class, the share that were taken for it; 0 if there are none."""
        return _share(np.diag(self.counts), self.counts.sum(axis=1))

    def measures(self) -> dict[str, float]:
        """What a run reports of its test set."""
        return {"accuracy": self.accuracy}

    def as_json(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        rows = self.counts.sum(axis=1)
        per_class = [
            {"class": name, "precision": float(p), "recall": float(r), "rows": int(n)}
            for name, p, r, n in zip(self.classes, self.precision, self.recall, rows, strict=True)
        ]
        return {
            "accuracy": self.accuracy,
            "rows": int(rows.sum()),
            "classes": per_class,
            "confusion": self.counts.tolist(),
        }

    def as_text(self) -> str:
        """Return two tables: precision and recall, then the confusion matrix."""
        scores = [["class", "precision", "recall", "rows"]]
        for name, p, r, row in zip(
            self.classes, self.precision, self.recall, self.counts, strict=True
        ):
            scores.append([name, f"{p:.4f}", f"{r:.4f}", f"{row.sum()}"])
        matrix = [["", *self.classes]]
        for name, row in zip(self.classes, self.counts, strict=True):
            matrix.append([name, *(str(count) if count else "·" for count in row)])
        return f"{table(scores)}\n\nconfusion (rows: true, columns: predicted)\n{table(matrix)}"


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = part / np.maximum(whole, 1)
    return share
