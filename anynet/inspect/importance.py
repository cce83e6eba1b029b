"""Permutation importance: how much the score falls when a column is shuffled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anynet.backends import to_numpy
from anynet.checks import check_whole, did_you_mean, require
from anynet.data.dataset import TABLE
from anynet.data.display import Described
from anynet.data.tables import Preprocessing, Table
from anynet.data.tables.load import labelled_rows
from anynet.errors import InvalidArgumentError, printable
from anynet.training.ensemble import Ensemble
from anynet.training.model import Model

MOST_SHOWN = 20  # columns
ROUNDING = 1e-9  # relative to the score: smaller figures are shown as 0


@dataclass(frozen=True, eq=False, repr=False)
class Importance(Described):
    """How much the score of a model falls when each column is shuffled.

    Attributes
    ----------
    columns : tuple of str
        Columns of the table, or of the array.
    drops : ndarray of shape (F, R)
        The score minus that with the column shuffled, for each repeat.
    score : float
        Without shuffling.
    scoring : str
        What the score is.
    """

    columns: tuple[str, ...]
    drops: np.ndarray
    score: float
    scoring: str

    @property
    def mean(self) -> np.ndarray:
        """The mean drop of each column, (F,)."""
        mean: np.ndarray = np.mean(self.drops, axis=1)
        return mean

    @property
    def interval(self) -> np.ndarray:
        """The mean minus and plus two standard deviations of the repeats, (F, 2).

        It shows how much a single shuffle varies, as in scikit-learn's user guide. It does not
        cover the chance in the draw of the rows.
        """
        half = 2 * np.std(self.drops, axis=1)
        return np.stack([self.mean - half, self.mean + half], axis=1)

    @property
    def order(self) -> np.ndarray:
        """The positions of the columns, the most important first."""
        order: np.ndarray = np.argsort(-self.mean, kind="stable")
        return order

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return the drops of the most important columns, with their intervals."""
        title = f"drop of {self.scoring} ({self.score:.4g}) when a column is shuffled"
        least = ROUNDING * np.max(np.abs([self.score, *self.drops.ravel()]))
        figures = np.stack([self.mean, *self.interval.T], axis=1)
        figures[np.abs(figures) < least] = 0.0
        facts = {}
        for at in self.order[:MOST_SHOWN]:
            mean, low, high = figures[at]
            facts[printable(self.columns[at])] = f"{mean:.4g} [{low:.4g}, {high:.4g}]"
        return title, facts


def permutation_importance(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    scoring: Any = None,
    n_repeats: int = 10,
    seed: int = 0,
    sample_weight: Any = None,
    max_samples: int | float = 1.0,
) -> Importance:
    """Measure how much the score falls when a column is shuffled, by scikit-learn's function.

    For a model of a table the columns are those of the table: all inputs that come from a column,
    such as those of its categories, are shuffled together. Use rows that the model was not trained
    on. Of two columns that hold the same, both may look unimportant.

    Parameters
    ----------
    model : Model, Ensemble or estimator
        An estimator has the interface of scikit-learn, such as ``TabularClassifier``.
    x : array of shape (N, I), Table, mapping or data frame
        For a model that was trained on a table: raw rows, or encoded ones.
    y : array of shape (N,), optional
        Targets as for ``Model.score``. They may be left out if the table has the column.
    scoring : str or callable, optional
        A scorer of scikit-learn, such as ``"neg_log_loss"``; by default accuracy, or R².
    n_repeats : int
        Number of times that each column is shuffled.
    seed : int
    sample_weight : array of shape (N,), optional
    max_samples : int or float
        Number or share of the rows of which each shuffle draws some.

    Returns
    -------
    Importance

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, or scikit-learn is not installed.
    DataError
        If the table lacks the target.

    References
    ----------
    Breiman 2001, "Random Forests", section 10; ``sklearn.inspection.permutation_importance``.

    Examples
    --------
    >>> import anynet
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 3))
    >>> network = anynet.mlp([3, 8, 2])
    >>> model = anynet.fit(network, (x, (x[:, 1] > 0).astype(int)), epochs=20, backend="numpy")
    >>> found = anynet.inspect.permutation_importance(model, x, x[:, 1] > 0)
    >>> found.columns[found.order[0]]
    'x1'
    """
    inspection = require("sklearn.inspection", "permutation_importance", "scikit-learn")
    check_whole("n_repeats", n_repeats)
    check_whole("seed", seed, least=0, most=2**32 - 1)
    metrics = require("sklearn.metrics", "a score", "scikit-learn")
    if isinstance(scoring, str) and scoring not in metrics.get_scorer_names():
        hint = did_you_mean(scoring, metrics.get_scorer_names())
        message = (
            f"scoring must be the name of a scorer of scikit-learn, such as 'neg_log_loss', got "
            f"{scoring!r}{hint}"
        )
        raise InvalidArgumentError(message)
    estimator, rows, y, names = as_estimator(model, x, y)
    options = {"scoring": scoring, "n_repeats": n_repeats, "random_state": seed}
    if sample_weight is not None:
        options["sample_weight"] = to_numpy(sample_weight)
    try:
        found = inspection.permutation_importance(
            estimator, rows, y, max_samples=max_samples, **options
        )
        scorer = metrics.check_scoring(estimator, scoring)
        weight = {} if sample_weight is None else {"sample_weight": options["sample_weight"]}
        score = float(scorer(estimator, rows, y, **weight))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(str(error)) from error
    return Importance(tuple(names), found.importances, score, name_of(scoring, estimator))


