"""``PopulationSearchCV``: a grid search that trains candidates and folds as populations."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import _num_samples

from anynet.backends import find_group
from anynet.estimators.arrays import to_host
from anynet.estimators.fold_fits import FoldFit, Given, fit_all, network_of


class PopulationSearchCV(GridSearchCV):
    """Grid search that trains candidates × folds at once if they differ only in numbers.

    Parameters, attributes and results are those of ``sklearn.model_selection.GridSearchCV``, the
    scores to rounding.

    Candidates of ``MLPClassifier`` or ``MLPRegressor`` that differ only in ``learning_rate_init``,
    ``alpha``, ``momentum``, ``dropout`` (above 0), ``label_smoothing``, ``random_state`` and the
    parameters of stopping form one population, on all folds of the same size. Others are trained
    alone, ``n_jobs`` at a time: ``solver="lbfgs"``, ``n_ensemble`` above 1, user-defined optimizers
    and losses. At the end of a pipeline, candidates form one population on each fold if the
    earlier steps give them the same inputs. For all other estimators it is ``GridSearchCV``.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, a pipeline that ends in one, or any other
    param_grid : dict or list of dict
        Names of parameters, and the values to try.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        See ``GridSearchCV``. ``verbose`` reports groups instead of single fits.
    parallel : {"mpi", "auto"} or Group, optional
        Divide the fits among several processes, which all call ``fit`` with the same arguments
        and have the same results, see ``anynet.fit``.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        See ``GridSearchCV``. A fit time in ``cv_results_`` is the share of the total time.

    Examples
    --------
    >>> import anynet
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> network = anynet.MLPClassifier(tol=0.05, n_iter_no_change=2, random_state=0)
    >>> grid = {"learning_rate_init": [1e-5, 1e-2], "alpha": [1e-4, 1e-2]}
    >>> search = anynet.PopulationSearchCV(network, grid, cv=3).fit(X / 16, y)
    >>> search.best_params_["learning_rate_init"]
    0.01
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        parallel: Any = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.parallel = parallel

    def fit(self, X: Any, y: Any = None, **params: Any) -> PopulationSearchCV:
        """Train all candidates on all folds, and the best on all samples.

        Parameters
        ----------
        X, y
            As the estimator takes them.
        **params
            For ``fit`` of the estimator (such as ``sample_weight``, split with the samples), the
            splitter (``groups``) and the scorer; see ``GridSearchCV.fit``.
        """
        if network_of(self.estimator) is None:
            return super().fit(X, y, **params)  # type: ignore[no-any-return]
        self._validate_params()
        self._get_scorers()  # reported before training
        X, y = indexable(X, y)
        split, options = self._route(params)
        labels = to_host(y)  # which splitters read
        cv = check_cv(self.cv, labels, classifier=is_classifier(self.estimator))
        folds = list(cv.split(X, labels, **split))
        candidates = list(ParameterGrid(self.param_grid))
        fits = fit_all(
            self.estimator,
            candidates,
            [np.arange(_num_samples(X))[train] for train, _ in folds],
            Given(X, y, options),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            group=find_group(self.parallel),
        )
        search = copy.copy(self)
        search.estimator, search.cv = _handing_out(self.estimator, iter(fits)), folds
        search.n_jobs, search.verbose = 1, 0
        GridSearchCV.fit(search, X, y, **params)
        search.estimator.__class__ = type(self.estimator)  # a scorer may have kept it
        parameters = self.get_params(deep=False)
        self.__dict__.update({k: v for k, v in vars(search).items() if k not in parameters})
        seconds = np.array([one.seconds for one in fits]).reshape(len(candidates), len(folds))
        self.cv_results_["mean_fit_time"] = seconds.mean(axis=1)
        self.cv_results_["std_fit_time"] = seconds.std(axis=1)
        return self

    def _route(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the arguments of the splitter and those of ``fit`` of the estimator."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            return routed.splitter.split, routed.estimator.fit
        fit = dict(params)
        return {"groups": fit.pop("groups", None)}, fit


def _handing_out(estimator: Any, fits: Iterator[FoldFit]) -> Any:
    """Return an estimator whose clones take a finished fit instead of training.

    ``GridSearchCV`` fits candidate after candidate, each on fold after fold, then the best on all.
    """
    kind = type(estimator)

    class Fitted(kind):  # type: ignore[valid-type, misc]
        @functools.wraps(kind.fit)
        def fit(self, X: Any, y: Any, **params: Any) -> Any:
            self.__class__ = kind  # so that scorers and users see what they expect
            made = next(fits, None)
            if made is None:
                return self.fit(X, y, **params)
            if made.failure is not None:
                raise made.failure
            self.__dict__.update(vars(made.estimator))
            return self

    Fitted.__name__ = kind.__name__
    template = clone(estimator)
    template.__class__ = Fitted
    return template
