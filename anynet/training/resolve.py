"""Create the parts of a step from the options of a fit."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import is_number
from anynet.nn.layers import Activation, AnyLayer, Dropout, EnsembleMean
from anynet.nn.losses import Loss
from anynet.nn.network import Network, place
from anynet.optim import (
    Optimizer,
    Schedule,
    Warmup,
    as_optimizer,
    as_schedule,
    bound_to,
    for_run,
)
from anynet.training.inputs import choose_loss
from anynet.training.model import Model
from anynet.training.model_file import parameter_shapes
from anynet.training.options import FitOptions, is_schedule
from anynet.training.state import Weights

#: Values of numbers that a schedule sets. SGD has a velocity only with a momentum other than 0.
PLACEHOLDERS = {"momentum": 0.9, "weight_decay": 0.0, "dropout": 0.0, "label_smoothing": 0.0}


class Parts(NamedTuple):
    """The parts of a step; schedules have the number of epochs of the run."""

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    driven: tuple[tuple[str, Schedule], ...]  # see ``TrainingStep``


def resolve_parts(
    network: Network, y: Any, options: FitOptions
) -> tuple[Network, Parts, FitOptions]:
    """Create the parts that the options name, with the numbers that override theirs.

    Parameters
    ----------
    network : Network
    y : array of shape (N,) or (N, O)
        Targets, which determine the loss if the options have none.
    options : FitOptions

    Returns
    -------
    network : Network
        With the rate of the option ``dropout``.
    parts : Parts
    options : FitOptions
        With these parts instead of names, and without the numbers that are now in the parts.
    """
    driving = {
        name: _driving(getattr(options, name), name)
        for name in PLACEHOLDERS
        if is_schedule(getattr(options, name))
    }
    placeholders: dict[str, Any] = {name: PLACEHOLDERS[name] for name in driving}
    numbers = replace(options, **placeholders)
    optimizer = _overridden(as_optimizer(options.optimizer), numbers, "momentum", "weight_decay")
    loss = choose_loss(options.loss, y, network.n_outputs)
    loss = _overridden(loss, numbers, "label_smoothing")
    _check_mean(network, loss)
    if numbers.dropout is not None:
        network = with_dropout(network, numbers.dropout)  # type: ignore[arg-type]  # a number
    paths = {
        "momentum": ["optimizer.momentum"],
        "weight_decay": ["optimizer.weight_decay"],
        "label_smoothing": ["loss.label_smoothing"],
        "dropout": [
            f"network.layers.{index}.rate"
            for index, layer in enumerate(network.layers)
            if isinstance(layer, Dropout)
        ],
    }
    epochs, schedule = options.epochs, as_schedule(options.learning_rate)
    driven = tuple(
        (path, for_run(driving[name], epochs)) for name in driving for path in paths[name]
    )
    parts = Parts(loss, bound_to(network, optimizer), for_run(schedule, epochs), driven)
    unresolved: dict[str, Any] = {name: driving.get(name) for name in PLACEHOLDERS}
    resolved = replace(
        options, loss=loss, optimizer=optimizer, learning_rate=schedule, **unresolved
    )
    return network, parts, resolved


def _check_mean(network: Network, loss: Loss) -> None:
    """Check that the members' mean prediction is that of the loss."""
    link = getattr(loss, "link_name", None)
    for layer in network.layers:
        if isinstance(layer, EnsembleMean) and layer.link != link:
            message = (
                f"EnsembleMean averages with link={layer.link!r}, and the loss {loss.kind} has the "
                f"link {link!r}: make it EnsembleMean({layer.members}, {link!r})"
            )
            raise InvalidArgumentError(message)


def _driving(given: Any, name: str) -> Schedule:
    """Return the schedule of a number other than the learning rate, within the number's range."""
    schedule = as_schedule(given, name)
    inner = schedule.schedule if isinstance(schedule, Warmup) else schedule
    highest = max(getattr(inner, "value", 0.0), getattr(inner, "final", 0.0))
    if name != "weight_decay" and is_number(highest) and highest >= 1:
        message = f"{name} must stay in [0, 1), got a schedule that reaches {highest:g}: {given!r}"
        raise InvalidArgumentError(message)
    return schedule


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


def with_dropout(network: Network, rate: float) -> Network:
    """Return the network with this rate in its dropout layers.

    A network without dropout layers gets one after each activation, as in ``mlp``, even for rate 0,
    so that networks with different rates have the same layers.
    """
    dropout = Dropout(rate)
    has_some = any(isinstance(layer, Dropout) for layer in network.layers)
    layers: list[AnyLayer] = []
    frozen = []
    for index, layer in enumerate(network.layers):
        if index in network.frozen:
            frozen.append(len(layers))
        layers.append(dropout if isinstance(layer, Dropout) else layer)
        if isinstance(layer, Activation) and not has_some:
            layers.append(dropout)
    return Network(network.n_inputs, tuple(layers), tuple(frozen))


def start_weights(start: Any, network: Network, backend: Backend) -> Weights:
    """Return a copy of a model's weights, as the initial weights of another run.

    The states of its layers, such as running statistics, are copied too.

    Raises
    ------
    InvalidArgumentError
        If ``start`` is not a model, or its parameters do not have the shapes of the network.
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
    if tree.map(np.shape, start.network.init_states()) != tree.map(np.shape, network.init_states()):
        message = "start has other layers with state: pass start.network as the network"
        raise InvalidArgumentError(message)
    host = tree.map(start.backend.to_host, Weights(start.params, start.states))
    weights: Weights = place(host, backend)
    return weights
