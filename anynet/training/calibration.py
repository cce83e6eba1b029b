"""Temperature scaling: probabilities that agree with the frequencies of outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np

from anynet import tree
from anynet.backends import to_numpy
from anynet.checks import require
from anynet.errors import InvalidArgumentError
from anynet.nn.layers import Dense
from anynet.training.ensemble import Ensemble, weighted_mean
from anynet.training.evaluate import slice_rows
from anynet.training.inputs import check_rows
from anynet.training.model import Model, map_rows

#: Methods of calibration.
METHODS = ("temperature",)

#: Key in the metadata of a calibrated model.
TEMPERATURE = "temperature"

#: Temperatures between 1/LARGEST and LARGEST are searched.
LARGEST = 50.0

AnyModel = TypeVar("AnyModel", bound=Model | Ensemble)


def calibrate(model: AnyModel, data: Any) -> AnyModel:
    """Divide the logits of a model by the temperature that minimises the log loss of new samples.

    The temperature becomes part of the weight and the bias of the last layer, so that files, other
    backends and exports contain it. The order of the classes of a sample does not change, nor does
    accuracy, except where two classes are equal to rounding.

    Parameters
    ----------
    model : Model or Ensemble
        Of classes or labels. All members of an ensemble get the same temperature: the one that is
        best for their mean.
    data : (x, y) or (x, y, sample_weight)
        Samples that no network was trained on, such as those of ``validation``, as for ``fit``.

    Returns
    -------
    Model or Ensemble
        A new one; ``metadata["temperature"]`` is the temperature in relation to the weights of
        training. Its log loss on the samples is not higher than before.

    Raises
    ------
    InvalidArgumentError
        If SciPy is not installed, the model predicts values, its last layer is not dense, the data
        are not as documented, or no temperature from 0.02 to 50 is best: if every sample is
        predicted correctly, the log loss falls with the temperature without limit.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", section 4.2.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> x, y = digits.train
    >>> model = anynet.fit(network, (x[:1000], y[:1000]), epochs=60, backend="numpy")
    >>> calibrated = anynet.calibrate(model, (x[1000:], y[1000:]))
    >>> calibrated.metadata["temperature"] > 1  # the model was overconfident
    True
    >>> bool((calibrated.predict(x) == model.predict(x)).all())
    True
    """
    members = _members(model)
    first = members[0]
    rows = check_rows(data, first.network, first.loss, first.backend)
    y = np.asarray(rows.y)
    logits = [_logits(one, rows.x) for one in members]
    weights = model.weights if isinstance(model, Ensemble) else None

    def mean(temperature: float) -> np.ndarray:
        means = [first.loss.link(each / temperature, np) for each in logits]
        return np.asarray(weighted_mean(means, weights))

    def log_loss(temperature: float) -> float:
        right = _of_truth(first.loss.task, mean(temperature), y)
        losses = -np.sum(np.log(np.maximum(right, np.finfo(np.float64).tiny)), axis=1)
        return float(np.average(losses, weights=rows.weight))

    if _are_correct(first.loss.task, mean(1.0), y):
        message = (
            f"no temperature is best for these {len(y):,} samples, because all of them are "
            f"predicted correctly: pass more samples that no network was trained on"
        )
        raise InvalidArgumentError(message)
    temperature = best_temperature(log_loss)
    if log_loss(temperature) > log_loss(1.0):  # to rounding
        temperature = 1.0
    known = float(model.metadata.get(TEMPERATURE, 1.0))
    metadata = {**model.metadata, TEMPERATURE: known * temperature}
    cooled = [_divided(one, temperature) for one in members]
    several = isinstance(model, Ensemble)
    made = Ensemble(cooled, metadata, weights) if several else replace(cooled[0], metadata=metadata)
    return cast(AnyModel, made)


def best_temperature(log_loss: Callable[[float], float]) -> float:
    """Return the temperature with the least log loss, by SciPy's bounded search of its logarithm.

    The log loss of a single network is convex in the inverse temperature.

    Raises
    ------
    InvalidArgumentError
        If it is at an end of the range, or SciPy is not installed.
    """
    end = math.log(LARGEST)
    found = require("scipy.optimize", "calibrate", "scipy").minimize_scalar(
        lambda logarithm: log_loss(math.exp(logarithm)),
        bounds=(-end, end),
        method="bounded",
        options={"xatol": 1e-9},
    )
    best = math.exp(found.x)
    if not 1.001 / LARGEST < best < LARGEST / 1.001:
        message = (
            f"no temperature from {1 / LARGEST:g} to {LARGEST:g} is best for these samples: the "
            f"log loss still falls at {best:.3g}; check the samples, or train a better model first"
        )
        raise InvalidArgumentError(message)
    return best


def _members(model: Any) -> tuple[Model, ...]:
    """Return the networks of a model whose logits can be divided."""
    if not isinstance(model, (Model, Ensemble)):
        message = f"model must be a Model or an Ensemble, got {type(model).__name__}"
        raise InvalidArgumentError(message)
    members = model.models if isinstance(model, Ensemble) else (model,)
    for member in members:
        last = member.network.layers[-1]
        if member.loss.task == "values":
            message = f"a temperature is for probabilities: the loss {member.loss.kind} has values"
            raise InvalidArgumentError(message)
        if type(last) is not Dense:
            message = (
                f"the last layer must be dense to be divided by a temperature, got {last.kind}"
            )
            raise InvalidArgumentError(message)
    return members


def _logits(model: Model, x: Any) -> np.ndarray:
    """Return the logits (N, O) in float64 on the host."""
    size = slice_rows(model.network, model.backend)
    logits = map_rows(model.logits, x, model.network.n_inputs, model.backend, size)
    return to_numpy(logits).astype(np.float64)


def _of_truth(task: str, likely: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the probabilities of the true class (N, 1), or of the true value of labels (N, O)."""
    if task == "classes":
        return np.take_along_axis(likely, y[:, None].astype(np.int64), axis=1)
    return np.where(y > 0.5, likely, 1 - likely)


def _are_correct(task: str, likely: np.ndarray, y: np.ndarray) -> bool:
    """Whether all classes, or all labels, are predicted correctly."""
    if task == "classes":
        return bool(np.all(np.argmax(likely, axis=1) == y))
    return bool(np.all((likely > 0.5) == (y > 0.5)))


def _divided(model: Model, temperature: float) -> Model:
    """Return the model whose logits are divided by a temperature."""
    *others, last = model.params
    factor = 1 / temperature
    with model.backend.context():
        divided = tree.map(lambda leaf: leaf * factor, last)
    return replace(model, params=(*others, divided))
