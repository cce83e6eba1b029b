"""All candidates on all folds: trained as populations, and alone where that cannot be.

A fold is a list of places in one table that all share. Weights of 0 for the samples of other folds
would do as well, but then every step would compute samples that count for nothing, and a member
would see other batches than the same fit alone.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from anynet.data.batches import Rows
from anynet.estimators.base import BaseMLP
from anynet.estimators.member import Member, can_be_member
from anynet.estimators.population import grouped, train_together
from anynet.estimators.samples import check_samples
from anynet.estimators.task import Task

OPTIONS = {"sample_weight", "X_val", "y_val", "sample_weight_val"}  # those that fit has


class FoldFit:
    """A candidate on the training samples of a fold.

    Attributes
    ----------
    estimator : MLPClassifier or MLPRegressor
    places : ndarray
        Of the samples that it is trained on.
    failure : Exception or None
        Why it is not fitted.
    seconds : float
        What it took, its share of what was done for several.
    member : Member or None
        What it is in a population; None if it is trained alone.
    """

    def __init__(self, estimator: BaseMLP, places: np.ndarray) -> None:
        self.estimator = estimator
        self.places = places
        self.failure: Exception | None = None
        self.seconds = 0.0
        self.member: Member | None = None

    def become_member(self, given: Given, tables: Tables) -> None:
        """Do all that comes before training, as ``fit`` of the estimator does it."""
        start = time.perf_counter()
        try:
            self.estimator._validate_params()
            X, y, options = given.on(self.places)
            samples = check_samples(self.estimator, X, y, **options)
            task = Task.of(self.estimator, samples)
            self.member = Member(
                task.within(tables.serving(samples.rows, self.places), self.places)
            )
        except Exception as error:  # what it is, GridSearchCV says or counts by error_score
            self.failure = error
        self.seconds = time.perf_counter() - start

    def finish(self) -> None:
        """Take over what the member has learnt, but for what only more training needs."""
        if self.member is not None:
            self.failure = self.member.failure
            self.seconds += self.member.seconds
            self.estimator.__dict__.pop("_optimizer", None)
            self.member = None


class Given:
    """What ``fit`` of the search was given: samples, a target, and what goes to the estimators."""

    def __init__(self, X: Any, y: Any, options: Mapping[str, Any]) -> None:
        self.X, self.y, self.options = X, y, options

    def on(self, places: np.ndarray) -> tuple[Any, Any, dict[str, Any]]:
        """Return the part of some samples, and the options of ``fit`` for them."""
        options = _check_method_params(self.X, self.options, places)
        return _safe_indexing(self.X, places), _safe_indexing(self.y, places), options


class Tables:
    """Samples with targets and weights that serve several folds.

    Most often one serves all. Where a fold has targets or weights of its own, because it lacks a
    class or has classes balanced, it gets a table of its own with the same inputs.
    """

    def __init__(self, rows: Rows) -> None:
        self.tables = [rows]

    def serving(self, rows: Rows, places: np.ndarray) -> Rows:
        """Return a table that has these samples at these places."""
        for table in self.tables:
            if _has(table.y, rows.y, places) and _has(table.weight, rows.weight, places):
                return table
        x = self.tables[0].x
        spread = [_spread(column, places, x.shape[0]) for column in (rows.y, rows.weight)]
        self.tables.append(Rows(x, *spread))
        return self.tables[-1]


def _has(column: Any, part: Any, places: np.ndarray) -> bool:
    if column is None or part is None:
        return column is part
    return np.array_equal(column[places], part)


def _spread(part: Any, places: np.ndarray, length: int) -> Any:
    if part is None:
        return None
    column = np.zeros((length, *part.shape[1:]), dtype=part.dtype)
    column[places] = part
    return column


def fit_all(
    estimator: BaseMLP,
    candidates: Sequence[Mapping[str, Any]],
    folds: Sequence[np.ndarray],
    given: Given,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> list[FoldFit]:
    """Fit each candidate on each fold.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    candidates : sequence of mapping
        Parameters to set.
    folds : sequence of ndarray
        Places of training samples.
    given : Given
    n_jobs : int or None
        How many that are trained alone are trained at a time.
    verbose : int

    Returns
    -------
    list of FoldFit
        Candidate after candidate, each on fold after fold.
    """
    made = [
        FoldFit(clone(estimator).set_params(**clone(candidate, safe=False)), places)
        for candidate in candidates
        for places in folds
    ]
    tables = _tables(estimator, given)
    alone = made
    if tables is not None:
        alone = [one for one in made if not can_be_member(one.estimator)]
        for one in made:
            if can_be_member(one.estimator):
                one.become_member(given, tables)
    groups = grouped([one.member for one in made if one.member is not None])
    if verbose > 0:
        print(  # noqa: T201
            f"Fitting {len(folds)} folds for each of {len(candidates)} candidates, totalling "
            f"{len(made)} fits: {len(groups)} populations, and {len(alone)} fits alone"
        )
    for index, group in enumerate(groups):
        train_together(group)
        if verbose > 1:
            seconds = sum(member.seconds for member in group)
            print(f"[{index + 1}/{len(groups)}] {len(group)} fits at once: {seconds:.1f} s")  # noqa: T201
    for one in made:
        one.finish()
    _fit_alone(alone, given, n_jobs)
    return made


def _tables(estimator: BaseMLP, given: Given) -> Tables | None:
    """Check all samples at once; None if they cannot be trained on as they are.

    Then each fit says so itself, or trains on a fold that can be.
    """
    if not set(given.options) <= OPTIONS:
        return None
    weight = given.options.get("sample_weight")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Tables(check_samples(clone(estimator), given.X, given.y, weight).rows)
        except Exception:  # whatever it is: a fit says it better, or does not mind
            return None


def _fit_alone(fits: Sequence[FoldFit], given: Given, n_jobs: int | None) -> None:
    """Fit some as they are, several at a time."""
    calls = [delayed(_fit_one)(one.estimator, given, one.places) for one in fits]
    results = Parallel(n_jobs=n_jobs)(calls)
    for one, (estimator, failure, seconds) in zip(fits, results, strict=True):
        one.estimator, one.failure, one.seconds = estimator, failure, seconds


def _fit_one(
    estimator: BaseMLP, given: Given, places: np.ndarray
) -> tuple[BaseMLP, Exception | None, float]:
    start, failure = time.perf_counter(), None
    try:
        X, y, options = given.on(places)
        estimator.fit(X, y, **options)
    except Exception as error:  # GridSearchCV raises it or counts it, by error_score
        failure = error
    return estimator, failure, time.perf_counter() - start
