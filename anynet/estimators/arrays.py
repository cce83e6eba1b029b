"""Where arrays live, where to compute, and the forward pass.

Results live where X does, as in scikit-learn's array API support, with or without its
``array_api_dispatch``: for host data (NumPy, lists, data frames, sparse) they are NumPy arrays;
for arrays of torch, JAX, CuPy and others they are of the same library, on the same device.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from anynet.backends import Backend, array_home, get_backend
from anynet.errors import BackendError
from anynet.nn.network import Network
from anynet.training.evaluate import slice_rows
from anynet.typing import Array, Params


def home_of(array: Any) -> Backend | None:
    """Return the backend where an array lives, None for anything on the host."""
    return None if isinstance(array, np.ndarray) or sp.issparse(array) else array_home(array)


def dtype_of(array: Any, home: Backend | None) -> str:
    """Return ``"float32"`` or ``"float64"``: the dtype in which an array is computed."""
    return float_name(array) or ("float64" if home is None else "float32")


def float_name(array: Any) -> str:
    """Return ``"float32"`` or ``"float64"`` for an array of that dtype, else an empty string."""
    name = str(getattr(array, "dtype", "")).rpartition(".")[2]
    return name if name in ("float32", "float64") else ""


def choose_backend(
    home: Backend | None, dtype: str, name: str | None, device: str | None
) -> Backend:
    """Return the requested backend; by default the one where X lives, else NumPy.

    If float64 is not available (JAX without its 64-bit types, torch on mps), it is float32.
    """
    if name is None and device is None:
        return _numpy(dtype) if home is None else replace(home, dtype=dtype)
    try:
        return get_backend(name or "auto", device, dtype)
    except BackendError:
        if dtype == "float32":
            raise
        return get_backend(name or "auto", device, "float32")


@functools.cache
def _numpy(dtype: str) -> Backend:
    return get_backend("numpy", dtype=dtype)


def to_host(array: Any) -> Any:
    """Convert an array of another library to NumPy; lists, frames and sparse are unchanged."""
    home = home_of(array)
    return array if home is None else home.to_host(array)


def deliver(array: Any, backend: Backend, home: Backend | None, dtype: str | None = None) -> Any:
    """Move a result from where it was computed to where X lives."""
    if home is not None and home.xp is backend.xp and home.device == backend.device:
        return array if dtype is None else home.xp.astype(array, getattr(home.xp, dtype))
    on_host = backend.to_host(array)
    if dtype is not None:
        on_host = on_host.astype(dtype, copy=False)
    return on_host if home is None else home.to_device(on_host)


def deliver_labels(labels: np.ndarray, classes: Any, home: Backend | None) -> Any:
    """Move labels to where X lives, if each of the classes has the same value there.

    Strings stay NumPy arrays, and so do integers without a type in the library (JAX has no int64
    unless its 64-bit types are enabled).
    """
    if home is None or classes.dtype.kind not in "biuf":
        return labels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # JAX warns of truncation
            there = home.to_host(home.to_device(classes))
            exact = np.array_equal(there, classes)
            return home.to_device(labels) if exact else labels
    except (TypeError, OverflowError):  # a type that the library lacks, such as uint64
        return labels


def infer(
    network: Network,
    params: Params,
    x: Any,
    backend: Backend,
    function: Callable[[Array], Array] | None = None,
) -> Array:
    """Return the logits of some samples, or ``function`` of them, on the device.

    Parameters
    ----------
    x : array or sparse matrix of shape (N, I)
        On the host or on the device.
    function : callable, optional
        Of logits (B, O), row by row.
    """
    parts = []
    n_samples, size = x.shape[0], slice_rows(network, backend)
    with backend.context():
        for start in range(0, max(1, n_samples), size):
            some = x[start : min(start + size, n_samples), :]
            some = some.toarray() if sp.issparse(some) else some
            logits = network.predict(params, backend.to_device(some), backend=backend)
            parts.append(logits if function is None else function(logits))
        return parts[0] if len(parts) == 1 else backend.xp.concat(parts, axis=0)
