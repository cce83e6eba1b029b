"""Scores: sums that a step accumulates on the device, finished on the host.

A metric's sum over a batch has shape (*P, M): one number for accuracy, one per output for R².
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from anynet.typing import Array, Namespace


class Metric(NamedTuple):
    """The definition of a score.

    Attributes
    ----------
    name : str
        ``accuracy`` or ``r2``; larger is better, and 1 is perfect.
    batch_sum : callable
        ``(prediction, target, weight, xp) -> (*P, M)``, weighted and summed over samples.
    width : callable
        M, from the number of outputs.
    finish : callable
        ``(total, weight, spread) -> score`` on the host: the sums over all samples (M,), the sum
        of the weights, and the sum of squares of the targets about their mean (O,).
    """

    name: str
    batch_sum: Callable[[Array, Array, Array | None, Namespace], Array]
    width: Callable[[int], int]
    finish: Callable[[np.ndarray, float, np.ndarray], float]


def _correct_classes(logits: Array, target: Array, weight: Array | None, xp: Namespace) -> Array:
    hits = xp.argmax(logits, axis=-1) == target
    return _weighted_sum(xp.astype(hits, logits.dtype)[..., None], weight, xp)


def _correct_rows(logits: Array, target: Array, weight: Array | None, xp: Namespace) -> Array:
    """Count the rows whose labels are all correct (subset accuracy in scikit-learn)."""
    hits = xp.all((logits > 0) == (target > 0.5), axis=-1)
    return _weighted_sum(xp.astype(hits, logits.dtype)[..., None], weight, xp)


def _squared_errors(value: Array, target: Array, weight: Array | None, xp: Namespace) -> Array:
    residual = value - target
    return _weighted_sum(residual * residual, weight, xp)


def _weighted_sum(values: Array, weight: Array | None, xp: Namespace) -> Array:
    if weight is not None:
        values = values * weight[..., None]
    total: Array = xp.sum(values, axis=-2)
    return total


def _share(total: np.ndarray, weight: float, spread: np.ndarray) -> float:  # noqa: ARG001
    return float(total[0] / weight)


def _r2(total: np.ndarray, weight: float, spread: np.ndarray) -> float:  # noqa: ARG001
    """Return the mean over outputs; one without spread scores 1 if correct, else 0."""
    constant = np.where(total == 0, 1.0, 0.0)
    varied = spread > 0
    scores = np.where(varied, 1 - total / np.where(varied, spread, 1), constant)
    return float(np.mean(scores))


ACCURACY = Metric("accuracy", _correct_classes, lambda n_outputs: 1, _share)  # noqa: ARG005
SUBSET_ACCURACY = Metric("accuracy", _correct_rows, lambda n_outputs: 1, _share)  # noqa: ARG005
R2 = Metric("r2", _squared_errors, lambda n_outputs: n_outputs, _r2)
