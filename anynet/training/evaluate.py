"""Loss and score of a network on a set of samples, and scores of scikit-learn."""

from __future__ import annotations

import warnings
from contextlib import closing
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.backends import Backend, Loop
from anynet.checks import accepts_call, did_you_mean, require
from anynet.data.batches import Batches, split_order
from anynet.errors import InvalidArgumentError
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.training.options import Scorer
from anynet.training.state import Sums, Weights, zero_sums
from anynet.training.step import EvaluationStep, PopulationStep

ARRAYS_KEPT = 4  # of a layer's width, while a network is evaluated


def slice_rows(network: Network, backend: Backend, members: int = 1) -> int:
    """Return the number of samples that are predicted or evaluated at once.

    Parameters
    ----------
    network : Network
    backend : Backend
        See ``Backend.slice_rows``.
    members : int
        Number of networks of a population, which are evaluated together.

    Returns
    -------
    int
    """
    itemsize = np.dtype(backend.dtype).itemsize
    return backend.slice_rows(members * ARRAYS_KEPT * max(network.widths) * itemsize)


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
    rows = slice_rows(step.network, step.backend)
    parts = split_order(order, min(rows, order.size))
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


LOSS = "loss"  # the validation loss itself: the lower, the better


def scoring_of(scoring: Any, loss: Loss) -> str | Scorer | None:
    """Return the name or the function of a score, or None for the default score of the loss.

    Raises
    ------
    InvalidArgumentError
        If the score is unknown, or scikit-learn is not installed.
    """
    if scoring is None or scoring == loss.metric.name:
        return None
    if scoring == LOSS:
        return LOSS
    if not isinstance(scoring, str):
        if not _takes_predictions(scoring) and not accepts_call(scoring, None, None, None):
            message = (
                f"scoring must be a name such as 'balanced_accuracy', a scorer of scikit-learn, a "
                f"function of targets and predictions, or None, got {scoring!r}"
            )
            raise InvalidArgumentError(message)
        return scoring  # type: ignore[no-any-return]
    names = [LOSS, *_metrics().get_scorer_names()]
    if scoring not in names:
        message = (
            f"scoring must be 'loss' or the name of a scorer of scikit-learn "
            f"(sklearn.metrics.get_scorer_names()), got {scoring!r}{did_you_mean(scoring, names)}"
        )
        raise InvalidArgumentError(message)
    return scoring


def name_of(scoring: str | Scorer | None) -> str:
    """Return the name of a score, empty for the default score."""
    if scoring is None or isinstance(scoring, str):
        return scoring or ""
    return getattr(scoring, "__name__", repr(scoring))


def _takes_predictions(scoring: Any) -> bool:
    """Whether a callable takes targets and predictions; a scorer takes estimator, x and y."""
    return not isinstance(scoring, type) and accepts_call(scoring, None, None)


def check_scoring(
    scoring: str | Scorer, loss: Loss, n_outputs: int, y: np.ndarray, weight: np.ndarray | None
) -> None:
    """Check, before training, that a score is defined for the validation set.

    Raises
    ------
    InvalidArgumentError
        If the score is for another task, or is NaN for these targets.
    """
    if scoring == LOSS:
        return
    # Every class and label predicted for some sample, as far as there are samples.
    outputs = np.full((len(y), n_outputs), 0.5)
    if loss.task == "classes":
        outputs = np.full((len(y), n_outputs), 0.5 / n_outputs)
        outputs[np.arange(len(y)), np.asarray(y)] += 0.5
    elif loss.task == "labels":
        outputs = np.where(np.asarray(y) > 0, 0.75, 0.25)
    try:
        value = score_outputs(scoring, loss, outputs, y, weight)
    except (ValueError, TypeError, AttributeError) as error:
        message = (
            f"scoring={name_of(scoring)!r} cannot score this network's {loss.task} "
            f"({n_outputs} outputs): {' '.join(str(error).split())[:300]}"
        )
        raise InvalidArgumentError(message) from error
    if np.isnan(value):
        message = (
            f"scoring={name_of(scoring)!r} is not defined for the validation set of {len(y)} "
            f"samples (it may lack a class): hold out more samples, or choose another score"
        )
        raise InvalidArgumentError(message)


def score_outputs(
    scoring: str | Scorer,
    loss: Loss,
    outputs: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
) -> float:
    """Score predicted means of the target on the host; NaN if the score is not defined.

    Parameters
    ----------
    scoring : str or callable
        See ``FitOptions``; for three or more classes, ``roc_auc`` is ``roc_auc_ovr``.
    loss : Loss
    outputs : ndarray of shape (N, O)
        Probabilities, or values.
    y : ndarray
        Targets in the form that the loss needs.
    weight : ndarray of shape (N,) or None
    """
    outputs = np.asarray(outputs, dtype=np.float64)
    y = np.asarray(y)
    classes: Any = None
    if loss.task == "values":
        target: Any = y.astype(np.float64)
        target, outputs = (target[:, 0], outputs[:, 0]) if y.shape[1] == 1 else (target, outputs)
        decided = outputs
    elif loss.task == "classes":
        if scoring == "roc_auc" and outputs.shape[1] > 2:
            scoring = "roc_auc_ovr"
        # float32 rows sum to 1 to their rounding, scorers require float64 rounding
        outputs = outputs / np.sum(outputs, axis=1, keepdims=True)
        target, classes = y, np.arange(outputs.shape[1])
        decided = outputs.argmax(axis=1)
    else:
        target, decided = y.astype(np.int64), (outputs > 0.5).astype(np.int64)
        classes = np.array([0, 1])
        if outputs.shape[1] == 1:
            target, decided, outputs = target[:, 0], decided[:, 0], outputs[:, 0]
        else:
            classes = [classes] * outputs.shape[1]
    options = {} if weight is None else {"sample_weight": np.asarray(weight)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an undefined score is NaN or 0
        if _takes_predictions(scoring):
            return float(scoring(target, outputs, **options))  # type: ignore[operator]
        if loss.task == "labels" and outputs.ndim == 1:
            outputs = np.stack([1 - outputs, outputs], axis=1)
        scorer = _metrics().get_scorer(scoring)
        nothing = np.zeros((len(y), 1))
        known = _known()[classes is not None](classes, decided, outputs)
        return float(scorer(known, nothing, target, **options))


def _metrics() -> Any:
    return require("sklearn.metrics", "scoring by name", "scikit-learn")


@cache
def _known() -> Any:
    """Return classes of estimators that return given predictions."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Known(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
        def __init__(self, classes: Any, decided: Any, outputs: Any) -> None:
            self.classes_, self.decided, self.outputs = classes, decided, outputs

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, X: Any, y: Any) -> Any:  # noqa: ARG002, N803  (scikit-learn asks for it)
            return self

        def predict(self, X: Any) -> Any:  # noqa: ARG002, N803
            return self.decided

        def predict_proba(self, X: Any) -> Any:  # noqa: ARG002, N803
            return self.outputs

    return {
        True: type("KnownClassifier", (ClassifierMixin, Known), {}),
        False: type("KnownRegressor", (RegressorMixin, Known), {}),
    }
