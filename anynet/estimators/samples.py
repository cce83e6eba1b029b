"""The samples that users pass, checked in scikit-learn's words."""

from __future__ import annotations

from collections.abc import Generator
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from anynet.backends import Backend, check_dense
from anynet.data.batches import Batches, ResidentBatches, Rows
from anynet.estimators.arrays import dtype_of, home_of, to_host
from anynet.estimators.lbfgs import refuse_for_lbfgs
from anynet.training.placement import place
from anynet.typing import Array

BLOCK_BYTES = 64 * 2**20  # of a sparse matrix that are sent at once, as an array
DENSE_BYTES = 2**30  # a sparse matrix that needs no more as an array becomes one


class Samples(NamedTuple):
    """The checked arguments of ``fit``.

    Attributes
    ----------
    rows : Rows
        Inputs where they live; targets and weights as the loss takes them, on the host.
    y : ndarray
        The target as it was given.
    given : tuple of Rows and ndarray, or None
        The same for a validation set.
    home : Backend or None
        Where the inputs live; None is the host.
    dtype : str
        Of the weights that are trained.
    """

    rows: Rows
    y: np.ndarray
    given: tuple[Rows, np.ndarray] | None
    home: Backend | None
    dtype: str


def check_samples(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
    incremental: bool = False,
) -> Samples:
    """Check the arguments of ``fit``, and set attributes that follow from them: ``classes_`` etc.

    Raises
    ------
    ValueError
        If an argument is invalid.
    """
    estimator._hidden_sizes()
    if estimator.solver == "lbfgs":
        refuse_for_lbfgs(estimator, validated=X_val is not None)
    anew, home = estimator._begins_anew(incremental=incremental), home_of(X)
    if not anew:
        method = "partial_fit" if incremental else "fit"
        estimator._check_same_home(home, home_of(estimator.coefs_[0]), method)
    X, y = check_training(estimator, X, y, numeric=estimator._numeric, reset=anew)
    dtype = dtype_of(X, home)
    estimator._read_target(y, incremental=incremental)
    estimator._place_classes(home)
    if anew:
        estimator.__dict__.pop("target_mean_", None)  # measured again
    rows = estimator._rows(X, y, sample_weight, dtype, incremental=incremental)
    if estimator.early_stopping and incremental:
        message = "partial_fit does not support early_stopping=True"
        raise ValueError(message)
    validation = (X_val, y_val, sample_weight_val)
    given = _check_validation(estimator, *validation, y.shape[1:], home, dtype)
    return Samples(rows, y, given, home, dtype)


def _check_validation(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    columns: tuple[int, ...],
    home: Backend | None,
    dtype: str,
) -> tuple[Rows, np.ndarray] | None:
    """Check the validation set that was passed to ``fit``, if there is one."""
    if not has_validation(X, y, sample_weight):
        return None
    estimator._check_same_home(home_of(X), home, "fit")
    X, y = check_training(estimator, X, y, numeric=estimator._numeric, reset=False)
    if y.shape[1:] != columns:
        message = f"y_val must have rows as y has, of shape {columns}, got {y.shape[1:]}"
        raise ValueError(message)
    estimator._read_target(y, incremental=True)
    return estimator._rows(X, y, sample_weight, dtype, incremental=False), y


def has_validation(X: Any, y: Any, sample_weight: Any) -> bool:
    """Return whether a validation set was passed to ``fit``.

    Raises
    ------
    ValueError
        If only a part of one was.
    """
    if X is None and y is None:
        if sample_weight is not None:
            message = "sample_weight_val was given without X_val and y_val"
            raise ValueError(message)
        return False
    if X is None or y is None:
        message = "X_val and y_val belong together: give both or neither"
        raise ValueError(message)
    return True


