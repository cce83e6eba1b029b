"""Choose a backend, and report which libraries work on this machine."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import is_cupy_array, is_jax_array, is_torch_array

from anynet.backends.portable import Backend, StandardBackend
from anynet.checks import check_choice
from anynet.errors import BackendError, InvalidArgumentError

INSTALL = {
    "numpy": "pip install numpy",
    "cupy": "pip install 'cupy-cuda12x[ctk]' for CUDA 12, or 'cupy-cuda13x[ctk]' for CUDA 13",
    "torch": "pip install torch",
    "jax": "pip install jax",
}
DTYPES = ("float32", "float64")
PRECISIONS = ("tf32", "bfloat16", "float16")


class BackendStatus(NamedTuple):
    """The status of one library, see ``available_backends``."""

    name: str
    usable: bool
    reason: str  # advice, or why it cannot be used and how to fix that
    version: str | None
    devices: tuple[str, ...]
    memory: str  # free and total memory of the first device, empty if unknown
    threads: int | None  # maximum number of threads of a product on the CPU


def get_backend(
    name: str = "auto",
    device: str | None = None,
    dtype: str = "float32",
    precision: str | None = None,
) -> Backend:
    """Return the backend: array library, device and precision of training.

    Parameters
    ----------
    name : {"auto", "numpy", "cupy", "torch", "jax"}
        ``"auto"`` uses the environment variable ``ANYNET_BACKEND`` if it is set. Otherwise a
        ``device`` decides: NumPy for ``cpu``, CuPy for ``cuda``, torch for ``mps``. Without one,
        CuPy is used if a test product succeeds on the GPU, else NumPy. ``Backend.reason`` reports
        why.
    device : {"cpu", "cuda", "cuda:N", "mps"}, optional
        The library's default device if not given: CUDA for CuPy, the CPU for NumPy and torch,
        JAX's own default for JAX.
    dtype : {"float32", "float64"}
        The type of parameters and activations. Data keep their own.
    precision : {"tf32", "bfloat16", "float16"}, optional
        Round the factors of each matrix product to this type, and sum the products in float32;
        weights, activations and everything else stay float32. ``tf32`` needs CUDA; NumPy supports
        none of them. They are faster on GPUs only. float16 cannot represent numbers below 6e-8
        (gradients are not scaled), so bfloat16 is the safer of the two.

    Returns
    -------
    Backend

    Raises
    ------
    InvalidArgumentError
        If an argument is not one of those listed.
    BackendError
        If the library or device is missing or lacks the precision; the message says how to fix it.

    Examples
    --------
    >>> import anynet
    >>> anynet.get_backend("numpy").describe()["device"]
    'cpu'
    """
    origin = "requested"
    if name == "auto" and os.environ.get("ANYNET_BACKEND"):
        name, origin = os.environ["ANYNET_BACKEND"], "set by ANYNET_BACKEND"
    if name not in ("auto", *INSTALL):
        message = f"backend must be one of auto, {', '.join(INSTALL)}, got {name!r} ({origin})"
        raise InvalidArgumentError(message)
    valid = isinstance(device, str) and re.fullmatch(r"cpu|mps|cuda(:\d{1,4})?", device)
    if device is not None and not valid:
        message = f"device must be 'cpu', 'cuda', 'cuda:N' or 'mps', got {device!r}"
        raise InvalidArgumentError(message)
    check_choice("dtype", dtype, DTYPES)
    check_choice("precision", precision, (*PRECISIONS, None))
    if precision is not None and dtype != "float32":
        message = f"precision {precision!r} reduces products of float32, got dtype {dtype!r}"
        raise InvalidArgumentError(message)
    if name == "auto":
        return _choose(device, dtype, precision)
    return _create(name, device, dtype, origin, precision)


def available_backends() -> tuple[BackendStatus, ...]:
    """Test every library with a small product, and report which ones work.

    On a CUDA device this makes JAX reserve three quarters of the free memory for the process,
    unless ``XLA_PYTHON_CLIENT_PREALLOCATE=false`` is set.

    Returns
    -------
    tuple of BackendStatus
        One entry each for numpy, cupy, torch and jax.
    """
    return tuple(_status(name) for name in INSTALL)


def backend_of(array: Any, dtype: str = "float32") -> Backend | None:
    """Return the backend of a torch, JAX or CuPy array, None for anything else.

    Parameters
    ----------
    array : object
    dtype : {"float32", "float64"}
        The type of parameters and activations.

    Returns
    -------
    Backend or None
        On the device of the array.

    Raises
    ------
    BackendError
        If anynet cannot use that device.
    """
    if is_torch_array(array):
        return _create("torch", str(array.device), dtype, "the data are torch tensors")
    if is_cupy_array(array):
        return _create("cupy", f"cuda:{array.device.id}", dtype, "the data are CuPy arrays")
    if is_jax_array(array):
        return _create("jax", next(iter(array.devices())), dtype, "the data are JAX arrays")
    return None


def lives_on(array: Any, backend: Backend) -> bool:
    """Whether an array belongs to this backend's library and is on its device."""
    home = backend_of(array, backend.dtype)
    if home is None:
        return False
    return replace(home, precision=backend.precision, group=backend.group) == backend


