"""``class_weight``: factors of the samples of each class, multiplied into the sample weights."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from anynet.checks import is_whole
from anynet.errors import InvalidArgumentError
from anynet.nn.losses import Loss

ClassWeight: TypeAlias = "str | Mapping[int, float] | None"


def check_class_weight(class_weight: Any, loss: Loss, n_outputs: int) -> ClassWeight:
    """Return ``"balanced"``, a dict of int to float, or None.

    Raises
    ------
    InvalidArgumentError
        If the loss does not have one class per sample, or a class or a factor is invalid.
    """
    if class_weight is None:
        return None
    n_classes = n_outputs if loss.task == "classes" else 2
    if loss.task == "values" or (loss.task == "labels" and n_outputs > 1):
        message = (
            f"class_weight needs one class per sample, {loss.kind} predicts {loss.task}: pass "
            f"weights per sample as data=(x, y, sample_weight)"
        )
        raise InvalidArgumentError(message)
    if isinstance(class_weight, str) and class_weight == "balanced":
        return class_weight
    if not isinstance(class_weight, Mapping):
        message = (
            f"class_weight must be 'balanced', a dict {{class: factor}} or None, got "
            f"{class_weight!r}"
        )
        raise InvalidArgumentError(message)
    for label, factor in class_weight.items():
        if not is_whole(label) or not 0 <= label < n_classes:
            message = (
                f"class_weight must have classes from 0 to {n_classes - 1} as keys, got {label!r}"
            )
            raise InvalidArgumentError(message)
        sound = isinstance(factor, Real) and not isinstance(factor, bool)
        if not sound or not 0 <= float(factor) < np.inf:
            message = (
                f"class_weight must hold finite factors of at least 0, got {factor!r} for class "
                f"{label}"
            )
            raise InvalidArgumentError(message)
    return {int(label): float(factor) for label, factor in class_weight.items()}


def class_weighted(
    class_weight: Any, y: np.ndarray, weight: np.ndarray | None, dtype: str
) -> np.ndarray:
    """Return the sample weights times the factor of each sample's class.

    Parameters
    ----------
    class_weight : "balanced" or dict of int to float
        ``"balanced"`` is N / (number of classes · samples of the class), as in scikit-learn.
        Classes that are not in the dict have the factor 1.
    y : ndarray of shape (N,) or (N, 1)
        Classes as the loss takes them.
    weight : ndarray of shape (N,) or None
    dtype : str
        Type of the result.

    Raises
    ------
    InvalidArgumentError
        If no sample has a weight above 0.
    """
    codes = np.asarray(y).reshape(-1).astype(np.int64)
    counts = np.bincount(codes)
    factors = np.ones(len(counts))
    if isinstance(class_weight, str):
        factors = codes.size / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        for label, factor in class_weight.items():
            if label < len(factors):
                factors[label] = factor
    weights: np.ndarray = factors[codes] * (1.0 if weight is None else weight)
    if not np.any(weights > 0):
        message = f"class_weight={class_weight!r} makes the weight of every sample 0"
        raise InvalidArgumentError(message)
    return weights.astype(dtype)
