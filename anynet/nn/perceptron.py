"""Fully connected networks: dense layers with activations, normalisation and dropout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anynet.checks import check_bool, is_whole, suggests_names
from anynet.errors import InvalidArgumentError
from anynet.nn.layers import (
    Activation,
    AnyLayer,
    BatchNorm,
    Dense,
    Dropout,
    LayerNorm,
    Scale,
    Standardize,
)
from anynet.nn.layers.initializers import initializer_for
from anynet.nn.network import Network


@suggests_names
def mlp(
    layer_sizes: Sequence[int],
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    layer_norm: bool = False,
    batch_norm: bool = False,
    standardize: bool = False,
    initializer: str | None = None,
    scale: float | None = None,
    offset: float = 0.0,
) -> Network:
    """Describe a fully connected network.

    Parameters
    ----------
    layer_sizes : sequence of int
        Inputs, hidden units, outputs: ``[784, 128, 64, 10]`` has two hidden layers.
    activation : str
        Applied after each hidden layer: relu, leaky_relu, elu, selu, gelu, silu, mish, tanh,
        sigmoid or identity, or scaled_tanh, which is 1.7159 tanh(⅔ x) (LeCun et al. 1998,
        "Efficient BackProp", section 4.4).
    dropout : float
        The share of the outputs of each hidden layer that is dropped while training.
    input_dropout : float
        The share of the inputs that is dropped while training.
    layer_norm : bool
        Whether each hidden layer is normalised over its units before its activation.
    batch_norm : bool
        Whether each hidden layer is normalised over the batch before its activation, see
        ``anynet.nn.BatchNorm``.
    standardize : bool
        Whether the inputs are shifted and scaled to mean 0 and variance 1 over the training
        samples, see ``anynet.nn.Standardize``.
    initializer : str, optional
        A name of ``anynet.nn.INITIALIZERS``; by default the one whose theory fits
        the activation (He for the ReLU family, Glorot for tanh and sigmoid, LeCun for SELU and
        scaled_tanh).
    scale : float, optional
        Factor of the inputs: 1/255 for bytes.
    offset : float
        Added to the scaled inputs.

    Returns
    -------
    Network

    Raises
    ------
    InvalidArgumentError
        If a size is not a positive integer, an option is not one of those listed, or two options
        exclude each other.

    Examples
    --------
    >>> import anynet
    >>> anynet.mlp([784, 128, 64, 10], scale=1 / 255).n_outputs
    10
    """
    sizes = list(layer_sizes) if isinstance(layer_sizes, Iterable) else []
    if len(sizes) < 2 or not all(is_whole(size) and size > 0 for size in sizes):
        message = (
            f"layer_sizes must be at least two positive integers, inputs first and outputs last, "
            f"such as [784, 128, 64, 10], got {layer_sizes!r}"
        )
        raise InvalidArgumentError(message)
    check_bool("layer_norm", layer_norm)
    check_bool("batch_norm", batch_norm)
    check_bool("standardize", standardize)
    if layer_norm and batch_norm:
        message = "layer_norm and batch_norm normalise the same place: choose one"
        raise InvalidArgumentError(message)
    factor = Scale(1.0 if scale is None else scale, offset).factor  # checks both
    if factor == 0:
        message = "scale must not be 0: every input would become 0"
        raise InvalidArgumentError(message)
    if standardize and (factor != 1 or offset):
        message = f"standardize scales the inputs: leave out scale={scale} and offset={offset}"
        raise InvalidArgumentError(message)
    after_hidden = _activation(activation)
    if layer_norm or batch_norm:
        after_hidden.insert(0, LayerNorm() if layer_norm else BatchNorm())
    hidden_initializer = initializer or initializer_for(activation)
    layers: list[AnyLayer] = [Standardize()] if standardize else []
    if factor != 1 or offset:
        layers.append(Scale(float(factor), float(offset)))
    if input_dropout:
        layers.append(Dropout(input_dropout))
    for units in sizes[1:-1]:
        layers += [Dense(int(units), hidden_initializer), *after_hidden]
        if dropout:
            layers.append(Dropout(dropout))
    layers.append(Dense(int(sizes[-1]), hidden_initializer))
    return Network(int(sizes[0]), tuple(layers))


def _activation(name: str) -> list[AnyLayer]:
    """Return the layers of an activation: three for a scaled one."""
    if name == "scaled_tanh":
        return [Scale(2 / 3), Activation("tanh"), Scale(1.7159)]
    return [Activation(name)]
