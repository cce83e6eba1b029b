"""Scores of predicted labels, of which a row has any number, as numbers and as text."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.cli.mistakes import Mistake
from anynet.cli.reliability import BINS, Reliability
from anynet.cli.terminal import table


@dataclass(frozen=True, eq=False)
class LabelReport:
    """True labels, and the predicted probability of each.

    Attributes
    ----------
    true : array of shape (N, labels), bool
    probabilities : array of shape (N, labels)
    labels : tuple of str
        Their names.
    """

    true: npt.NDArray[np.bool_]
    probabilities: npt.NDArray[np.float64]
    labels: tuple[str, ...]

    metric = "accuracy"

    @cached_property
    def predicted(self) -> npt.NDArray[np.bool_]:
        """Whether the probability of each label is above one half."""
        return self.probabilities > 0.5

    @property
    def score(self) -> float:
        """Share of the rows without an error."""
        return float(np.mean(np.all(self.predicted == self.true, axis=1)))

    @property
    def title(self) -> str:
        """Accuracy, for pictures."""
        return f"accuracy {self.score:.4f} on {len(self.true):,} rows"

    @cached_property
    def reliability(self) -> Reliability:
        """The probabilities of all labels in bins."""
        return Reliability.of(self.probabilities.ravel(), self.true.ravel())

    def measures(self) -> dict[str, float]:
        """Return the measures of all labels.

        ``baseline_accuracy``: that of always predicting the most frequent combination of labels.
        ``label_accuracy``: share of correct labels. ``log_loss`` and ``brier``: mean over rows and
        labels. ``roc_auc``: mean over the labels that vary; absent if none does.
        """
        from sklearn.metrics import brier_score_loss, hamming_loss, log_loss, roc_auc_score

        true, likely = self.true.ravel(), self.probabilities.ravel()
        frequent = np.unique(self.true, axis=0, return_counts=True)[1].max()
        both = np.stack([1 - likely, likely], axis=1).astype(np.float32)
        measures = {
            "accuracy": self.score,
            "baseline_accuracy": float(frequent / len(self.true)),
            "label_accuracy": 1 - float(hamming_loss(self.true, self.predicted)),
            "log_loss": float(log_loss(true, both, labels=[False, True])),
            "brier": float(brier_score_loss(true, likely, pos_label=True)),
            "calibration_error": self.reliability.error,
        }
        varied = np.flatnonzero(self.true.any(axis=0) & ~self.true.all(axis=0))
        if varied.size:
            areas = [roc_auc_score(self.true[:, at], self.probabilities[:, at]) for at in varied]
            measures["roc_auc"] = float(np.mean(areas))
        return measures

    @cached_property
    def per_label(self) -> list[dict[str, Any]]:
        """Precision, recall, F1 and number of rows of each label."""
        from sklearn.metrics import precision_recall_fscore_support

        found = []
        for at, name in enumerate(self.labels):
            scores = precision_recall_fscore_support(
                self.true[:, at], self.predicted[:, at], labels=[True], zero_division=0
            )
            named = zip(("precision", "recall", "f1", "rows"), scores, strict=True)
            found.append({"label": name, **{measure: value.item() for measure, value in named}})
        return found

    def mistakes(self, most: int) -> tuple[list[Mistake], int]:
        """Return the rows whose surest wrong label is the surest, and the number of wrong rows."""
        wrong = self.predicted != self.true
        sure = np.where(self.predicted, self.probabilities, 1 - self.probabilities)
        worst = np.max(np.where(wrong, sure, 0), axis=1)
        chosen = np.argsort(-worst, kind="stable")[: min(most, int(np.sum(wrong.any(axis=1))))]
        return [
            Mistake(
                int(at),
                self._names(self.true[at]),
                self._names(self.predicted[at]),
                float(worst[at]),
                "probability",
            )
            for at in chosen
        ], int(np.sum(wrong.any(axis=1)))

    def _names(self, present: npt.NDArray[np.bool_]) -> str:
        return " ".join(self.labels[at] for at in np.flatnonzero(present)) or "none"

    def warning(self, *, weighted: bool = False) -> str:  # noqa: ARG002  (that is for classes)
        """Return a warning if the model is no better than a constant, otherwise nothing."""
        baseline = self.measures()["baseline_accuracy"]
        if self.score > baseline or baseline == 1:
            return ""
        return (
            f"accuracy {self.score:.4f} is not better than that of always predicting the most "
            f"frequent combination of labels ({baseline:.4f})"
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything in types of JSON."""
        return {
            **self.measures(),
            "rows": len(self.true),
            "labels": self.per_label,
            "reliability": self.reliability.as_json(),
        }

    def as_text(self) -> str:
        """Return tables: the measures, and those of each label."""
        names = {
            "baseline_accuracy": "accuracy of always predicting the most frequent combination",
            "label_accuracy": "share of correct labels",
            "log_loss": "log loss of a label",
            "brier": "Brier score of a label",
            "calibration_error": f"expected calibration error ({BINS} bins)",
            "roc_auc": "ROC AUC (mean over the labels)",
        }
        measures = self.measures()
        beside = [[names[each], f"{measures[each]:.4f}"] for each in names if each in measures]
        rows = [["label", "precision", "recall", "f1", "rows"]]
        for one in self.per_label:
            scores = (f"{one[each]:.4f}" for each in ("precision", "recall", "f1"))
            rows.append([one["label"], *scores, str(one["rows"])])
        return f"{table(beside)}\n\n{table(rows)}"
