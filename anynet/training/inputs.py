"""Check the user's arrays, and convert them to the shapes that training needs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anynet.augment import Pipeline, as_pipeline
from anynet.backends import Backend, backend_of, check_dense, get_backend, lives_on, to_numpy
from anynet.config import named_or_given
from anynet.data.batches import Rows
from anynet.data.dataset import grey_shape
from anynet.data.finite import first_not_finite
from anynet.data.memory import available_memory
from anynet.data.sources.arrays import open_map
from anynet.data.sources.source import Source, check_source
from anynet.data.sources.wrappers import Checked
from anynet.errors import InvalidArgumentError
from anynet.nn.layers import Scale
from anynet.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from anynet.nn.network import Network
from anynet.training.class_weight import class_weighted

MOST_SAMPLES = 2**31 - 1  # the order of an epoch is int32


def check_network(network: Any) -> None:
    """Check that an argument is a network.

    Raises
    ------
    InvalidArgumentError
        If it is something else, such as a trained model.
    """
    if isinstance(network, Network):
        return
    message = f"network must be a Network such as anynet.mlp([784, 128, 10]), got {_found(network)}"
    if isinstance(getattr(network, "network", None), Network):
        message += (
            ": fit(model.network, data, start=model) continues from the weights of a model, "
            "without start= the same network is trained from new weights"
        )
    elif isinstance(network, (tuple, list)) and all(type(size) is int for size in network):
        message += f": anynet.mlp({list(network)}) makes one of these sizes"
    elif isinstance(network, (tuple, list, np.ndarray, Source)) or hasattr(network, "train"):
        message += ": the network comes before the data, as in fit(network, data)"
    raise InvalidArgumentError(message)


def choose_backend(
    backend: Backend | str | None,
    device: str | None = None,
    dtype: str | None = None,
    data: Any = None,
    default_dtype: str = "float32",
) -> Backend:
    """Return the given or named backend; by default that of the data.

    Raises
    ------
    InvalidArgumentError
        If a device or dtype is given in addition to a ``Backend``, which has its own.
    """
    if isinstance(backend, Backend):
        if device is not None or dtype is not None:
            message = "device and dtype are those of the Backend object: give one or the other"
            raise InvalidArgumentError(message)
        return backend
    dtype = dtype or default_dtype
    if backend is None and device is None and isinstance(data, (tuple, list)) and data:
        home = backend_of(data[0], dtype)
        if home is not None:
            return home
    return get_backend(backend or "auto", device, dtype)


def _found(data: Any) -> str:
    """Describe an argument of the wrong type, for the end of a message."""
    found = type(data).__name__
    if isinstance(data, (tuple, list)):
        return f"a {found} of {len(data)}"
    return found


def check_memory(network: Network) -> None:
    """Check that the parameters, which are drawn in float64, fit into the available memory.

    Raises
    ------
    InvalidArgumentError
        If they do not fit. Systems that overcommit memory would kill the process instead.
    """
    shapes = [shape for layer in network.shapes() for shape in layer.values()]
    size = 8 * sum(map(math.prod, shapes))
    available = available_memory()
    if size > (2**63 - 1 if available is None else available):
        has = "" if available is None else f", and {_gigabytes(available)} are available"
        message = (
            f"the parameters of the network take {_gigabytes(size)} of memory{has}: the largest "
            f"have the shape {max(shapes, key=math.prod)}, choose smaller layers"
        )
        raise InvalidArgumentError(message)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"


def check_x(x: Any, n_inputs: int, backend: Backend, name: str = "x") -> Any:
    """Return inputs of shape (N, I) in their own dtype; trailing axes are flattened.

    Arrays on the device of the backend stay there; all others become NumPy arrays. A ``Source`` or
    a memory map becomes a source that checks its values when they are read.

    Raises
    ------
    InvalidArgumentError
        If they are not numbers, have the wrong number of columns, or hold NaN or infinity.
    """
    source = open_map(x) if isinstance(x, np.memmap) else x
    if isinstance(source, Source):
        return _check_source(source, n_inputs, backend, name)
    xp, array = _at_home(x, backend)
    if not xp.isdtype(array.dtype, ("bool", "integral", "real floating")):
        message = f"{name} must hold real numbers, got dtype {array.dtype}"
        raise InvalidArgumentError(message)
    if array.ndim < 2:
        message = (
            f"{name} must have a row per sample and a column per input, got shape "
            f"{tuple(array.shape)}: use {name}.reshape(1, -1) for a single sample"
        )
        raise InvalidArgumentError(message)
    rows = array
    if xp is np and array.dtype.itemsize > np.dtype(backend.dtype).itemsize:
        # The step would cast it anyway; wide integers would wrap on libraries without them.
        with np.errstate(over="ignore"):
            rows = array.astype(backend.dtype)
    if array.ndim > 2:
        rows = xp.reshape(rows, (array.shape[0], math.prod(array.shape[1:])))
    if rows.shape[1] != n_inputs:
        message = f"the network takes {n_inputs} inputs, {name} has {rows.shape[1]} columns"
        raise InvalidArgumentError(message)
    if xp.isdtype(rows.dtype, "real floating"):
        place = first_not_finite(rows, xp)
        if place is not None:
            message = (
                f"{name} holds NaN or infinity, first at row {place[0]}, column {place[1]}: "
                f"fill or drop such values first"
            )
            raise InvalidArgumentError(message)
    return rows


def _check_source(source: Source, n_inputs: int, backend: Backend, name: str) -> Source:
    """Return a source that checks its values when they are read."""
    check_source(source, name)
    if source.shape[1] != n_inputs:
        message = f"the network takes {n_inputs} inputs, {name} has {source.shape[1]} columns"
        raise InvalidArgumentError(message)
    if len(source) > MOST_SAMPLES:
        message = f"{name} has {len(source)} samples: a source may have {MOST_SAMPLES} at most"
        raise InvalidArgumentError(message)
    return Checked(source, backend.dtype, name)


def check_rows(
    data: Any,
    network: Network,
    loss: Loss,
    backend: Backend,
    name: str = "data",
    class_weight: Any = None,
) -> Rows:
    """Return ``(x, y)`` or ``(x, y, sample_weight)``, checked; targets and weights on the host.

    A source with targets replaces ``(x, y)``. Weights include the factors of ``class_weight``, see
    ``check_class_weight``.

    Raises
    ------
    InvalidArgumentError
        If lengths disagree, or targets do not fit the loss and the network's outputs.
    """
    data = with_targets(data)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        message = f"{name} must be (x, y) or (x, y, sample_weight), got {_found(data)}"
        if isinstance(getattr(data, "train", None), tuple):
            message += ": its attribute train holds (x, y)"
        elif isinstance(data, Network):
            message += ": the network comes before the data, as in fit(network, data)"
        raise InvalidArgumentError(message)
    x = check_x(data[0], network.n_inputs, backend, f"{name}'s x")
    y = check_y(data[1], network.n_outputs, loss, backend.dtype, f"{name}'s y")
    weight = None if len(data) == 2 or data[2] is None else _as_numpy(data[2])
    n_samples = x.shape[0]
    if n_samples == 0:
        message = f"{name} has no rows: at least one sample is needed"
        raise InvalidArgumentError(message)
    if n_samples != len(y):
        message = f"{name}: x has {n_samples} rows and y has {len(y)}: they must be equal"
        raise InvalidArgumentError(message)
    if weight is not None:
        weight = _check_weight(weight, n_samples, backend.dtype, name)
    if class_weight is not None:
        weight = class_weighted(class_weight, y, weight, backend.dtype)
    return Rows(x, y, weight)


def _check_weight(weight: np.ndarray, n_samples: int, dtype: str, name: str) -> np.ndarray:
    """Check sample weights, and cast them to the computing type."""
    if weight.shape != (n_samples,) or weight.dtype.kind not in "buif":
        message = f"{name}'s sample_weight must be {n_samples} numbers, got shape {weight.shape}"
        raise InvalidArgumentError(message)
    if not np.all(np.isfinite(weight)) or np.any(weight < 0) or not np.any(weight > 0):
        message = f"{name}'s sample_weight must be finite, not negative and not all zero"
        raise InvalidArgumentError(message)
    cast = _cast(weight, dtype)
    if not np.all(np.isfinite(cast)) or not np.any(cast > 0):
        message = (
            f"{name}'s sample_weight, of {weight.max():g} at most, is beyond {dtype}: "
            f"divide it by its mean"
        )
        raise InvalidArgumentError(message)
    return cast


def with_targets(data: Any) -> Any:
    """Return ``(x, y)`` for a source with targets, and anything else unchanged.

    Raises
    ------
    InvalidArgumentError
        If it is a source without targets.
    """
    if not isinstance(data, Source):
        return data
    if data.y is None:
        message = "the source has no targets: open it with target=, or give (source, y)"
        raise InvalidArgumentError(message)
    return data, data.y


def check_y(y: Any, n_outputs: int, loss: Loss, dtype: str, name: str = "y") -> np.ndarray:
    """Return targets as the loss takes them: int32 (N,) classes, or floats (N, O)."""
    array = _as_numpy(y)
    if array.dtype.kind not in "buif":
        message = (
            f"{name} must hold numbers, got dtype {array.dtype}: "
            f"names of classes become numbers by np.unique(y, return_inverse=True)"
        )
        raise InvalidArgumentError(message)
    if loss.task == "classes":
        return _check_classes(array, n_outputs, name)
    columns = array[:, None] if array.ndim == 1 else array
    if columns.ndim != 2 or columns.shape[1] != n_outputs:
        message = f"{name} must have {n_outputs} columns, one an output, got shape {array.shape}"
        if columns.shape[1:] == (1,) and loss.task == "values":
            message += ": choose loss='cross_entropy' if these are classes"
        raise InvalidArgumentError(message)
    cast = _cast(columns, dtype)
    _check_finite(columns, cast, name)
    if loss.task == "labels" and not np.all((columns == 0) | (columns == 1)):
        message = (
            f"{name} must hold only 0 and 1 for {loss.kind}: choose loss='squared_error' (or "
            f"another for values) to regress on numbers, or loss='cross_entropy' and a network of "
            f"one output a class for classes"
        )
        raise InvalidArgumentError(message)
    least = getattr(loss, "least_target", -math.inf)
    if np.any(columns < least):
        message = f"{name} must be at least {least:g} for the loss {loss.kind}"
        raise InvalidArgumentError(message)
    return cast


def _check_finite(columns: np.ndarray, cast: np.ndarray, name: str) -> None:
    """Check that targets are finite, also in the computing type."""
    bad = np.argwhere(~np.isfinite(cast))
    if not bad.size:
        return
    row, column = bad[0].tolist()
    if np.all(np.isfinite(columns)):
        message = (
            f"{name} holds numbers beyond {cast.dtype}, {len(bad)} of {cast.size}, first "
            f"{columns[row, column]:g} at row {row}, column {column}: scale the targets"
        )
        raise InvalidArgumentError(message)
    message = (
        f"{name} holds NaN or infinity, {len(bad)} of {cast.size} values, first at row {row}, "
        f"column {column}: fill or drop such rows first"
    )
    raise InvalidArgumentError(message)


def _cast(array: np.ndarray, dtype: str) -> np.ndarray:
    """Cast without NumPy's warning about overflow, which is reported separately."""
    with np.errstate(over="ignore"):
        cast: np.ndarray = array.astype(dtype)
    return cast


