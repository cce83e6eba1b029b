"""Diagnostics: inputs far outside of [−1, 1], and networks that have learned nothing."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from anynet.backends import Backend, lives_on
from anynet.checks import warn_caller
from anynet.data.sources.source import Source
from anynet.nn.layers import BatchNorm, Dense, Dropout, LayerNorm, Scale
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.training.history import EpochRecord

ROWS = 100  # number of rows whose range is computed
LARGEST_RMS = 10.0  # of inputs without a warning; standardised inputs have 1

#: Losses above this share of the loss of guessing count as guessing, if the score is not better.
NEARLY = 0.99

#: R² up to which a prediction counts as not better than the mean.
LEAST_R2 = 1e-3


def warn_of_range(x: Any, network: Network, backend: Backend) -> None:
    """Warn if the first dense layer receives values far outside of [−1, 1], in some of the rows.

    Scale layers before it are taken into account. There is no warning if a normalisation precedes
    or directly follows it, or if x is a ``Source``, which is not read for this.
    """
    factor, offset = 1.0, 0.0
    layers = [layer for layer in network.layers if not isinstance(layer, Dropout)]
    while layers and isinstance(layers[0], Scale):
        factor, offset = factor * layers[0].factor, offset * layers[0].factor + layers[0].offset
        layers = layers[1:]
    normalised = any(isinstance(layer, (LayerNorm, BatchNorm)) for layer in layers[:2])
    if isinstance(x, Source) or not layers or not isinstance(layers[0], Dense) or normalised:
        return
    some = x[:: -(-x.shape[0] // ROWS), ...]
    values = np.asarray(backend.to_host(some) if lives_on(x, backend) else some, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    with np.errstate(over="ignore"):
        rms = np.sqrt(np.mean((values * factor + offset) ** 2))
    if not rms > LARGEST_RMS:
        return
    message = (
        f"x holds values from {low:.6g} to {high:.6g}, which are too large for a network to learn "
        f"well from: scale them to about [-1, 1], by anynet.mlp(…, scale=1 / "
        f"{max(abs(low), abs(high)):.6g}) or by standardising the columns of x"
    )
    warn_caller(message, UserWarning)


class Guess(NamedTuple):
    """Loss and accuracy of the best prediction that is the same for all samples."""

    loss: float
    score: float
    n_samples: int

    def explains(self, loss: float | None, score: float | None) -> bool:
        """Whether a loss is within 1 % of this one, and a score within its standard error."""
        if loss is None or score is None:
            return True
        error = math.sqrt(self.score * (1 - self.score) / self.n_samples)
        return self.loss > 0 and loss >= NEARLY * self.loss and score <= self.score + error


def best_guess(y: np.ndarray, weight: np.ndarray | None, loss: Loss) -> Guess | None:
    """Return the loss and the accuracy of always predicting the shares of the classes.

    Parameters
    ----------
    y : ndarray
        Targets as the loss takes them.
    weight : ndarray of shape (N,) or None
    loss : Loss

    Returns
    -------
    Guess or None
        The entropy of the shares, and the share of the most frequent class (for labels: of the rows
        in which every label has its more frequent value). None for values, and if the targets are
        not in memory.
    """
    if loss.task == "values" or not isinstance(y, np.ndarray) or not len(y):
        return None
    if weight is not None and not np.any(weight):
        return None
    if loss.task == "classes" and y.ndim == 1:
        shares = np.bincount(y, weights=weight)
        shares = shares / shares.sum()
        return Guess(_entropy(shares), float(shares.max()), len(y))
    if loss.task == "labels":
        shares = np.average(y, axis=0, weights=weight)
        hits = np.all((y > 0.5) == (shares > 0.5), axis=1)
        score = min(float(np.average(hits, weights=weight)), 1.0)
        return Guess(_entropy(shares) + _entropy(1 - shares), score, len(y))
    return None


def no_better_than_guessing(
    record: EpochRecord,
    loss: Loss,
    n_outputs: int,
    guess: Guess | None = None,
    held_out: Guess | None = None,
) -> str:
    """Return a sentence if an epoch's model is not better than one that ignores its inputs.

    This is the case if neither the training nor the validation loss is below that of uniform
    probabilities (log O, or O log 2 for labels), or if both are within 1 % of that of the class
    shares and no accuracy is above the share of the most frequent class (plus its standard error);
    for values, if R² is not above 0.001. A model of a single class, which has nothing to learn,
    passes.

    Parameters
    ----------
    record : EpochRecord
    loss : Loss
    n_outputs : int
    guess, held_out : Guess, optional
        ``best_guess`` of the training samples and of the validation set.

    Returns
    -------
    str
        A sentence without advice; empty if something was learned.
    """
    scores = [s for s in (record.train_score, record.validation_score) if s is not None]
    if loss.task == "values":
        if all(score <= LEAST_R2 for score in scores):
            return f"R² is {record.train_score:.3g} after training, no better than the mean's 0"
        return ""
    chance = math.log(n_outputs) if loss.task == "classes" else n_outputs * math.log(2)
    losses = [v for v in (record.train_loss, record.validation_loss) if v is not None]
    if chance > 0 and all(value >= chance for value in losses):
        return (
            f"the loss is {record.train_loss:.3g} after training, no better than the "
            f"{chance:.3g} of guessing"
        )
    nothing = guess is not None and guess.explains(record.train_loss, record.train_score)
    if held_out is not None:
        scores_there = (record.validation_loss, record.validation_score)
        nothing = nothing and held_out.explains(*scores_there)
    if guess is None or not nothing:
        return ""
    return (
        f"the loss is {record.train_loss:.4g} and the accuracy {record.train_score:.4g} after "
        f"training, no better than guessing by the shares of the classes ({guess.loss:.4g} and "
        f"{guess.score:.4g})"
    )


def _entropy(shares: np.ndarray) -> float:
    present = shares[shares > 0]
    return float(-np.sum(present * np.log(present)))
