"""How well a model does on labelled rows, in numbers and as text."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.cli.baseline import class_measures, class_warning


@dataclass(frozen=True, eq=False)
class Report:
    """Counts of what was taken for what.

    Attributes
    ----------
    counts : array (classes, classes)
        Rows are the true classes, columns the predicted ones.
    classes : tuple of str
        Their names.
    beside : dict
        What ``class_measures`` returns.
    """

    counts: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    beside: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, true: Any, predicted: Any, classes: Sequence[str], probabilities: Any = None
    ) -> "Report":
        """Count pairs of labels."""
        n = len(classes)
        pairs = np.asarray(true, dtype=np.int64) * n + np.asarray(predicted, dtype=np.int64)
        counts = np.bincount(pairs, minlength=n * n).reshape(n, n)
        return cls(counts, tuple(classes), class_measures(true, predicted, probabilities, n))

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
        """Return what a run reports of its test set."""
        return {"accuracy": self.accuracy, **self.beside}

    def warning(self, *, weighted: bool = False) -> str:
        """Return a sentence if the model is no better than one that ignores its inputs."""
        present = int(np.count_nonzero(self.counts.sum(axis=1)))
        return class_warning(self.measures(), present, weighted=weighted)

    def as_json(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        rows = self.counts.sum(axis=1)
        per_class = [
            {"class": name, "precision": float(p), "recall": float(r), "rows": int(n)}
            for name, p, r, n in zip(self.classes, self.precision, self.recall, rows, strict=True)
        ]
        return {
            **self.measures(),
            "rows": int(rows.sum()),
            "classes": per_class,
            "confusion": self.counts.tolist(),
        }

    def as_text(self) -> str:
        """Two tables for people: precision and recall, then the confusion matrix."""
        scores = [["class", "precision", "recall", "rows"]]
        for name, p, r, row in zip(
            self.classes, self.precision, self.recall, self.counts, strict=True
        ):
            scores.append([name, f"{p:.4f}", f"{r:.4f}", f"{row.sum()}"])
        matrix = [["", *self.classes]]
        for name, row in zip(self.classes, self.counts, strict=True):
            matrix.append([name, *(str(count) if count else "·" for count in row)])
        names = {
            "baseline_accuracy": "accuracy of always predicting the most frequent class",
            "balanced_accuracy": "balanced accuracy (mean recall)",
            "roc_auc": "ROC AUC" + (" (one-vs-rest, mean)" if len(self.classes) > 2 else ""),
        }
        beside = [[names[name], f"{value:.4f}"] for name, value in self.beside.items()]
        head = f"{table(beside)}\n\n" if beside else ""
        return (
            f"{head}{table(scores)}\n\nconfusion (rows: true, columns: predicted)\n{table(matrix)}"
        )


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = part / np.maximum(whole, 1)
    return share


def complain(message: str, prefix: str = "anynet: error: ") -> None:
    """Say in one line on standard error what went wrong."""
    print(prefix + " ".join(message.split()), file=sys.stderr)


def table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Line up columns: the first `left` of them to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