def choose_loss(loss: Any, y: Any, n_outputs: int) -> Loss:
    """Return the given or named loss, or one that fits the targets.

    Without a loss, float targets mean squared error. Integer targets mean cross-entropy, or binary
    cross-entropy if they have several columns or the network has one output.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown, or the targets are 0.0 and 1.0, which may be labels or values.
    """
    if loss is not None:
        return named_or_given("loss", loss, _is_loss, "Huber()")  # type: ignore[no-any-return]
    array = _as_numpy(y)
    if array.dtype.kind == "f":
        ones = array == 1
        if np.any(ones) and not np.all(ones) and np.all(ones | (array == 0)):
            message = (
                "y holds 0.0 and 1.0 alone, which may be labels or values: choose "
                "loss='binary_cross_entropy' for labels, loss='cross_entropy' for classes (from "
                "one-hot rows, y.argmax(axis=1)), or loss='squared_error' for values"
            )
            raise InvalidArgumentError(message)
        return SquaredError()
    several = array.ndim == 2 and array.shape[1] != 1  # one column contains classes
    return BinaryCrossEntropy() if several or n_outputs == 1 else CrossEntropy()


def _is_loss(loss: Any) -> bool:
    return callable(loss) and hasattr(loss, "task") and hasattr(loss, "link")