def check_training(
    estimator: Any, X: Any, y: Any, *, numeric: bool, reset: bool
) -> tuple[Any, np.ndarray]:
    """Return inputs where they live, floats or sparse CSR, and the target on the host."""
    check_dense(X, "X")
    check_dense(y, "y")
    home, y = home_of(X), exact_types(to_host(y))
    if home is None:
        X, y = validate_data(
            estimator,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=numeric,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
    else:
        X = check_on_device(estimator, X, home, reset=reset)
        y = check_array(
            y,
            accept_sparse="csr",
            ensure_2d=False,
            dtype="numeric" if numeric else None,
            input_name="y",
        )
        check_consistent_length(X, y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def exact_types(y: Any) -> Any:
    """Return nullable integers and booleans of pandas without missing values as NumPy's.

    scikit-learn would convert them to float64, in which labels beyond 2^53 are merged.
    """
    dtype = getattr(y, "dtype", None)
    numpy_dtype = getattr(dtype, "numpy_dtype", None)  # an attribute of pandas' types
    if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in "biu" and not y.isna().any():
        return y.to_numpy(dtype=numpy_dtype)
    return y


def check_inputs(estimator: Any, X: Any, home: Backend | None) -> Any:
    """Return the inputs of a prediction where they live."""
    check_dense(X, "X")
    if home is None:
        return validate_data(estimator, X, accept_sparse="csr", reset=False)
    return check_on_device(estimator, X, home, reset=False)


def check_weights(sample_weight: Any, y: Any, dtype: str) -> np.ndarray | None:
    """Return sample weights on the host, None if there are none."""
    if sample_weight is None:
        return None
    check_dense(sample_weight, "sample_weight")
    weight: np.ndarray = _check_sample_weight(to_host(sample_weight), y, dtype=np.dtype(dtype))
    if not weight.any():  # scikit-learn checks it since version 1.9
        message = "Sample weights must contain at least one non-zero number."
        raise ValueError(message)
    return weight


def check_class_weight(class_weight: Any, *, several: bool) -> None:
    """Check the factors of the classes, before scikit-learn computes with them.

    Raises
    ------
    ValueError
        If a factor is negative or not a number, or if a list is given for one classification.
    """
    if isinstance(class_weight, str):
        return
    if isinstance(class_weight, list) and not several:
        message = (
            "class_weight must be a dict {class: factor} or 'balanced', got a list, which is for "
            "several classifications or labels at once, with a dict for each column of y"
        )
        raise ValueError(message)
    for one in class_weight if isinstance(class_weight, list) else [class_weight]:
        if not isinstance(one, dict):
            message = f"class_weight must hold a dict for each column of y, got {one!r}"
            raise ValueError(message)
        for label, factor in one.items():
            if not isinstance(factor, Real) or not 0 <= float(factor) < np.inf:
                message = (
                    f"class_weight must be finite numbers of at least 0, got {factor!r} for the "
                    f"class {label!r}"
                )
                raise ValueError(message)


def check_on_device(estimator: Any, X: Any, home: Backend, *, reset: bool) -> Any:
    """Check inputs where they live; scikit-learn would copy them to the host without its dispatch.

    Raises
    ------
    ValueError
        As ``sklearn.utils.check_array`` does.
    """
    xp = home.xp
    if X.ndim != 2:
        message = (
            f"Expected 2D array, got {X.ndim}D array instead: shape {tuple(X.shape)}. Reshape your "
            "data either using X.reshape(-1, 1) if your data has a single feature or "
            "X.reshape(1, -1) if it contains a single sample."
        )
        raise ValueError(message)
    if not xp.isdtype(X.dtype, ("bool", "integral", "real floating")):
        message = f"Complex data not supported: X has dtype {X.dtype}"
        raise ValueError(message)
    for what, count in zip(("sample", "feature"), X.shape, strict=True):
        if count == 0:
            message = (
                f"Found array with 0 {what}(s) (shape={tuple(X.shape)}) while a minimum of 1 is "
                f"required by {type(estimator).__name__}."
            )
            raise ValueError(message)
    if xp.isdtype(X.dtype, "real floating") and not bool(xp.all(xp.isfinite(X))):
        found = "NaN" if bool(xp.any(xp.isnan(X))) else "infinity"
        message = f"Input X contains {found}."
        raise ValueError(message)
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    return X


def place_rows(rows: Rows, backend: Backend) -> Batches:
    """Place samples for the loop; a sparse matrix that is large as an array stays sparse."""
    x: Any = rows.x
    if sp.issparse(x):
        if rows_bytes(rows, backend) > DENSE_BYTES:
            return SparseBatches(rows, backend)
        x = x.toarray()
    if isinstance(x, np.ndarray):
        # Rows are gathered in every step: in another layout each would copy the whole array.
        x = np.ascontiguousarray(x, dtype=backend.dtype)
    return place(rows._replace(x=x), backend)


def rows_bytes(rows: Rows, backend: Backend) -> int:
    """Return the memory of samples on the device, their inputs as an array, in bytes."""
    rest = rows._replace(x=np.empty(0)).nbytes
    return int(np.prod(rows.x.shape)) * np.dtype(backend.dtype).itemsize + rest


class SparseBatches:
    """A sparse matrix on the host, of which blocks of whole batches are sent as arrays.

    Parameters
    ----------
    rows : Rows
    backend : Backend
    """

    def __init__(self, rows: Rows, backend: Backend) -> None:
        self.rows, self.backend = rows, backend

    def blocks(
        self,
        *orders: np.ndarray,
        members: int = 1,  # noqa: ARG002
    ) -> Generator[tuple[Array, Rows], None, None]:
        """Yield as many steps at a time as fit a block, with indices into the block."""
        row_bytes = self.rows.x.shape[1] * np.dtype(self.backend.dtype).itemsize
        for order in orders:
            steps = max(1, BLOCK_BYTES // max(1, order[0].size * row_bytes))
            for start in range(0, order.shape[0], steps):
                yield from self._block(order[start : start + steps])

    def _block(self, part: np.ndarray) -> Generator[tuple[Array, Rows], None, None]:
        wanted = part.reshape(-1)
        x = self.rows.x[wanted].toarray()
        weight = None if self.rows.weight is None else self.rows.weight[wanted]
        local = np.arange(wanted.size, dtype=np.int32).reshape(part.shape)
        yield from ResidentBatches(Rows(x, self.rows.y[wanted], weight), self.backend).blocks(local)
