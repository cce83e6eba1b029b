"""Paired comparisons of models on the same rows: McNemar's test, the bootstrap, Holm's method."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from anynet.backends import to_numpy
from anynet.checks import check_choice, check_whole, require
from anynet.errors import InvalidArgumentError

DRAWS = 5000  # samples of the bootstrap
COUNTS_AT_ONCE = 2**22
LEVEL = 0.95  # of intervals; differences are decided at 1 - LEVEL

TASKS = ("classes", "values")


class McNemar(NamedTuple):
    """McNemar's test of two classifiers on the same rows.

    Attributes
    ----------
    only_first, only_second : int
        Number of rows that only the first, or only the second, predicts correctly.
    p_exact, p_mid : float
        Two-sided p-values: exact, and mid-p, which is less conservative.
    """

    only_first: int
    only_second: int
    p_exact: float
    p_mid: float


class Comparison(NamedTuple):
    """The comparison of two models on the same rows: second minus first.

    Attributes
    ----------
    first, second : int
        Positions of the models.
    difference : float
        Of accuracy, or of R².
    low, high : float
        Its 95 % interval by the bootstrap.
    p : float
        Two-sided: McNemar's mid-p for classes, that of the bootstrap for values.
    p_holm : float
        Adjusted for the number of comparisons by Holm's method.
    mcnemar : McNemar or None
        For classes.
    """

    first: int
    second: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    mcnemar: McNemar | None

    @property
    def decided(self) -> bool:
        """Whether the difference is more than chance: the adjusted p-value is below 0.05."""
        return self.p_holm < 1 - LEVEL


def mcnemar(first: Any, second: Any) -> McNemar:
    """Test whether two classifiers have the same accuracy, from the rows on which they differ.

    Parameters
    ----------
    first, second : array of bool, (N,)
        Whether each classifier predicts each row correctly.

    Returns
    -------
    McNemar

    Raises
    ------
    InvalidArgumentError
        If the arrays are not masks of the same length.

    References
    ----------
    Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional".

    Examples
    --------
    >>> import anynet
    >>> first = [True] * 8 + [False] * 2
    >>> second = [False] * 6 + [True] * 4
    >>> test = anynet.inspect.mcnemar(first, second)
    >>> test.only_first, test.only_second, round(test.p_exact, 3), round(test.p_mid, 3)
    (6, 2, 0.289, 0.18)
    """
    one, other = (np.asarray(to_numpy(mask)) for mask in (first, second))
    if {one.dtype.kind, other.dtype.kind} != {"b"} or one.shape != other.shape or one.ndim != 1:
        message = (
            f"first and second must be masks (N,) of the same rows, got {one.dtype} {one.shape} "
            f"and {other.dtype} {other.shape}"
        )
        raise InvalidArgumentError(message)
    special = require("scipy.special", "McNemar's test", "scipy")
    b, c = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    if b + c == 0:
        return McNemar(0, 0, 1.0, 1.0)
    least = min(b, c)
    at_most = float(special.bdtr(least, b + c, 0.5))
    below = float(special.bdtr(least - 1, b + c, 0.5)) if least else 0.0
    return McNemar(b, c, min(1.0, 2 * at_most), at_most + below)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, by Holm's step-down method.

    Parameters
    ----------
    p_values : sequence of float

    Returns
    -------
    list of float
        In the same order. The chance that any true hypothesis has one below α is at most α.

    References
    ----------
    Holm 1979, "A simple sequentially rejective multiple test procedure".

    Examples
    --------
    >>> import anynet
    >>> anynet.inspect.holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    made: list[float] = adjusted.tolist()
    return made


def compare_predictions(
    y: Any, predictions: Sequence[Any], *, task: str = "classes", seed: int = 0, draws: int = DRAWS
) -> list[Comparison]:
    """Compare each pair of models by their predictions of the same rows.

    Accuracies are compared by McNemar's test, R² by the bootstrap over the rows, which also gives
    the intervals. p-values are adjusted for the number of pairs. The result holds for other rows
    of the same origin; it says nothing about other seeds of training.

    Parameters
    ----------
    y : array of shape (N,)
        Classes, or values.
    predictions : sequence of array of shape (N,)
        Predicted classes or values of each model.
    task : {"classes", "values"}
    seed : int
        Of the bootstrap.
    draws : int
        Number of samples of the bootstrap.

    Returns
    -------
    list of Comparison
        In the order (0, 1), (0, 2), …, (1, 2), ….

    Raises
    ------
    InvalidArgumentError
        If there are fewer than two models, no rows, or an argument is not as documented.

    References
    ----------
    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13, for percentile
    intervals.

    Examples
    --------
    >>> import anynet
    >>> import numpy as np
    >>> y = np.arange(100) % 2
    >>> good, bad = y.copy(), np.zeros(100, dtype=int)
    >>> (found,) = anynet.inspect.compare_predictions(y, [bad, good])
    >>> found.difference, found.decided
    (0.5, True)
    """
    check_choice("task", task, TASKS)
    check_whole("draws", draws)
    true = np.asarray(to_numpy(y))
    made = [np.asarray(to_numpy(one)) for one in predictions]
    wrong = [one.shape for one in made if one.shape != true.shape or true.ndim != 1]
    if len(made) < 2 or wrong or not true.size:
        message = (
            f"predictions must be two or more arrays of the shape of y, which must have rows, got "
            f"y {true.shape} and {[one.shape for one in made]}"
        )
        raise InvalidArgumentError(message)
    if task == "values" and np.all(true == true[0]):
        message = f"y must have different values, as R² needs a spread, got only {true[0]!r}"
        raise InvalidArgumentError(message)
    compare = _compare_classes if task == "classes" else _compare_values
    found = compare(true, made, draws, seed)
    adjusted = holm([each.p for each in found])
    return [each._replace(p_holm=p) for each, p in zip(found, adjusted, strict=True)]


def _compare_classes(
    true: np.ndarray, predictions: Sequence[np.ndarray], draws: int, seed: int
) -> list[Comparison]:
    """Compare accuracies; p-values are not yet adjusted."""
    right = [one == true for one in predictions]
    found = []
    for one, other in itertools.combinations(range(len(right)), 2):
        test = mcnemar(right[one], right[other])
        differing = np.array([test.only_first, test.only_second])
        # A sample of rows is a sample of the numbers of those on which the two differ.
        shares = np.append(differing, true.size - differing.sum()) / true.size
        counts = np.random.default_rng(seed).multinomial(true.size, shares, size=draws)
        sampled = (counts[:, 1] - counts[:, 0]) / true.size
        difference = float(differing[1] - differing[0]) / true.size
        found.append(_comparison(one, other, difference, sampled, test.p_mid, test))
    return found


def _compare_values(
    true: np.ndarray, predictions: Sequence[np.ndarray], draws: int, seed: int
) -> list[Comparison]:
    """Compare R²; p-values are not yet adjusted."""
    scores = _r2_of_samples(true.astype(np.float64), np.stack(predictions, axis=1), draws, seed)
    found = []
    for one, other in itertools.combinations(range(len(predictions)), 2):
        observed, *rest = scores[:, other] - scores[:, one]
        sampled = np.asarray(rest)
        least = min(int(np.sum(sampled <= 0)), int(np.sum(sampled >= 0)))
        p = min(1.0, 2 * (least + 1) / (len(sampled) + 1))
        found.append(_comparison(one, other, float(observed), sampled, p, None))
    return found


def _comparison(
    one: int, other: int, difference: float, sampled: np.ndarray, p: float, test: McNemar | None
) -> Comparison:
    """Return a comparison with the percentile interval of the samples."""
    low, high = map(float, np.quantile(sampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return Comparison(one, other, difference, low, high, p, p, test)


def _means(columns: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return the means (1 + draws, M) of columns (N, M): of all rows, then of each sample."""
    n_rows = len(columns)
    rng = np.random.default_rng(seed)
    means = [np.mean(columns, axis=0, keepdims=True)]
    size = max(1, COUNTS_AT_ONCE // n_rows)
    for start in range(0, draws, size):
        count = min(size, draws - start)
        drawn = rng.integers(n_rows, size=(count, n_rows)) + n_rows * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * n_rows).reshape(count, n_rows)
        means.append(times @ columns / n_rows)
    return np.concatenate(means)


def _r2_of_samples(y: np.ndarray, predicted: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return R² (1 + draws, K) of K models: of all rows, then of each sample with a spread."""
    centred = y - np.mean(y)
    scale = np.max(np.abs(centred)) or 1.0
    errors = (predicted.astype(np.float64) - y[:, None]) / scale
    centred = (centred / scale)[:, None]
    means = _means(np.concatenate([errors**2, centred, centred**2], axis=1), draws, seed)
    spread = means[:, -1] - means[:, -2] ** 2
    known = spread > 1e-12  # a sample of few rows may have one value only
    r2: np.ndarray = 1 - means[known, :-2] / spread[known, None]
    return r2