def pipeline_for(
    network: Network,
    x: Any,
    augment: Any,
    image_shape: tuple[int, int] | None,
    backend: Backend,
    task: str = "classes",
) -> Pipeline | None:
    """Bind augmentations to the samples of a network, see ``as_pipeline``.

    Without ``image_shape``, the shape of x may show that samples are images, see ``grey_shape``.
    The value of full ink is the input value that the network scales to 1, such as 255 for bytes.
    """
    first, top = network.layers[0] if network.layers else None, 1.0
    if isinstance(first, Scale) and first.factor:
        top = (1 - first.offset) / first.factor
    shape = image_shape or grey_shape(tuple(getattr(x, "shape", ()))[1:])
    return as_pipeline(augment, network.n_inputs, shape, backend, top=top, task=task)


def _at_home(array: Any, backend: Backend) -> tuple[Any, Any]:
    """Return namespace and array: unchanged on the backend's device, otherwise of NumPy."""
    check_dense(array)
    if lives_on(array, backend):
        return backend.xp, array
    return np, _as_numpy(array)


def _as_numpy(array: Any) -> np.ndarray:
    if hasattr(array, "tocsr"):
        message = "expected a dense array, got a sparse matrix: give its .toarray()"
        raise InvalidArgumentError(message)
    check_dense(array)
    try:
        return to_numpy(array)
    except (TypeError, ValueError) as error:
        message = f"expected an array, or rows of equal length: {' '.join(str(error).split())}"
        raise InvalidArgumentError(message) from error


def _check_classes(array: np.ndarray, n_classes: int, name: str) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        message = (
            f"{name} must be one class a sample, got shape {array.shape}: give y.argmax(axis=1) of "
            f"one-hot rows, or choose loss='binary_cross_entropy' for several labels a row"
        )
        raise InvalidArgumentError(message)
    if array.dtype.kind == "f" and not np.all(array == np.floor(array)):
        message = (
            f"{name} must be whole numbers, one class a sample: choose loss='squared_error' for "
            f"values"
        )
        raise InvalidArgumentError(message)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or high >= n_classes:
        message = (
            f"{name} must be classes from 0 to {n_classes - 1} for {n_classes} outputs, "
            f"got values from {low} to {high}: number classes from 0 (np.unique(y, "
            f"return_inverse=True)), or choose loss='squared_error' for values"
        )
        raise InvalidArgumentError(message)
    return array.astype(np.int32)