def as_estimator(model: Any, x: Any, y: Any) -> tuple[Any, Any, Any, list[str]]:
    """Return an estimator of scikit-learn, its rows and targets, and the names of their columns.

    Raises
    ------
    InvalidArgumentError
        If the model is neither a model nor an estimator, or ``y`` is missing.
    """
    if not isinstance(model, (Model, Ensemble)):
        if not (hasattr(model, "predict") and hasattr(model, "fit")):
            message = f"model must be a Model, an Ensemble or an estimator, got {model!r}"
            raise InvalidArgumentError(message)
        if y is None:
            message = "y is missing: pass the targets of the rows"
            raise InvalidArgumentError(message)
        return model, x, y, _names(model, x)
    from anynet.inspect.adapters import adapted, row_numbers

    if model.metadata.get(TABLE) is None:
        if y is None:
            message = "y is missing: pass the targets of the rows"
            raise InvalidArgumentError(message)
        return adapted(model), _array(x), to_numpy(y), _names(model, x)
    preprocessing = Preprocessing.of(model)
    names = [each.column for each in preprocessing.encoders]
    rows, y = encoded_rows(preprocessing, x, y)
    estimator = adapted(model, preprocessing, rows)
    return estimator, row_numbers(len(rows), len(names)), y, names


def encoded_rows(preprocessing: Preprocessing, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs of the rows of a table, and classes or values in the units of the table."""
    target = preprocessing.target
    if not is_raw(x):  # encoded rows have encoded targets
        if y is None:
            message = "y is missing: pass the targets of the encoded rows"
            raise InvalidArgumentError(message)
        inputs, labels = _array(x), to_numpy(y)
    else:
        table = x if isinstance(x, Table) else Table.of(x)
        if y is not None:
            columns = table.columns | Table.of({target.column: y}).columns
            table = replace(table, columns=columns)
        (inputs, labels), notes = labelled_rows(preprocessing, table)
        for note in notes:
            warnings.warn(printable(note), stacklevel=3)
    return inputs, labels if target.task == "classification" else preprocessing.decode(labels)


def is_raw(x: Any) -> bool:
    """Whether rows are those of a table, and not encoded."""
    return isinstance(x, (Table, Mapping)) or hasattr(x, "columns") or hasattr(x, "column_names")


def _array(x: Any) -> np.ndarray:
    rows = np.asarray(to_numpy(x))
    if rows.ndim != 2 or not len(rows):
        message = f"x must be an array (N, I) with rows, got one of shape {rows.shape}"
        raise InvalidArgumentError(message)
    return rows


def _names(model: Any, x: Any) -> list[str]:
    """Return the names of the columns of x, x0, x1, … if they have none."""
    given = getattr(model, "feature_names_in_", getattr(x, "columns", None))
    if given is None:
        return [f"x{at}" for at in range(np.shape(x)[1])]
    return [str(name) for name in given]


def name_of(scoring: Any, estimator: Any) -> str:
    """Return the name of a score; without one that of the estimator's own."""
    if isinstance(scoring, str):
        return scoring
    if scoring is not None:
        return getattr(scoring, "__name__", "score")
    return "accuracy" if hasattr(estimator, "predict_proba") else "R²"
