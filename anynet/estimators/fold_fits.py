"""All candidates on all folds, trained as populations where that is possible.

A fold is a list of indices into one table that all fits share. Weights of 0 for the samples of the
other folds would be an alternative, but every step would then compute samples without effect, and
a member would see other batches than the same fit alone.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from anynet.backends import Group
from anynet.backends.groups import ALONE
from anynet.checks import did_you_mean
from anynet.data.batches import Rows
from anynet.estimators.arrays import home_of
from anynet.estimators.base import BaseMLP
from anynet.estimators.classifier import MLPClassifier
from anynet.estimators.descent import Fit
from anynet.estimators.ensemble import can_be_member, train_together
from anynet.estimators.regressor import MLPRegressor
from anynet.estimators.samples import check_samples
from anynet.training.processes import in_all, together
from anynet.training.trainer import group_members

OPTIONS = {"sample_weight", "X_val", "y_val", "sample_weight_val"}  # of fit


def network_of(estimator: Any) -> BaseMLP | None:
    """Return the estimator or the last step of a pipeline if it is a network, else None."""
    if _is_pipeline(estimator):
        estimator = estimator.steps[-1][1]
    # A derived class may train in a different way.
    return estimator if type(estimator) in (MLPClassifier, MLPRegressor) else None


def _is_pipeline(estimator: Any) -> bool:
    return type(estimator) is Pipeline and len(estimator.steps) > 1 and estimator.memory is None


class FoldFit:
    """A candidate on the training samples of a fold.

    Attributes
    ----------
    estimator : estimator
    fold : int
    places : ndarray
        Indices of the samples that it is trained on.
    failure : Exception or None
        Why it is not fitted.
    seconds : float
        Its share of the time.
    member : Fit or None
        The fit of its network in a population; None if it is trained alone.
    """

    def __init__(self, estimator: Any, fold: int, places: np.ndarray) -> None:
        self.estimator = estimator
        self.fold = fold
        self.places = places
        self.failure: Exception | None = None
        self.seconds = 0.0
        self.member: Fit | None = None

    @property
    def may_be_member(self) -> bool:
        """Whether the network can be trained with others."""
        network = network_of(self.estimator)
        return network is not None and can_be_member(network)

    @property
    def result(self) -> tuple[Any, Exception | None, float]:
        """The estimator, why it is not fitted, and its time."""
        return self.estimator, self.failure, self.seconds

    @result.setter
    def result(self, result: tuple[Any, Exception | None, float]) -> None:
        self.estimator, self.failure, self.seconds = result

    def become_member(self, given: Given, shared: SharedRows) -> None:
        """Do everything that ``fit`` of the estimator does before training."""
        start = time.perf_counter()
        try:
            self.member = self._fit(given, shared)
        except Exception as error:  # GridSearchCV raises it or applies error_score
            self.failure = error
        self.seconds = time.perf_counter() - start

    def _fit(self, given: Given, shared: SharedRows) -> Fit:
        network: Any = network_of(self.estimator)
        X, y, options = given.on(self.places)
        if network is not self.estimator:
            self.estimator._validate_params()
            X = self.estimator[:-1].fit_transform(X, y)  # the fitted steps belong to the pipeline
        network._validate_params()
        samples = check_samples(network, X, y, **options)
        if network is not self.estimator:
            rows = shared.like(samples.rows, self.fold)
            return Fit(network, samples._replace(rows=rows))
        fit = Fit(network, samples)
        fit.move_to(shared.having(samples.rows, self.places), self.places)
        return fit

    def finish(self) -> None:
        """Take over the results of the member, without its optimizer."""
        if self.member is not None:
            self.failure = self.member.failure
            self.seconds += self.member.total_seconds
            self.member.estimator.__dict__.pop("_optimizer", None)
            self.member = None


class Given:
    """The arguments of ``fit`` of the search: samples, a target, and options of the estimators."""

    def __init__(self, X: Any, y: Any, options: Mapping[str, Any]) -> None:
        self.X, self.y, self.options = X, y, options

    def on(self, places: np.ndarray) -> tuple[Any, Any, dict[str, Any]]:
        """Return some of the samples, and the options of ``fit`` for them."""
        options = _check_method_params(self.X, self.options, places)
        return _safe_indexing(self.X, places), _safe_indexing(self.y, places), options


def fit_all(
    estimator: Any,
    candidates: Sequence[Mapping[str, Any]],
    folds: Sequence[np.ndarray],
    given: Given,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
    group: Group = ALONE,
) -> list[FoldFit]:
    """Fit each candidate on each fold.

    Parameters
    ----------
    estimator : estimator
        A network, or a pipeline that ends in one.
    candidates : sequence of mapping
        Parameters to set.
    folds : sequence of ndarray
        Indices of training samples.
    given : Given
    n_jobs : int or None
        Number of fits that are trained at a time, of those that are trained alone.
    verbose : int
    group : Group
        Processes that divide the fits.

    Returns
    -------
    list of FoldFit
        Candidate after candidate, each on fold after fold.

    Raises
    ------
    ValueError
        If the estimator does not have a parameter of this name.
    """
    made = [
        FoldFit(_candidate(estimator, parameters), fold, places)
        for parameters in candidates
        for fold, places in enumerate(folds)
    ]
    verbose = verbose if group.is_first else 0
    if verbose > 0:
        print(  # noqa: T201
            f"Fitting {len(folds)} folds for each of {len(candidates)} candidates, totalling "
            f"{len(made)} fits",
            end=": ",
        )
    with together(group):
        own = made[group.rank :: group.size]
        with in_all(group):
            _fit_some(own, _share(estimator, given), given, n_jobs, verbose)
        for rank, theirs in enumerate(group.gather([one.result for one in own])):
            for one, result in zip(made[rank :: group.size], theirs, strict=True):
                one.result = result
    return made


def _fit_some(
    made: Sequence[FoldFit],
    shared: SharedRows | None,
    given: Given,
    n_jobs: int | None,
    verbose: int,
) -> None:
    """Fit populations of those that can be members, and the others alone."""
    alone = made if shared is None else [one for one in made if not one.may_be_member]
    if shared is not None:
        for one in made:
            if one.may_be_member:
                one.become_member(given, shared)
    groups = group_members([one.member for one in made if one.member is not None])
    if verbose > 0:
        print(f"{len(groups)} populations, and {len(alone)} fits alone")  # noqa: T201
    for index, group in enumerate(groups):
        train_together(group)
        if verbose > 1:
            seconds = sum(member.total_seconds for member in group)
            print(f"[{index + 1}/{len(groups)}] {len(group)} fits at once: {seconds:.1f} s")  # noqa: T201
    for one in made:
        one.finish()
    _fit_alone(alone, given, n_jobs)


def _candidate(estimator: Any, parameters: Mapping[str, Any]) -> Any:
    """Return an estimator with some parameters set."""
    made = clone(estimator)
    known = made.get_params()
    try:
        return made.set_params(**clone(parameters, safe=False))
    except ValueError as error:
        unknown = next((name for name in parameters if name not in known), "")
        message = f"param_grid: {str(error).rstrip('.')}{did_you_mean(unknown, known)}"
        raise ValueError(message) from error


def _share(estimator: Any, given: Given) -> SharedRows | None:
    """Return the samples that all fits share; None if each fit must check its own.

    Each fit then reports what is wrong with its samples; those of some folds may be valid.
    """
    if _is_pipeline(estimator):
        return None if given.options else SharedRows(None)
    if not set(given.options) <= OPTIONS:
        return None
    weight = given.options.get("sample_weight")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return SharedRows(check_samples(clone(estimator), given.X, given.y, weight).rows)
        except Exception:  # each fit reports it, if it concerns its fold
            return None


def _fit_alone(fits: Sequence[FoldFit], given: Given, n_jobs: int | None) -> None:
    """Fit some alone, several at a time."""
    calls = [delayed(_fit_one)(one.estimator, given, one.places) for one in fits]
    results = Parallel(n_jobs=n_jobs)(calls)
    for one, result in zip(fits, results, strict=True):
        one.result = result


def _fit_one(
    estimator: Any, given: Given, places: np.ndarray
) -> tuple[Any, Exception | None, float]:
    start, failure = time.perf_counter(), None
    try:
        X, y, options = given.on(places)
        estimator.fit(X, y, **options)
    except Exception as error:  # GridSearchCV raises it or applies error_score
        failure = error
    return estimator, failure, time.perf_counter() - start


class SharedRows:
    """Tables of samples, each shared by as many fits as possible.

    Parameters
    ----------
    whole : Rows
        All samples. Usually they serve every fold; a fold with its own targets or weights,
        because it lacks a class or balances its classes, gets a table with the same inputs.
    """

    def __init__(self, whole: Rows | None) -> None:
        self.tables = [] if whole is None else [whole]
        self.of_folds: dict[int, list[Rows]] = {}

    def having(self, rows: Rows, places: np.ndarray) -> Rows:
        """Return a table that has these samples at these indices."""
        for table in self.tables:
            if _has(table.y, rows.y, places) and _has(table.weight, rows.weight, places):
                return table
        x = self.tables[0].x
        spread = [_spread(column, places, x.shape[0]) for column in (rows.y, rows.weight)]
        self.tables.append(Rows(x, *spread))
        return self.tables[-1]

    def like(self, rows: Rows, fold: int) -> Rows:
        """Return a table that equals these samples of a fold, which were transformed for it."""
        tables = self.of_folds.setdefault(fold, [])
        for table in tables:
            if all(_equal(one, other) for one, other in zip(table, rows, strict=True)):
                return table
        tables.append(rows)
        return rows


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


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if sp.issparse(one) or sp.issparse(other):
        return bool(sp.issparse(one) and sp.issparse(other) and (one != other).nnz == 0)
    home = home_of(one)
    return bool((np if home is None else home.xp).all(one == other))
