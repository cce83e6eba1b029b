"""Partial dependence: the mean prediction when a column has the same value in all rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from anynet.checks import check_whole, did_you_mean, is_whole, require
from anynet.data.dataset import TABLE
from anynet.data.tables import Preprocessing, Table
from anynet.data.tables.column import is_missing
from anynet.data.tables.table import some
from anynet.data.tables.target import Classes
from anynet.data.tables.values import to_numbers, to_text
from anynet.errors import DataError, InvalidArgumentError, printable
from anynet.inspect.importance import as_estimator, is_raw
from anynet.training.ensemble import Ensemble
from anynet.training.model import Model

ENDS = 0.05, 0.95  # quantiles between which a column of many numbers is varied


class PartialDependence(NamedTuple):
    """The mean prediction for each value of a column.

    Attributes
    ----------
    column : str
    values : ndarray of shape (V,)
        Numbers, or text.
    average : ndarray of shape (T, V)
        The mean over the rows: probabilities of each class (of two classes only the second), or
        values.
    individual : ndarray of shape (T, N, V)
        The prediction of each row.
    targets : tuple of str
        What is predicted, T names.
    """

    column: str
    values: np.ndarray
    average: np.ndarray
    individual: np.ndarray
    targets: tuple[str, ...]


def partial_dependence(
    model: Any, x: Any, column: int | str, *, n_values: int = 50
) -> PartialDependence:
    """Compute the mean prediction when a column has one value in all rows, by scikit-learn.

    It shows how the model uses the column, not what the column causes. Where columns depend on each
    other, some of the rows are combinations that do not occur.

    Parameters
    ----------
    model : Model, Ensemble or estimator
        See ``permutation_importance``.
    x : array of shape (N, I), Table, mapping or data frame
        Raw rows for a model that was trained on a table.
    column : int or str
        Its position, or its name.
    n_values : int
        Maximum number of values. Of a table, they are values that occur: those of a column of many
        numbers are equally spaced between its quantiles 0.05 and 0.95, and of many categories the
        most frequent are taken. Otherwise see ``sklearn.inspection.partial_dependence``.

    Returns
    -------
    PartialDependence

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, or scikit-learn is not installed.
    DataError
        If there is no such column, or it has no value.

    References
    ----------
    Friedman 2001, "Greedy Function Approximation", section 8.2;
    ``sklearn.inspection.partial_dependence``.

    Examples
    --------
    >>> import anynet
    >>> rows = {"size": [1.0, 2.0, 3.0] * 20, "price": [10.0, 20.0, 30.0] * 20}
    >>> kinds = {"size": "number"}
    >>> data = anynet.load_tabular_dataset(rows, "price", task="regression", columns=kinds)
    >>> network = anynet.mlp([data.n_inputs, 8, 1])
    >>> notes = data.metadata
    >>> model = anynet.fit(network, data.train, loss="squared_error", metadata=notes)
    >>> anynet.inspect.partial_dependence(model, rows, "size").values
    array([1., 2., 3.])
    """
    require("sklearn.inspection", "partial_dependence", "scikit-learn")
    check_whole("n_values", n_values, least=2)
    if hasattr(model, "ensemble_") and is_raw(x):  # of TabularClassifier and TabularRegressor
        model = model.ensemble_
    if isinstance(model, (Model, Ensemble)) and model.metadata.get(TABLE) is not None:
        return _of_table(model, x, column, n_values)
    return _of_array(model, x, column, n_values)


def _of_table(model: Model | Ensemble, x: Any, column: Any, n_values: int) -> PartialDependence:
    """Return the dependence on a column of a table."""
    from anynet.inspect.adapters import adapted, row_numbers

    if not is_raw(x):
        message = "x must be the raw rows of the table, whose values are shown, got an array"
        raise InvalidArgumentError(message)
    preprocessing = Preprocessing.of(model)
    names = [each.column for each in preprocessing.encoders]
    at = _position(column, names)
    table, _ = preprocessing.read(x if isinstance(x, Table) else Table.of(x))
    table.require(names[at])
    inputs, notes = preprocessing.encode(table)
    for note in notes:
        warnings.warn(printable(note), stacklevel=3)
    cells = table.columns[names[at]]
    reads = preprocessing.encoders[at].reads
    rows = representatives(cells, reads, n_values)
    if not len(rows):
        message = f"{table.name}: the column {names[at]!r} has no value in any row"
        raise DataError(message)
    numbers = row_numbers(len(inputs), len(names))
    # Each value of the column stands for a row that has it, see Adapter; all are on the grid.
    numbers[:, at] = np.resize(rows, len(inputs))
    estimator = adapted(model, preprocessing, inputs)
    found = _by_sklearn(estimator, numbers, at, len(rows), categorical=True)
    chosen = cells[found["grid_values"][0]]
    values = to_numbers(chosen)[0] if reads == "number" else to_text(chosen).astype(object)
    order = np.argsort(values, kind="stable")
    target = preprocessing.target
    targets = target.levels if isinstance(target, Classes) else (target.column,)
    average, individual = found["average"][:, order], found["individual"][..., order]
    return PartialDependence(
        names[at], values[order], average, individual, targets[-len(average) :]
    )


def _of_array(model: Any, x: Any, column: Any, n_values: int) -> PartialDependence:
    """Return the dependence on a column of an array, or of an estimator's data frame."""
    estimator, rows, _, names = as_estimator(model, x, ())
    at = _position(column, names)
    if hasattr(rows, "iloc"):
        cells = rows.iloc[:, at].to_numpy()
        if cells.dtype.kind in "iu":  # which scikit-learn refuses, since it would round
            rows = rows.assign(**{rows.columns[at]: cells.astype(np.float64)})
    else:
        rows = np.asarray(rows)
        rows = rows.astype(np.float64) if rows.dtype.kind in "biu" else rows
        cells = rows[:, at]
    found = _by_sklearn(estimator, rows, at, n_values, categorical=cells.dtype.kind not in "fiu")
    average = found["average"]
    targets = [str(each) for each in getattr(estimator, "classes_", ())]
    targets = targets or [f"output {output}" for output in range(len(average))]
    values = np.asarray(found["grid_values"][0])
    return PartialDependence(
        names[at], values, average, found["individual"], tuple(targets[-len(average) :])
    )


