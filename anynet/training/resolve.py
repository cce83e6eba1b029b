"""From the options that users give to the parts of a step."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.checks import did_you_mean
from anynet.errors import InvalidArgumentError
from anynet.nn.layers import Activation, AnyLayer, Dropout
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.optim import SGD, Optimizer, Schedule, as_schedule
from anynet.optim.optimizers import OPTIMIZERS
from anynet.training.inputs import choose_loss
from anynet.training.model import Model
from anynet.training.options import FitOptions
from anynet.training.saving import parameter_shapes
from anynet.typing import Params


class Parts(NamedTuple):
    """What a step is made of, besides its numbers."""

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule


def resolve_parts(
    network: Network, y: Any, options: FitOptions
) -> tuple[Network, Parts, FitOptions]:
    """Make the parts that options name, with the numbers that override the parts' own.

    Parameters
    ----------
    network : Network
    y : array of shape (N,) or (N, O)
        Targets, from which a loss is chosen if none is named.
    options : FitOptions

    Returns
    -------
    network : Network
        With the rate of ``dropout``.
    parts : Parts
    options : FitOptions
        With these parts in place of names, and without the numbers that the parts have now.
    """
    optimizer = as_optimizer(options.optimizer)
    loss = choose_loss(options.loss, y, network.n_outputs)
    optimizer = _overridden(optimizer, options, "momentum", "weight_decay")
    loss = _overridden(loss, options, "label_smoothing")
    if options.dropout is not None:
        network = with_dropout(network, options.dropout)
    parts = Parts(loss, optimizer, as_schedule(options.learning_rate))
    resolved = replace(
        options,
        loss=loss,
        optimizer=optimizer,
        learning_rate=parts.schedule,
        momentum=None,
        weight_decay=None,
        dropout=None,
        label_smoothing=None,
    )
    return network, parts, resolved


def as_optimizer(optimizer: Any) -> Optimizer:
    """Return an optimizer as it is, the one of a name, or plain SGD.

    Raises
    ------
    InvalidArgumentError
        If there is no optimizer of that name, or it is something else.
    """
    if optimizer is None:
        return SGD()
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            hint = did_you_mean(optimizer, OPTIMIZERS)
            message = f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}{hint}"
            raise InvalidArgumentError(message)
        named: Optimizer = OPTIMIZERS[optimizer]()
        return named
    is_one = hasattr(optimizer, "init") and hasattr(optimizer, "update")
    if isinstance(optimizer, type) or not is_one:
        message = f"optimizer must be a name or an object such as Adam(), got {optimizer!r}"
        raise InvalidArgumentError(message)
    return optimizer  # type: ignore[no-any-return]


def _overridden(part: Any, options: FitOptions, *names: str) -> Any:
    """Return a part with the numbers of some options."""
    for name in names:
        value = getattr(options, name)
        if value is None:
            continue
        if name not in {field.name for field in dataclasses.fields(part)}:
            message = f"{part.kind} has no {name}: leave it out, or choose another"
            raise InvalidArgumentError(message)
        part = replace(part, **{name: value})
    return part


def with_dropout(network: Network, rate: float | Schedule) -> Network:
    """Return the network with this rate in its dropout layers.

    One without any gets them after its activations, where ``mlp`` puts them, even at rate 0: so
    networks of different rates have the same layers.
    """
    dropout = Dropout(rate)  # type: ignore[arg-type]
    has_some = any(isinstance(layer, Dropout) for layer in network.layers)
    layers: list[AnyLayer] = []
    for layer in network.layers:
        layers.append(dropout if isinstance(layer, Dropout) else layer)
        if isinstance(layer, Activation) and not has_some:
            layers.append(dropout)
    return replace(network, layers=tuple(layers))


def start_params(start: Any, network: Network, backend: Backend) -> Params:
    """Return a copy of a model's parameters as the first ones of another training run.

    Raises
    ------
    InvalidArgumentError
        If it is not a model, or the shapes of its parameters are not those of the network.
    """
    if not isinstance(start, Model):
        message = f"start must be a Model, as fit returns it, got {type(start).__name__}"
        raise InvalidArgumentError(message)
    wanted, found = parameter_shapes(network), parameter_shapes(start.network)
    if wanted != found:
        message = (
            f"start has parameters of shapes {[*found.values()]}, the network of "
            f"{[*wanted.values()]}: pass start.network as the network"
        )
        raise InvalidArgumentError(message)
    dtype = np.dtype(backend.dtype)
    first: Params = tree.map(
        lambda leaf: backend.to_device(np.array(start.backend.to_host(leaf), dtype=dtype)),
        start.params,
    )
    return first
