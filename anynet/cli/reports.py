"""How well a model does on labelled rows, in numbers and as text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.cli.baseline import class_measures, class_warning
from anynet.cli.terminal import table

#: Of more classes, those with the most errors are printed, and pairs of classes for the matrix.
MOST_PRINTED = 30

#: Of more classes, JSON has the pairs that occur, not the matrix.
MOST_DENSE = 1000


@dataclass(frozen=True, eq=False)
class Report:
    """True and predicted classes, counted without a matrix of all pairs unless it is asked for.

    Attributes
    ----------
    true, predicted : array (N,)
        Indices of classes.
    classes : tuple of str
        Their names.
    beside : dict
        What ``class_measures`` returns.
    """

    true: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    beside: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, true: Any, predicted: Any, classes: Sequence[str], probabilities: Any = None
    ) -> "Report":
        """Take pairs of labels, and the probabilities (N, classes) where there are some."""
        true, predicted = (np.asarray(labels, dtype=np.int64) for labels in (true, predicted))
        beside = class_measures(true, predicted, probabilities, len(classes))
        return cls(true, predicted, tuple(classes), beside)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """The matrix (classes, classes): rows are the true classes, columns the predicted ones."""
        return self.counts_of(range(len(self.classes)))

    def counts_of(self, chosen: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the part of the matrix that some of the classes have."""
        place = np.full(len(self.classes), -1)
        place[chosen] = np.arange(len(chosen))
        rows, columns = place[self.true], place[self.predicted]
        inside = (rows >= 0) & (columns >= 0)
        counts = np.zeros((len(chosen), len(chosen)), dtype=np.int64)
        np.add.at(counts, (rows[inside], columns[inside]), 1)
        return counts

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """How many rows each class has."""
        return np.bincount(self.true, minlength=len(self.classes))

    @cached_property
    def taken(self) -> npt.NDArray[np.int64]:
        """How many rows were taken for each class."""
        return np.bincount(self.predicted, minlength=len(self.classes))

    @cached_property
    def right(self) -> npt.NDArray[np.int64]:
        """How many rows of each class were taken for it."""
        return np.bincount(self.true[self.true == self.predicted], minlength=len(self.classes))

    def most_confused(self, most: int) -> list[int]:
        """Return the classes with the most errors, in the order of the classes."""
        return worst(self.rows + self.taken - 2 * self.right, most)

    def confused(self) -> list[tuple[int, int, int]]:
        """Return each pair of a true and another predicted class with its count, largest first."""
        wrong = self.true != self.predicted
        pairs = np.stack([self.true[wrong], self.predicted[wrong]], axis=1)
        found, counts = np.unique(pairs, axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [(int(found[i, 0]), int(found[i, 1]), int(counts[i])) for i in order]

    metric = "accuracy"

    @property
    def score(self) -> float:
        """The accuracy."""
        return self.accuracy

    @property
    def accuracy(self) -> float:
        """Share of the rows that were taken for what they are."""
        return float(self.right.sum() / max(len(self.true), 1))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Of the rows taken for each class, the share that belong to it; 0 if none were."""
        return _share(self.right, self.taken)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Of the rows of each class, the share that were taken for it; 0 if there are none."""
        return _share(self.right, self.rows)

    def measures(self) -> dict[str, float]:
        """Return what a run reports of its test set."""
        return {"accuracy": self.accuracy, **self.beside}

    def warning(self, *, weighted: bool = False) -> str:
        """Return a sentence if the model is no better than one that ignores its inputs."""
        present = int(np.count_nonzero(self.rows))
        return class_warning(self.measures(), present, weighted=weighted)

    def as_json(self) -> dict[str, Any]:
        """Return everything in types that JSON has: of many classes, the pairs that are confused.

        ``confusion`` is the matrix, or None where there are more than a thousand classes; then
        ``confused`` lists the true class, the predicted class and the count of each error.
        """
        per_class = [
            {"class": name, "precision": float(p), "recall": float(r), "rows": int(n)}
            for name, p, r, n in zip(
                self.classes, self.precision, self.recall, self.rows, strict=True
            )
        ]
        report = {**self.measures(), "rows": len(self.true), "classes": per_class}
        if len(self.classes) <= MOST_DENSE:
            return {**report, "confusion": self.counts.tolist()}
        names = self.classes
        pairs = [[names[true], names[other], count] for true, other, count in self.confused()]
        return {**report, "confusion": None, "confused": pairs}

    def as_text(self) -> str:
        """Return tables: the measures, precision and recall, and the confusion matrix.

        Of many classes, those with the most errors, and the most frequent errors.
        """
        names = {
            "baseline_accuracy": "accuracy of always predicting the most frequent class",
            "balanced_accuracy": "balanced accuracy (mean recall)",
            "roc_auc": "ROC AUC" + (" (one-vs-rest, mean)" if len(self.classes) > 2 else ""),
        }
        beside = [[names[name], f"{value:.4f}"] for name, value in self.beside.items()]
        parts = [table(beside)] if beside else []
        shown = self.most_confused(MOST_PRINTED)
        scores = [["class", "precision", "recall", "rows"]]
        for i in shown:
            figures = f"{self.precision[i]:.4f}", f"{self.recall[i]:.4f}", f"{self.rows[i]}"
            scores.append([self.classes[i], *figures])
        if len(shown) < len(self.classes):
            errors = [["true", "predicted", "rows"]]
            for true, predicted, count in self.confused()[:MOST_PRINTED]:
                errors.append([self.classes[true], self.classes[predicted], str(count)])
            first = f"the {len(shown)} of {len(self.classes):,} classes with the most errors"
            parts += [f"{first}\n{table(scores)}", f"most frequent errors\n{table(errors, left=2)}"]
        else:
            matrix = [["", *self.classes]]
            for name, row in zip(self.classes, self.counts, strict=True):
                matrix.append([name, *(str(count) if count else "·" for count in row)])
            head = "confusion (rows: true, columns: predicted)"
            parts += [table(scores), f"{head}\n{table(matrix)}"]
        return "\n\n".join(parts)


def worst(errors: npt.NDArray[np.int64], most: int) -> list[int]:
    """Return the indices of the largest counts, `most` of them or all, in increasing order."""
    return sorted(np.argsort(-errors, kind="stable")[:most].tolist())


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = part / np.maximum(whole, 1)
    return share
