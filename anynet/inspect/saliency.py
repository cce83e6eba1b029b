"""Saliency: how much each input of a sample contributes to an output of the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet.backends import to_numpy
from anynet.checks import check_bool, is_whole
from anynet.data.tables import Table
from anynet.errors import InvalidArgumentError
from anynet.training.ensemble import Ensemble, weighted_mean
from anynet.training.evaluate import slice_rows
from anynet.training.inputs import check_x
from anynet.training.model import Model, map_rows
from anynet.typing import Array


def saliency(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    times_input: bool = True,
    baseline: Any = 0.0,
) -> Any:
    """Return the gradient of an output by the inputs, times the inputs.

    The gradient is exact: it is computed by the pullback of the network at inference, as in
    training. The output is the logit of a class or label, or the value of a network that predicts
    values, before the link of the loss. For an ensemble, it is the weighted mean of the outputs of
    its members. The products do not depend on the unit of the inputs.

    Parameters
    ----------
    model : Model, Ensemble, MLPClassifier or MLPRegressor
    x : array of shape (N, I)
        As for ``Model.predict``.
    target : int or array of int (N,), optional
        Index of the output, one for all samples or one for each. By default the predicted class,
        or the only output.
    times_input : bool
        Whether to multiply the gradient by the inputs.
    baseline : float or array of shape (I,)
        Subtracted from the inputs before they are multiplied: an input that equals it has no
        saliency. For images it is the value of the background.

    Returns
    -------
    array of shape (N, I)
        In the float type of the model; on the host for host arrays, otherwise on the device of
        ``x``. Positive where more of the input raises the output.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented.

    References
    ----------
    Simonyan, Vedaldi and Zisserman 2013, "Deep Inside Convolutional Networks", for the gradient;
    Shrikumar et al. 2016, "Not Just a Black Box", for its product with the input.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> model = anynet.fit(network, digits.train, epochs=3, backend="numpy")
    >>> anynet.inspect.saliency(model, digits.test[0][:5]).shape
    (5, 64)
    """
    model = model.to_model() if hasattr(model, "to_model") else model
    if not isinstance(model, (Model, Ensemble)):
        message = f"model must be a Model, an Ensemble, or an MLP estimator, got {model!r}"
        raise InvalidArgumentError(message)
    if isinstance(x, Table):
        message = (
            "saliency needs an array of inputs, got a table: permutation_importance explains "
            "models of tables"
        )
        raise InvalidArgumentError(message)
    check_bool("times_input", times_input)
    targets = _targets(model, x, target)
    models = model.models if isinstance(model, Ensemble) else (model,)
    weights = model.weights if isinstance(model, Ensemble) else None
    parts = [_of_one(one, x, targets, times_input, baseline) for one in models]
    return weighted_mean(parts, weights)


def _of_one(model: Model, x: Any, targets: np.ndarray, times_input: bool, baseline: Any) -> Any:
    """Return the saliency (N, I) of a single network."""
    backend, network = model.backend, model.network
    xp, dtype = backend.xp, np.dtype(backend.dtype)
    wanted = np.eye(network.n_outputs, dtype=dtype)
    origin = _baseline(baseline, network.n_inputs, dtype)
    done = 0

    def of_slice(some: Array) -> Array:
        nonlocal done
        dlogits = backend.to_device(wanted[targets[done : done + some.shape[0]]])
        done += some.shape[0]
        _, pullback, _ = network.apply(
            model.params, some, backend=backend, key=None, states=model.states
        )
        dx = pullback(dlogits, need_dx=True)[1]
        if not times_input:
            return dx  # type: ignore[return-value]  # it is needed, so it is there
        product: Array = (xp.astype(some, backend.float_dtype) - backend.to_device(origin)) * dx
        return product

    # The pullbacks keep the outputs of all layers.
    size = max(1, slice_rows(network, backend) // len(network.layers))
    return map_rows(of_slice, x, network.n_inputs, backend, size)


def _targets(model: Model | Ensemble, x: Any, target: Any) -> np.ndarray:
    """Return the index of the output of each sample (N,), checked."""
    first = model.models[0] if isinstance(model, Ensemble) else model
    n_outputs, task = first.network.n_outputs, first.loss.task
    n_rows = check_x(x, first.network.n_inputs, first.backend).shape[0]
    if target is None and n_outputs == 1:
        return np.zeros(n_rows, dtype=np.int64)
    if target is None and task == "classes":
        return to_numpy(model.predict(x)).astype(np.int64)
    if target is None:
        message = (
            f"target is needed: the model predicts {n_outputs} {task}; pass the index of one, from "
            f"0 to {n_outputs - 1}"
        )
        raise InvalidArgumentError(message)
    chosen = np.asarray(target if is_whole(target) else to_numpy(target))
    fits = chosen.dtype.kind in "iu" and chosen.shape in ((), (n_rows,))
    if not fits or np.any((chosen < 0) | (chosen >= n_outputs)):
        message = (
            f"target must be the index of an output, from 0 to {n_outputs - 1}, or one for each of "
            f"the {n_rows} samples, got {target!r}"
        )
        raise InvalidArgumentError(message)
    return np.broadcast_to(chosen, (n_rows,)).astype(np.int64)


def _baseline(baseline: Any, n_inputs: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the baseline (I,), checked."""
    try:
        origin = np.asarray(to_numpy(baseline), dtype=dtype)
    except (TypeError, ValueError):
        origin = np.zeros((0, 0))
    if origin.shape not in ((), (n_inputs,)) or not np.all(np.isfinite(origin)):
        message = f"baseline must be a number, or {n_inputs} numbers, got {baseline!r}"
        raise InvalidArgumentError(message)
    return np.array(np.broadcast_to(origin, (n_inputs,)))
