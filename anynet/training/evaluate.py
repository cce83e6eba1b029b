"""Loss and score of a network on a set of samples."""

from __future__ import annotations

from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.backends import Loop
from anynet.data.batches import Batches, split_order
from anynet.nn.losses import Loss
from anynet.training.state import Sums, Weights, zero_sums
from anynet.training.step import EvaluationStep, PopulationStep

EVALUATION_BATCH = 1024


class Evaluation(NamedTuple):
    """Mean loss, and accuracy or R², over all samples."""

    loss: float
    score: float


def evaluate(
    step: EvaluationStep,
    weights: Weights,
    batches: Batches,
    order: np.ndarray,
    spread: np.ndarray,
) -> Evaluation:
    """Return the loss and the score of one network on some samples.

    Parameters
    ----------
    step : EvaluationStep
    weights : Weights
    batches : Batches
    order : ndarray of shape (N,), int32
        Indices of the samples.
    spread : ndarray of shape (O,)
        See ``target_spread``.

    Returns
    -------
    Evaluation
    """
    loop: Loop[Sums] = step.backend.loop(PopulationStep(step))
    sums = zero_sums(step.loss, step.network, (), step.backend)
    parts = split_order(order, min(EVALUATION_BATCH, order.size))
    sums = add_up(loop, sums, weights, batches, parts, {})
    return means(tree.map(step.backend.to_host, sums), step.loss, spread)


def add_up(
    loop: Loop[Sums],
    sums: Sums,
    weights: Weights,
    batches: Batches,
    parts: list[np.ndarray],
    numbers: dict[str, Any],
) -> Sums:
    """Add the batches of an order to running sums, with the loop of a ``PopulationStep``."""
    with closing(batches.blocks(*parts)) as blocks:
        for rows, data in blocks:
            sums = loop.run(sums, rows, ((weights, data), numbers))
    return sums


def means(sums: Sums, loss: Loss, spread: np.ndarray) -> Evaluation:
    """Return the means of running sums that are on the host."""
    weight, total = float(sums.weight), float(sums.loss)
    if weight == 0:
        return Evaluation(float("nan"), float("nan"))
    score: np.ndarray = np.asarray(sums.score, dtype=np.float64)
    return Evaluation(total / weight, loss.metric.finish(score, weight, spread))


def target_spread(y: np.ndarray, weight: np.ndarray | None, loss: Loss) -> np.ndarray:
    """Return the weighted sum of squares of each target column about its mean, for R²."""
    if loss.task != "values":
        return np.zeros(1)
    columns = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    if weight is not None and not np.any(weight):
        return np.zeros(columns.shape[1])
    mean = np.average(columns, axis=0, weights=weight)
    squares = (columns - mean) ** 2
    spread: np.ndarray = np.average(squares, axis=0, weights=weight) * (
        len(y) if weight is None else np.sum(weight)
    )
    return spread
