"""Loss and score of a network on a set of samples."""

from __future__ import annotations

from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.backends import Backend, Loop
from anynet.data.batches import Batches, split_order
from anynet.nn.losses import Loss
from anynet.training.state import Sums, Weights, zero_sums

EVALUATION_BATCH = 1024


class Evaluation(NamedTuple):
    """Mean loss, and accuracy or R², over all samples."""

    loss: float
    score: float


def evaluate(
    loop: Loop[Sums],
    weights: Weights,
    batches: Batches,
    order: np.ndarray,
    spread: np.ndarray,
) -> Evaluation:
    """Score a network on some samples.

    Parameters
    ----------
    loop : Loop
        The loop of an ``EvaluationStep``.
    order : ndarray of shape (N,), int32
        Their indices.
    spread : ndarray of shape (O,)
        See ``target_spread``.
    """
    step: Any = loop.step
    sums = zero_sums(step.loss, step.network, (), step.backend)
    parts = split_order(order, min(EVALUATION_BATCH, order.size))
    with closing(batches.blocks(*parts)) as blocks:
        for rows, data in blocks:
            sums = loop.run(sums, rows, (weights, data))
    return finish(sums, step.loss, spread, step.backend)


def finish(sums: Sums, loss: Loss, spread: np.ndarray, backend: Backend) -> Evaluation:
    """Read running sums from the device and turn them into means; waits for the device."""
    return _means(tree.map(backend.to_host, sums), loss, spread)


def finish_members(
    sums: Sums, loss: Loss, spreads: list[np.ndarray], backend: Backend
) -> list[Evaluation]:
    """Do the same for the sums of a population, one ``spread`` a member."""
    read = tree.map(backend.to_host, sums)
    return [
        _means(tree.map(lambda leaf, member=member: leaf[member], read), loss, spread)
        for member, spread in enumerate(spreads)
    ]


def _means(sums: Sums, loss: Loss, spread: np.ndarray) -> Evaluation:
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
