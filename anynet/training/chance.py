"""Noticing that a network has learnt nothing."""

from __future__ import annotations

import math

from anynet.nn.losses import Loss
from anynet.training.history import EpochRecord


def no_better_than_guessing(record: EpochRecord, loss: Loss, n_outputs: int) -> str:
    """Say that an epoch's model is no better than one that ignores its inputs, if so.

    Guessing is all classes alike, a loss of log O; every label with ½, a loss of O log 2; or the
    mean of the values, an R² of 0. A model that does better in training or in validation passes,
    and so does one of a single class, of which there is nothing to learn.

    Returns
    -------
    str
        A sentence without advice; empty where something was learnt.
    """
    if loss.task == "values":
        scores = (record.train_score, record.validation_score)
        if all(score is None or score < 0 for score in scores):
            return f"R² is {record.train_score:.3g} after training, worse than the mean's 0"
        return ""
    chance = math.log(n_outputs) if loss.task == "classes" else n_outputs * math.log(2)
    losses = (record.train_loss, record.validation_loss)
    if chance > 0 and all(value is None or value >= chance for value in losses):
        return (
            f"the loss is {record.train_loss:.3g} after training, no better than the "
            f"{chance:.3g} of guessing"
        )
    return ""