def array_home(array: Any, dtype: str = "float32") -> Backend | None:
    """Return the backend of an array of any library that follows the standard, except NumPy.

    Besides those of ``backend_of`` these are arrays with ``__array_namespace__``, such as
    array_api_strict's, for which the portable bodies are used.
    """
    home = backend_of(array, dtype)
    on_host = isinstance(array, (np.ndarray, np.generic))
    if home is not None or on_host or not hasattr(array, "__array_namespace__"):
        return home
    xp = array.__array_namespace__()
    return StandardBackend(xp, array.device, dtype, f"the data are arrays of {xp.__name__}")


def find_backend(
    name: str, device: str, dtype: str, precision: str | None = None
) -> Backend | None:
    """Return a backend by name, on the CPU if the device is missing; None without the library."""
    for place, products in ((device, precision), ("cpu", None)):
        with suppress(BackendError, InvalidArgumentError):
            return get_backend(name, place, dtype, products)
    return None


def check_dense(array: Any, name: str = "the array") -> None:
    """Raise for arrays whose mask or sparse layout would be lost or misread.

    Parameters
    ----------
    array : object
        Masked arrays without a masked value are accepted, and so are SciPy's sparse matrices.
    name : str
        Name of the array in messages.

    Raises
    ------
    InvalidArgumentError
        If it is a masked array of NumPy or a list with one, a sparse tensor, or a lazy frame of
        polars.
    """
    if type(array).__name__ == "LazyFrame":
        message = f"{name} is a lazy frame: pass its .collect()"
        raise InvalidArgumentError(message)
    parts = array if isinstance(array, (list, tuple)) else [array]
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        count = sum(np.count_nonzero(np.ma.getmaskarray(part)) for part in parts)
        message = (
            f"{name} is a masked array with {count} masked values, which are missing: fill them, "
            f"with array.filled(value) or an imputer, or drop their rows"
        )
        raise InvalidArgumentError(message)
    layout = str(getattr(array, "layout", "torch.strided"))
    sparse_tensor = layout.startswith("torch.") and layout != "torch.strided"
    if sparse_tensor or (hasattr(array, "todense") and not hasattr(array, "tocsr")):
        how = "to_dense" if sparse_tensor else "todense"
        message = f"{name} is a sparse tensor: pass its .{how}()"
        raise InvalidArgumentError(message)


def to_numpy(array: Any) -> np.ndarray:
    """Return any array or sequence as a NumPy array, copied from its device if needed."""
    backend = backend_of(array)
    return np.asarray(array) if backend is None else backend.to_host(array)


def _choose(device: str | None, dtype: str, precision: str | None) -> Backend:
    if device is not None:
        name = {"cpu": "numpy", "mps": "torch"}.get(device, "cupy")
        return _create(name, device, dtype, f"device {device} was requested", precision)
    if importlib.util.find_spec("cupy") is None:
        return _create("numpy", "cpu", dtype, "no GPU is used: CuPy is not installed", precision)
    try:
        return _create("cupy", device, dtype, "a CUDA device works with CuPy", precision)
    except BackendError as error:
        return _create("numpy", "cpu", dtype, f"no GPU is used: {error}", precision)


def _create(
    name: str, device: Any, dtype: str, reason: str, precision: str | None = None
) -> Backend:
    return _module(name).create(device, dtype, reason, precision)  # type: ignore[no-any-return]


def _module(name: str) -> Any:
    """Import the file of a backend, which imports its library."""
    if importlib.util.find_spec(name) is None:
        message = (
            f"the {name} backend needs {name}, which is not installed: {INSTALL[name]}, or choose "
            f"another backend, such as numpy"
        )
        raise BackendError(message)
    try:
        return importlib.import_module(f"anynet.backends.{name}")
    except Exception as error:  # a broken installation may raise anything on import
        message = f"{name} is installed but does not import ({error}): {INSTALL[name]}"
        raise BackendError(message) from error


def _status(name: str) -> BackendStatus:
    try:
        module = _module(name)
        backend = module.create(None, "float32", "")
        with backend.context():
            ones = backend.to_device(np.ones((2, 2), dtype=np.float32))
            backend.to_host(backend.gemm(ones, ones))
    except Exception as error:  # whatever fails is reported in the table
        return BackendStatus(name, False, " ".join(str(error).split()), None, (), "", None)
    memory, description = backend.memory(), backend.describe()
    text = f"{memory.free / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free" if memory else ""
    reason = "; ".join(["a small product works", *filter(None, [description.get("advice")])])
    threads = int(description["threads"]) if "threads" in description else None
    version = description["version"]
    return BackendStatus(name, True, reason, version, module.devices(), text, threads)
