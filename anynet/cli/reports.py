"""Scores of predicted classes, as numbers and as text, and of any model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from anynet.cli.label_report import LabelReport
from anynet.cli.mistakes import Mistake
from anynet.cli.models import AnyModel
from anynet.cli.reliability import BINS, Reliability
from anynet.cli.terminal import table, warn
from anynet.cli.value_report import ValueReport
from anynet.data.tables import Preprocessing
from anynet.data.tables.target import Classes
from anynet.errors import InvalidArgumentError

#: Classes of which more are not printed: only those with the most errors, and the most frequent
#: errors in place of the matrix.
MOST_PRINTED = 30

#: Classes of which more have no matrix in JSON, but the pairs that occur.
MOST_DENSE = 1000

#: Classes of which more have no ROC AUC, which sorts the rows once a class.
MOST_CLASSES = 100

#: Key in the metadata of a model that was trained with weights of classes.
CLASS_WEIGHT = "class_weight"

Counts: TypeAlias = npt.NDArray[np.int64]


def class_warning(measures: dict[str, float], n_classes: int, *, weighted: bool) -> str:
    """Return a warning if predicted classes are no better than a constant, otherwise nothing.

    Parameters
    ----------
    measures : dict
        Those of ``Report.measures``.
    n_classes : int
        Number of classes among the true ones.
    weighted : bool
        Whether the model was trained with weights of classes, which may lower its accuracy: then
        balanced accuracy is compared, with that of guessing.
    """
    if "baseline_accuracy" not in measures or n_classes < 2:
        return ""
    balanced = f"balanced accuracy {measures['balanced_accuracy']:.4f}"
    if weighted:
        if measures["balanced_accuracy"] > 1 / n_classes:
            return ""
        return f"{balanced} on the test rows is not better than guessing ({1 / n_classes:.4f})"
    if measures["accuracy"] > measures["baseline_accuracy"]:
        return ""
    return (
        f"accuracy {measures['accuracy']:.4f} on the test rows is not better than that of always "
        f"predicting the most frequent class ({measures['baseline_accuracy']:.4f}; {balanced}): "
        f"try --class-weight balanced, --scoring balanced_accuracy, or other inputs"
    )


@dataclass(frozen=True, eq=False)
class Report:
    """True and predicted classes; the matrix of all pairs is counted only when it is used.

    Attributes
    ----------
    true, predicted : array of shape (N,)
        Indices of classes.
    classes : tuple of str
        Their names.
    probabilities : array of shape (N, classes) or None
        Without them there is no ROC AUC.
    """

    true: Counts
    predicted: Counts
    classes: tuple[str, ...]
    probabilities: Any = None

    metric = "accuracy"

    @classmethod
    def of(
        cls, true: Any, predicted: Any, classes: Sequence[str], probabilities: Any = None
    ) -> "Report":
        """Return the report of pairs of labels, and of probabilities (N, classes) if given."""
        true, predicted = (np.asarray(labels, dtype=np.int64) for labels in (true, predicted))
        return cls(true, predicted, tuple(classes), probabilities)

    @cached_property
    def beside(self) -> dict[str, float]:
        """Measures that a frequent class does not dominate.

        ``baseline_accuracy``: that of always predicting the most frequent of the true classes.
        ``balanced_accuracy``: the mean recall of the classes that occur. ``roc_auc``: of the second
        of two classes, otherwise the mean of one-vs-rest over the classes that occur; absent where
        it is not defined, or there are more than MOST_CLASSES classes.

        ``log_loss``: the mean negative logarithm of the probability of the true class. ``brier``:
        the mean squared error of the probability of the second of two classes, otherwise the mean
        of the sum over the classes. ``calibration_error``: that of ``reliability``. All three are
        absent without probabilities.
        """
        if not self.true.size:
            return {}
        n_classes, present = len(self.classes), np.flatnonzero(self.rows)
        measures = {
            "baseline_accuracy": float(self.rows.max() / self.true.size),
            "balanced_accuracy": float(np.mean(self.recall[present])),
        }
        if self.probabilities is None or self.reliability is None:
            return measures
        from sklearn.metrics import log_loss, roc_auc_score

        likely = np.asarray(self.probabilities, dtype=np.float64)
        squares = np.sum((likely - np.eye(n_classes)[self.true]) ** 2, axis=1)
        single = np.asarray(self.probabilities, dtype=np.float32)  # its smallest number counts as 0
        measures["log_loss"] = float(log_loss(self.true, single, labels=range(n_classes)))
        measures["brier"] = float(np.mean(squares) / (2 if n_classes == 2 else 1))
        measures["calibration_error"] = self.reliability.error
        if present.size < 2 or n_classes > MOST_CLASSES:
            return measures
        scored = [1] if n_classes == 2 else present.tolist()
        areas = [roc_auc_score(self.true == each, likely[:, each]) for each in scored]
        return measures | {"roc_auc": float(np.mean(areas))}

    @cached_property
    def reliability(self) -> Reliability | None:
        """The probabilities of the predicted classes in bins; None without probabilities."""
        if self.probabilities is None:
            return None
        sure = np.asarray(self.probabilities)[np.arange(self.true.size), self.predicted]
        return Reliability.of(sure, self.true == self.predicted)

    def mistakes(self, most: int) -> tuple[list[Mistake], int]:
        """Return the errors with the highest probabilities, and the number of all errors.

        Raises
        ------
        InvalidArgumentError
            If there are no probabilities.
        """
        if self.probabilities is None:
            message = f"--errors needs at most {MOST_CLASSES} classes, got {len(self.classes):,}"
            raise InvalidArgumentError(message)
        wrong = np.flatnonzero(self.true != self.predicted)
        sure = np.asarray(self.probabilities)[wrong, self.predicted[wrong]]
        return [
            Mistake(
                int(wrong[at]),
                self.classes[self.true[wrong[at]]],
                self.classes[self.predicted[wrong[at]]],
                float(sure[at]),
                "probability",
            )
            for at in np.argsort(-sure, kind="stable")[:most]
        ], wrong.size

    @property
    def counts(self) -> Counts:
        """The confusion matrix (classes, classes): true classes in rows, predicted in columns."""
        return self.counts_of(range(len(self.classes)))

    def counts_of(self, chosen: Sequence[int]) -> Counts:
        """Return the part of the confusion matrix that belongs to the chosen classes."""
        position = np.full(len(self.classes), -1)
        position[chosen] = np.arange(len(chosen))
        rows, columns = position[self.true], position[self.predicted]
        inside = (rows >= 0) & (columns >= 0)
        counts = np.zeros((len(chosen), len(chosen)), dtype=np.int64)
        np.add.at(counts, (rows[inside], columns[inside]), 1)
        return counts

    def _count(self, labels: Counts) -> Counts:
        return np.bincount(labels, minlength=len(self.classes))

    @cached_property
    def rows(self) -> Counts:
        """Number of rows of each class."""
        return self._count(self.true)

    @cached_property
    def taken(self) -> Counts:
        """Number of rows that each class was predicted for."""
        return self._count(self.predicted)

    @cached_property
    def right(self) -> Counts:
        """Number of rows of each class that are predicted correctly."""
        return self._count(self.true[self.true == self.predicted])

    def most_confused(self, most: int) -> list[int]:
        """Return the classes with the most errors, in the order of the classes."""
        errors = self.rows + self.taken - 2 * self.right
        return sorted(np.argsort(-errors, kind="stable")[:most].tolist())

    def confused(self) -> list[tuple[int, int, int]]:
        """Return (true class, predicted class, count) of each kind of error, largest first."""
        wrong = self.true != self.predicted
        pairs = np.stack([self.true[wrong], self.predicted[wrong]], axis=1)
        found, counts = np.unique(pairs, axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [(int(found[i, 0]), int(found[i, 1]), int(counts[i])) for i in order]

    @property
    def accuracy(self) -> float:
        """Share of the rows that are predicted correctly."""
        return float(self.right.sum() / max(len(self.true), 1))

    score = accuracy

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share of correct rows among those predicted as each class; 0 if there are none."""
        return _share(self.right, self.taken)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share of correct rows among those of each class; 0 if there are none."""
        return _share(self.right, self.rows)

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean of precision and recall of each class; 0 if both are."""
        return _share(2 * self.right, self.rows + self.taken)

    @property
    def title(self) -> str:
        """Accuracy, and below it that of a constant, for pictures."""
        score = f"accuracy {self.accuracy:.4f} on {len(self.true):,} rows"
        if not self.true.size:
            return score
        return f"{score}\nmost frequent class: {self.beside['baseline_accuracy']:.4f}"

    def measures(self) -> dict[str, float]:
        """Return the measures that a run reports of its test set."""
        return {"accuracy": self.accuracy, **self.beside}

    def warning(self, *, weighted: bool = False) -> str:
        """Return a warning if the model is no better than a constant, otherwise nothing."""
        present = int(np.count_nonzero(self.rows))
        return class_warning(self.measures(), present, weighted=weighted)

    def summary(self) -> str:
        """Return the measures in one line."""
        measures, names = self.measures(), {"baseline_accuracy": "most frequent class"}
        names |= {"balanced_accuracy": "balanced", "roc_auc": "ROC AUC"}
        names |= {"log_loss": "log loss", "brier": "Brier score"}
        names |= {"calibration_error": "calibration error"}
        beside = ", ".join(f"{names[each]} {measures[each]:.4f}" for each in self.beside)
        return f"accuracy {self.accuracy:.4f}" + (f" ({beside})" if beside else "")

    def as_json(self) -> dict[str, Any]:
        """Return everything in types of JSON.

        ``confusion`` is the matrix, or None if there are more than a thousand classes; then
        ``confused`` lists the true class, the predicted class and the count of each error.
        """
        scores = self.precision, self.recall, self.f1, self.rows
        per_class = [
            {
                "class": name,
                "precision": float(p),
                "recall": float(r),
                "f1": float(f),
                "rows": int(n),
            }
            for name, p, r, f, n in zip(self.classes, *scores, strict=True)
        ]
        report: dict[str, Any] = {**self.measures(), "rows": len(self.true), "classes": per_class}
        if self.reliability is not None:
            report["reliability"] = self.reliability.as_json()
        if len(self.classes) <= MOST_DENSE:
            return {**report, "confusion": self.counts.tolist()}
        classes = self.classes
        pairs = [[classes[true], classes[other], n] for true, other, n in self.confused()]
        return {**report, "confusion": None, "confused": pairs}

    def as_text(self) -> str:
        """Return tables: the measures, those of each class, and the confusion matrix.

        Of many classes, those with the most errors, and the most frequent errors.
        """
        names = {
            "baseline_accuracy": "accuracy of always predicting the most frequent class",
            "balanced_accuracy": "balanced accuracy (mean recall)",
            "log_loss": "log loss",
            "brier": "Brier score",
            "calibration_error": f"expected calibration error ({BINS} bins)",
            "roc_auc": "ROC AUC" + (" (one-vs-rest, mean)" if len(self.classes) > 2 else ""),
        }
        beside = [[names[name], f"{value:.4f}"] for name, value in self.beside.items()]
        parts = [table(beside)] if beside else []
        shown = self.most_confused(MOST_PRINTED)
        scores = [["class", "precision", "recall", "f1", "rows"]]
        for i in shown:
            figures = (f"{each[i]:.4f}" for each in (self.precision, self.recall, self.f1))
            scores.append([self.classes[i], *figures, f"{self.rows[i]}"])
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


def class_report(model: AnyModel, x: Any, y: Any, classes: Sequence[str]) -> Report:
    """Compare the classes that a model predicts with the true ones."""
    few = len(classes) <= MOST_CLASSES
    return Report.of(y, model.predict(x), classes, model.predict_proba(x) if few else None)


def row_report(
    model: AnyModel, x: Any, y: Any, preprocessing: Preprocessing
) -> Report | ValueReport:
    """Compare what a model predicts for encoded rows of a table with the true targets."""
    target = preprocessing.target
    if isinstance(target, Classes):
        return class_report(model, x, y, target.levels)
    return ValueReport(target.decode(y), target.decode(model.predict(x)), target.column)


def warn_of_baseline(report: Report | LabelReport | ValueReport, model: AnyModel) -> None:
    """Warn if a model is no better than one that ignores its inputs."""
    warn(report.warning(weighted=model.metadata.get(CLASS_WEIGHT) is not None))


def _share(part: Counts, whole: Counts) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = part / np.maximum(whole, 1)
    return share