def _by_sklearn(estimator: Any, rows: Any, at: int, n_values: int, *, categorical: bool) -> Any:
    """Return the result of scikit-learn's function."""
    inspection = require("sklearn.inspection", "partial_dependence", "scikit-learn")
    options: dict[str, Any] = {"categorical_features": [at]} if categorical else {}
    try:
        return inspection.partial_dependence(
            estimator, rows, [at], grid_resolution=max(2, n_values), kind="both", **options
        )
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(str(error)) from error


def _position(column: Any, names: Sequence[str]) -> int:
    """Return the position of a column that is given by position or name.

    Raises
    ------
    InvalidArgumentError
        If there is none.
    """
    if is_whole(column) and 0 <= column < len(names):
        return int(column)
    if str(column) not in names:
        hint = did_you_mean(column, names) or f": it has {some(names)}"
        message = f"the model has no column {str(column)!r}{hint}"
        raise InvalidArgumentError(message)
    return list(names).index(str(column))


def representatives(cells: np.ndarray, reads: str, n_values: int) -> np.ndarray:
    """Return rows of a column in which different values occur.

    Parameters
    ----------
    cells : ndarray of shape (N,)
        The column of a table.
    reads : str
        What its encoder reads: "number", "boolean", "date" or "category".
    n_values : int
        Maximum number of rows.

    Returns
    -------
    ndarray of int
    """
    known = np.flatnonzero(~is_missing(cells))
    values = to_numbers(cells)[0] if reads == "number" else cells
    if reads == "number":
        known = np.flatnonzero(np.isfinite(values))
    distinct, first, counts = np.unique(values[known], return_index=True, return_counts=True)
    if len(distinct) > n_values and reads == "category":
        chosen = np.sort(np.argsort(-counts, kind="stable")[:n_values])
    elif len(distinct) > n_values and reads == "number":
        low, high = map(float, np.quantile(values[known], ENDS))
        chosen = np.unique(np.searchsorted(distinct, np.linspace(low, high, n_values)))
    else:
        places = np.linspace(0, len(distinct) - 1, min(n_values, len(distinct)))
        chosen = places.round().astype(np.int64)
    rows: np.ndarray = known[first[chosen]]
    return rows
