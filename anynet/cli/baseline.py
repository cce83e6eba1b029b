"""How a model compares with one that ignores its inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

#: ROC AUC sorts the rows once a class: beyond this many classes it is left out.
MOST_CLASSES = 100


def class_measures(
    true: Any, predicted: Any, probabilities: Any, n_classes: int
) -> dict[str, float]:
    """Return measures that many rows of one class do not flatter.

    Parameters
    ----------
    true, predicted : array of shape (N,)
        Indices of classes.
    probabilities : array of shape (N, classes) or None
        Without them there is no ``roc_auc``.
    n_classes : int

    Returns
    -------
    dict
        ``baseline_accuracy``: that of always predicting the most frequent of the true classes.
        ``balanced_accuracy``: the mean recall of the classes that occur. ``roc_auc``: of the second
        of two classes, else the mean of one-vs-rest over the classes that occur; absent where it
        is not defined, or there are more than 100 classes.
    """
    true, predicted = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if not true.size:
        return {}
    rows = np.bincount(true, minlength=n_classes)
    right = np.bincount(true[true == predicted], minlength=n_classes)
    present = np.flatnonzero(rows)
    measures = {
        "baseline_accuracy": float(rows.max() / true.size),
        "balanced_accuracy": float(np.mean(right[present] / rows[present])),
    }
    if probabilities is None or present.size < 2 or n_classes > MOST_CLASSES:
        return measures
    from sklearn.metrics import roc_auc_score

    scored: Sequence[int] | npt.NDArray[np.int64] = [1] if n_classes == 2 else present
    areas = [roc_auc_score(true == each, np.asarray(probabilities)[:, each]) for each in scored]
    return measures | {"roc_auc": float(np.mean(areas))}


def class_warning(measures: dict[str, float], n_classes: int, *, weighted: bool) -> str:
    """Return a sentence if predicted classes are no better than a constant; else nothing.

    Parameters
    ----------
    measures : dict
        Of ``class_measures``, with ``accuracy``.
    n_classes : int
        That occur among the true ones.
    weighted : bool
        Whether the model was trained with weights of classes, so that its accuracy may be lower:
        then balanced accuracy is compared, with that of guessing.
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


def value_warning(r2: float) -> str:
    """Return a sentence if predicted values are no better than their mean; else nothing."""
    if r2 > 0:
        return ""
    return (
        f"R² {r2:.4f} on the test rows is not better than that of always predicting their mean (0)"
    )
