"""Data frames and arrays as tables, and their targets, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    assert_all_finite,
    column_or_1d,
    validate_data,
)

from anynet.data.tables.supervised import is_absent
from anynet.data.tables.table import Table, as_names
from anynet.estimators.arrays import to_host
from anynet.estimators.samples import exact_types


def check_table(estimator: Any, X: Any, *, reset: bool) -> Table:
    """Return X as a table whose columns have the names of the training rows.

    Names, order and number of columns are checked as scikit-learn does. Without names, the columns
    are x0, x1, …, and those of other rows are compared by position.

    Raises
    ------
    ValueError
        If X is of another type, or has other columns.
    """
    is_mapping = isinstance(X, Mapping) and not hasattr(X, "toarray")  # some sparse ones are
    structured = getattr(getattr(X, "dtype", None), "names", None)
    shapeless = is_frame(X) and not hasattr(X, "shape")  # a Table, a lazy frame
    if is_mapping or structured or shapeless or isinstance(X, str | PathLike):
        kind = "a structured array" if structured else type(X).__name__
        message = f"X must be a data frame or an array of two dimensions, got {kind}: use a frame"
        raise ValueError(message)
    if is_frame(X):
        _check_feature_names(estimator, X, reset=reset)
        _check_n_features(estimator, X, reset=reset)
    else:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=None,
            ensure_all_finite="allow-nan",
            ensure_min_samples=int(reset),
        )
    names = names_of(estimator)
    return _renamed(Table.of(X, "X"), as_names(column_names(X, len(names))), names)


def names_of(estimator: Any) -> list[str]:
    """Return the names of the columns of the training rows, x0, x1, … if they have none."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return [f"x{at}" for at in range(estimator.n_features_in_)]
    return as_names(list(names))


def is_frame(X: Any) -> bool:
    """Return whether X is a data frame of pandas or polars, or a table of pyarrow."""
    return hasattr(X, "columns") or hasattr(X, "column_names")


def column_names(X: Any, n_columns: int) -> Sequence[Any]:
    """Return the names of the columns of X; positions if it is an array."""
    if not is_frame(X):
        return range(n_columns)
    return list(X.column_names if hasattr(X, "column_names") else X.columns)


def _renamed(table: Table, given: list[str], names: list[str]) -> Table:
    """Return a table with other names of its columns."""
    if given == names:
        return table
    new = dict(zip(given, names, strict=True))
    return replace(
        table,
        columns={new[name]: column for name, column in table.columns.items()},
        left_out={new[name]: reason for name, reason in table.left_out.items()},
        categorical=frozenset(new[name] for name in table.categorical),
    )


def check_labels(y: Any, name: str = "y") -> np.ndarray:
    """Return classes (N,) in their own type.

    Raises
    ------
    ValueError
        If some are missing, of different types, or are not classes.
    """
    _check_given(y, name)
    labels: np.ndarray = column_or_1d(exact_types(to_host(y)), warn=True)
    absent = np.array([is_absent(label) for label in labels.tolist()], dtype=bool)
    if absent.any():
        message = (
            f"{name} must have a class in each row, got {absent.sum()} missing values, the first "
            f"in row {np.argmax(absent) + 1}: leave these rows out"
        )
        raise ValueError(message)
    kinds = sorted({type(label).__name__ for label in labels.tolist()})
    if len(kinds) > 1 and "str" in kinds:
        message = f"the classes in {name} must be of one type, got {' and '.join(kinds)}"
        raise ValueError(message)
    check_classification_targets(labels)
    return labels


def check_values(y: Any, name: str = "y") -> np.ndarray:
    """Return a target of numbers (N,), float64.

    Raises
    ------
    ValueError
        If some are missing, infinite or not numbers.
    """
    _check_given(y, name)
    y = column_or_1d(to_host(y), warn=True)
    try:
        values: np.ndarray = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        message = f"{name} must be numbers, got {str(y[0])!r}: TabularClassifier predicts classes"
        raise ValueError(message) from error
    assert_all_finite(values, input_name=name)
    return values


def _check_given(y: Any, name: str) -> None:
    if y is None:
        message = f"fit requires {name} to be passed, but the target {name} is None"
        raise ValueError(message)


def positions_of(labels: Any, classes: np.ndarray, name: str) -> np.ndarray:
    """Return the positions of labels among the classes.

    Raises
    ------
    ValueError
        If some are other classes.
    """
    known = classes.tolist()
    places = {label: place for place, label in enumerate(known)}
    found = [places.get(label, -1) for label in np.asarray(labels).tolist()]
    if -1 in found:
        other = np.asarray(labels).tolist()[found.index(-1)]
        message = f"{name} must have classes of y, {known!r:.60}, got {other!r}"
        raise ValueError(message)
    return np.array(found, dtype=np.int64)
