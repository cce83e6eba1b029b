"""Scores of a model on labelled rows, as numbers and as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from anynet.cli.models import AnyModel
from anynet.cli.terminal import table, warn
from anynet.data.tables import Preprocessing
from anynet.data.tables.statistics import mean_and_deviation, root_mean_square
from anynet.data.tables.target import Classes

#: Classes of which more are not printed: only those with the most errors, and the most frequent
#: errors in place of the matrix.
MOST_PRINTED = 30

#: Classes of which more have no matrix in JSON, but the pairs that occur.
MOST_DENSE = 1000

#: Classes of which more have no ROC AUC, which sorts the rows once a class.
MOST_CLASSES = 100

#: Smaller probabilities count as this in the log loss, as in scikit-learn for float32.
SMALLEST = float(np.finfo(np.float32).eps)

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
        of the sum over the classes. Both are absent without probabilities.
        """
        if not self.true.size:
            return {}
        n_classes, present = len(self.classes), np.flatnonzero(self.rows)
        measures = {
            "baseline_accuracy": float(self.rows.max() / self.true.size),
            "balanced_accuracy": float(np.mean(self.recall[present])),
        }
        if self.probabilities is None:
            return measures
        likely = np.asarray(self.probabilities, dtype=np.float64)
        at = np.arange(self.true.size), self.true
        squares = np.sum((likely - np.eye(n_classes)[self.true]) ** 2, axis=1)
        measures["log_loss"] = float(-np.mean(np.log(np.maximum(likely[at], SMALLEST))))
        measures["brier"] = float(np.mean(squares) / (2 if n_classes == 2 else 1))
        if present.size < 2 or n_classes > MOST_CLASSES:
            return measures
        from sklearn.metrics import roc_auc_score

        scored = [1] if n_classes == 2 else present.tolist()
        areas = [roc_auc_score(self.true == each, likely[:, each]) for each in scored]
        return measures | {"roc_auc": float(np.mean(areas))}

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
        beside = ", ".join(f"{names[each]} {measures[each]:.4f}" for each in self.beside)
        return f"accuracy {self.accuracy:.4f}" + (f" ({beside})" if beside else "")

    def as_json(self) -> dict[str, Any]:
        """Return everything in types of JSON.

        ``confusion`` is the matrix, or None if there are more than a thousand classes; then
        ``confused`` lists the true class, the predicted class and the count of each error.
        """
        figures = zip(self.classes, self.precision, self.recall, self.rows, strict=True)
        per_class = [
            {"class": name, "precision": float(p), "recall": float(r), "rows": int(n)}
            for name, p, r, n in figures
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
            "log_loss": "log loss",
            "brier": "Brier score",
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


def warn_of_baseline(report: Report | ValueReport, model: AnyModel) -> None:
    """Warn if a model is no better than one that ignores its inputs."""
    warn(report.warning(weighted=model.metadata.get(CLASS_WEIGHT) is not None))


def _share(part: Counts, whole: Counts) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = part / np.maximum(whole, 1)
    return share
