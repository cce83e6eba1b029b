"""Greedy selection of an ensemble, from what its candidates predict for validation samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from anynet.checks import check_bool, check_whole
from anynet.errors import InvalidArgumentError
from anynet.nn.losses import Loss
from anynet.training.evaluate import LOSS, score_outputs, scoring_of
from anynet.training.history import StopReason
from anynet.training.inputs import check_y, choose_loss
from anynet.training.options import Scorer

TINY = 1e-300  # smallest probability whose logarithm is taken
ROUNDING = 1e-12  # relative difference of scores that count as equal
SIZE = 32


class Selection(NamedTuple):
    """The result of ``select_greedily``.

    Attributes
    ----------
    order : tuple of int
        The indices of the chosen candidates in the order of their choice.
    weights : ndarray of shape (M,)
        The share of each candidate in the mean; 0 for those that were not chosen.
    score : float
        The score of the ensemble; the higher, the better.
    """

    order: tuple[int, ...]
    weights: np.ndarray
    score: float


def select_greedily(
    predictions: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    size: int = SIZE,
    replacement: bool = True,
    scoring: str | Scorer = LOSS,
    loss: Loss | str | None = None,
) -> Selection:
    """Select an ensemble: add the candidate that improves its score most, again and again.

    The ensemble predicts the mean of its members. Candidates are added until there are ``size`` or
    none is left, also while the score falls; the result is the shortest beginning of this sequence
    with the best score. Of candidates with equal scores the first is added.

    Parameters
    ----------
    predictions : array of shape (M, N, O), or sequence of M arrays (N, O)
        What each candidate predicts for the validation samples: probabilities, or values.
    y : array of shape (N,) or (N, O)
        The targets, as for ``fit``.
    sample_weight : array of shape (N,), optional
    size : int
        Maximum number of members, counted with their repetitions.
    replacement : bool
        Whether a candidate can be added several times, and so get a larger weight.
    scoring : str or callable
        See ``FitOptions``. ``"loss"`` is the log loss, or the mean squared error of values, which
        is computed for all candidates at once; other scores are computed one by one.
    loss : Loss or str, optional
        Determines the form of ``y``; by default as in ``fit``.

    Returns
    -------
    Selection

    Raises
    ------
    InvalidArgumentError
        If shapes disagree, or an argument is not as documented.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble Selection from Libraries of Models",
    section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from anynet.training import select_greedily
    >>> y = np.array([0.0, 1.0, 2.0])
    >>> candidates = [y + 1, y - 1, y + 5]
    >>> select_greedily([one[:, None] for one in candidates], y).order
    (0, 1)
    """
    pool = _checked(predictions)
    objective = _Objective.of(scoring, loss, y, sample_weight, pool)
    check_whole("size", size)
    replacement = check_bool("replacement", replacement)
    return _select(objective, size, replacement)


class OnlineSelection:
    """The best ensemble of members that are still trained: greedy selection after each epoch.

    Each time, the candidates are the members of the present ensemble, as they were when they were
    chosen, and all trained networks as they are now. The selection replaces the ensemble if its
    score is better.

    Parameters
    ----------
    size, replacement, scoring
        See ``select_greedily``.
    patience : int, optional
        Number of consecutive selections without a better score after which ``finished`` is true.

    Attributes
    ----------
    members : list of object
        What ``keep`` returned for the members of the ensemble; in ``fit_population`` a ``Model``.
    weights : ndarray
        The share of each member.
    score : float
        The best score so far.
    waited : int
        Number of selections since then.

    References
    ----------
    Gorishniy et al. 2026, "TabPack" (arXiv 2607.05380).
    """

    def __init__(
        self,
        *,
        size: int = SIZE,
        replacement: bool = False,
        scoring: str | Scorer = LOSS,
        patience: int | None = 32,
    ) -> None:
        self.size = check_whole("size", size)
        self.replacement = check_bool("replacement", replacement)
        self.scoring = scoring
        self.patience = patience if patience is None else check_whole("patience", patience)
        self.members: list[Any] = []
        self.weights = np.zeros(0)
        self.score, self.waited = -np.inf, 0
        self._predictions: np.ndarray | None = None  # of the members, (m, N, O)

    @property
    def finished(self) -> bool:
        """Whether the score has not improved for ``patience`` selections."""
        return self.patience is not None and self.waited >= self.patience

    def observe(
        self,
        predictions: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        keep: Callable[[int], Any],
        loss: Loss | str | None = None,
    ) -> bool:
        """Select again, and return whether the ensemble has improved.

        Parameters
        ----------
        predictions : array of shape (M, N, O), or sequence of M arrays (N, O)
            The latest predictions of the trained networks.
        y, sample_weight, loss
            See ``select_greedily``; the same each time.
        keep : callable
            ``index -> object``: returns what ``members`` shall hold for a network, such as a copy
            of its weights. Called only for networks that become members.
        """
        pool = _checked(predictions)
        n_present = len(self.members)
        if self._predictions is not None:
            pool = np.concatenate([self._predictions, pool])
        objective = _Objective.of(self.scoring, loss, y, sample_weight, pool)
        found = _select(objective, self.size, self.replacement)
        if not found.score > self.score:
            self.waited += 1
            return False
        chosen = np.flatnonzero(found.weights)
        self.members = [
            self.members[index] if index < n_present else keep(index - n_present)
            for index in chosen.tolist()
        ]
        self.weights, self._predictions = found.weights[chosen], pool[chosen]
        self.score, self.waited = found.score, 0
        return True


class Pool:
    """The networks of a population after an epoch, and the selection among them.

    Parameters
    ----------
    selection : OnlineSelection
    y, sample_weight : ndarray
        Of the validation samples that all networks share.
    loss : Loss
    """

    def __init__(
        self, selection: OnlineSelection, y: np.ndarray, sample_weight: Any, loss: Loss
    ) -> None:
        self.selection, self.loss = selection, loss
        self.y, self.sample_weight = y, sample_weight
        self._predicted: list[np.ndarray] = []
        self._models: list[Callable[[], Any]] = []

    @property
    def finished(self) -> tuple[StopReason, str] | None:
        """Why training stops; None if the ensemble may still improve."""
        if not self.selection.finished:
            return None
        text = f"ensemble score has not risen for {self.selection.patience} epochs"
        return StopReason.PATIENCE, text

    def add(self, predicted: np.ndarray, model: Callable[[], Any]) -> None:
        """Add a network after an epoch; ``model`` returns a copy of it."""
        self._predicted.append(predicted)
        self._models.append(model)

    def select(self) -> None:
        """Select among the networks of this epoch, and forget them."""
        if self._predicted:
            models = self._models
            self.selection.observe(
                self._predicted,
                self.y,
                self.sample_weight,
                keep=lambda index: models[index](),
                loss=self.loss,
            )
        self._predicted, self._models = [], []


class _Objective(NamedTuple):
    """Candidates, and the scores of means of them.

    ``pool`` (M, …) is linear in the predictions: it has only what the score needs of them.
    """

    pool: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]  # of means (K, …), (K,)

    @classmethod
    def of(
        cls, scoring: Any, loss: Loss | str | None, y: Any, weight: Any, pool: np.ndarray
    ) -> _Objective:
        """Return the objective of a score.

        Raises
        ------
        InvalidArgumentError
            If the predictions do not fit the targets, or the score is unknown.
        """
        n_samples, n_outputs = pool.shape[1:]
        checked_loss = choose_loss(loss, y, n_outputs)
        target = check_y(y, n_outputs, checked_loss, "float64")
        if len(target) != n_samples:
            message = f"predictions of {n_samples} samples, and y has {len(target)}"
            raise InvalidArgumentError(message)
        if weight is not None:
            weight = np.asarray(weight, dtype=np.float64)
            if weight.shape != (n_samples,):
                message = f"sample_weight must be {n_samples} numbers, got shape {weight.shape}"
                raise InvalidArgumentError(message)
        if scoring != LOSS:
            name = scoring_of(scoring, checked_loss) or checked_loss.metric.name
            return cls(pool, lambda means: _each(name, checked_loss, means, target, weight))
        shares = np.full(n_samples, 1 / n_samples) if weight is None else weight / np.sum(weight)
        if checked_loss.task == "values":
            shares = np.repeat(shares / n_outputs, n_outputs)
            return cls(
                (pool - target).reshape(len(pool), -1), lambda means: -(np.square(means) @ shares)
            )
        if checked_loss.task == "classes":
            own = pool[:, np.arange(n_samples), target]  # the probability of each sample's class
        else:
            own = np.where(target > 0.5, pool, 1 - pool).reshape(len(pool), -1)
            shares = np.repeat(shares / n_outputs, n_outputs)
        return cls(own, lambda means: np.log(np.maximum(means, TINY)) @ shares)


def _each(
    scoring: Any, loss: Loss, means: np.ndarray, y: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    return np.array([score_outputs(scoring, loss, mean, y, weight) for mean in means])


def _checked(predictions: Any) -> np.ndarray:
    """Return the predictions of all candidates as one array (M, N, O)."""
    try:
        pool = np.asarray(predictions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = f"predictions must be arrays (N, O) of the same shape: {error}"
        raise InvalidArgumentError(message) from error
    if pool.ndim != 3 or not pool.size:
        message = f"predictions must have the shape (candidates, N, O), got {pool.shape}"
        raise InvalidArgumentError(message)
    return pool


def _select(objective: _Objective, size: int, replacement: bool) -> Selection:
    pool = objective.pool
    left, total = np.arange(len(pool)), np.zeros_like(pool[0])
    order: list[int] = []
    found: list[float] = []
    while len(order) < size and len(left):
        scores = objective.score((total + pool[left]) / (len(order) + 1))
        scores = np.where(np.isnan(scores), -np.inf, scores)
        place = _first_best(scores)
        order.append(int(left[place]))
        found.append(float(scores[place]))
        total = total + pool[order[-1]]
        if not replacement:
            left = np.delete(left, place)
    best = _first_best(np.array(found))
    chosen = order[: best + 1]
    weights = np.bincount(chosen, minlength=len(pool)) / len(chosen)
    return Selection(tuple(chosen), weights, found[best])


def _first_best(scores: np.ndarray) -> int:
    """Return the index of the first score that equals the best one, to rounding."""
    best = np.max(scores)
    return int(np.argmax(scores >= best - ROUNDING * abs(best)))
