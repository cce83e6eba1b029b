"""A network: layers applied one after another, and their pullbacks in reverse."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.nn.initializers import initializer_for
from anynet.nn.layers import LAYERS, Activation, Dense, Dropout, Layer, LayerNorm, Scale
from anynet.nn.parts import make_part
from anynet.seeds import Purpose, host_generator
from anynet.typing import Array, Grads, Key, LayerGrads, Params

NetworkPullback: TypeAlias = Callable[..., tuple[Grads, Array | None]]
"""``(dlogits, need_dx=False) -> (grads, dx)``."""


@dataclass(frozen=True)
class Network:
    """An immutable description of a network; its parameters are kept apart.

    Parameters
    ----------
    n_inputs : int
        Columns of the data.
    layers : tuple of Layer
    """

    n_inputs: int
    layers: tuple[Layer, ...]

    @property
    def n_outputs(self) -> int:
        """The units of the last dense layer."""
        widths = [layer.units for layer in self.layers if isinstance(layer, Dense)]
        return widths[-1] if widths else self.n_inputs

    def init(self, seed: int | Sequence[int], backend: Backend) -> Params:
        """Draw the initial parameters on the host and place them on the device.

        Parameters
        ----------
        seed : int or sequence of int
            A sequence makes a population: member k equals the network of seed k.
        backend : Backend

        Returns
        -------
        Params
            Arrays of shape (I, O) and (O,), or (K, I, O) and (K, O) for K seeds.
        """
        if isinstance(seed, Sequence):
            members = [self.init_host(one) for one in seed]
            host: Any = tree.map(lambda *leaves: np.stack(leaves), *members)
        else:
            host = self.init_host(seed)
        dtype = np.dtype(backend.dtype)
        params: Params = tree.map(lambda leaf: backend.to_device(leaf.astype(dtype)), host)
        return params

    def init_host(self, seed: int) -> tuple[dict[str, np.ndarray], ...]:
        """Draw the initial parameters in float64 on the host."""
        rng = host_generator(seed, Purpose.WEIGHTS)
        params = []
        width = self.n_inputs
        for layer in self.layers:
            layer_params, width = layer.init(rng, width)
            params.append(layer_params)
        return tuple(params)

    def apply(
        self, params: Params, x: Array, *, backend: Backend, key: Key | None = None
    ) -> tuple[Array, NetworkPullback]:
        """Compute the logits and a pullback.

        Parameters
        ----------
        params : Params
        x : Array of shape (B, I) or (*P, B, I)
            In any numeric dtype; it is cast to that of the backend.
        backend : Backend
        key : Key, optional
            Where dropout draws from; None means inference.

        Returns
        -------
        logits : Array of shape (*P, B, O)
        pullback : callable
            ``(dlogits, need_dx=False) -> (grads, dx)``; without ``need_dx`` nothing is computed
            below the first layer that has parameters, and dx is None. Gradients of dense weights
            are products that are not formed yet, see ``form_gradients``.
        """
        x = self._cast(x, backend)
        pullbacks = []
        for index, layer in enumerate(self.layers):
            layer_key = key.at(index) if key is not None and layer.random else None
            x, layer_pullback = layer.apply(params[index], x, backend=backend, key=layer_key)
            pullbacks.append(layer_pullback)
        first = next((i for i, layer_params in enumerate(params) if layer_params), 0)

        def pullback(dy: Array, need_dx: bool = False) -> tuple[Grads, Array | None]:
            grads: list[LayerGrads] = [{} for _ in pullbacks]
            dx: Array | None = dy
            for index in range(len(pullbacks) - 1, -1 if need_dx else first - 1, -1):
                grads[index], dx = pullbacks[index](dx, need_dx or index > first)
            return tuple(grads), dx if need_dx else None

        return x, pullback

    def predict(self, params: Params, x: Array, *, backend: Backend) -> Array:
        """Compute the logits without keeping what a pullback would need."""
        x = self._cast(x, backend)
        for layer, layer_params in zip(self.layers, params, strict=True):
            x = layer.apply(layer_params, x, backend=backend)[0]
        return x

    def to_config(self) -> dict[str, Any]:
        """Return a JSON-able description that ``from_config`` turns back into the network."""
        layers = [{"kind": layer.kind} | dataclasses.asdict(layer) for layer in self.layers]  # type: ignore[call-overload]
        return {"n_inputs": self.n_inputs, "layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Network:
        """Rebuild a network from ``to_config``.

        Raises
        ------
        InvalidArgumentError
            If a layer or option is unknown to this version, or a number is not possible.
        """
        n_inputs, layers = config["n_inputs"], config["layers"]
        if type(n_inputs) is not int or not 0 < n_inputs < 2**63 or not isinstance(layers, list):
            message = f"expected a count of inputs and a list of layers, got {config!r}"
            raise InvalidArgumentError(message)
        return cls(n_inputs, tuple(make_part("layer", LAYERS, entry) for entry in layers))

    @staticmethod
    def _cast(x: Array, backend: Backend) -> Array:
        if x.dtype == backend.float_dtype:
            return x
        cast: Array = backend.xp.astype(x, backend.float_dtype)
        return cast


def mlp(
    layer_sizes: Sequence[int],
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    layer_norm: bool = False,
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
        After each hidden layer: relu, leaky_relu, elu, selu, gelu, silu, mish, tanh, sigmoid or
        identity, or scaled_tanh, which is 1.7159 tanh(⅔ x) (LeCun et al. 1998, "Efficient
        BackProp", section 4.4).
    dropout : float
        The share of each hidden layer's outputs that is dropped while training.
    input_dropout : float
        The share of the inputs that is.
    layer_norm : bool
        Whether each hidden layer is normalised before its activation.
    initializer : str, optional
        A name of ``anynet.nn.initializers.INITIALIZERS``; by default the one whose theory fits
        the activation (He for the ReLU family, Glorot for tanh and sigmoid, LeCun for SELU and
        scaled_tanh).
    scale : float, optional
        What multiplies the inputs: 1/255 for bytes.
    offset : float
        What is then added to them.

    Returns
    -------
    Network

    Raises
    ------
    InvalidArgumentError
        If a size is not a positive integer, or an option is not one of those listed.

    Examples
    --------
    >>> import anynet
    >>> anynet.mlp([784, 128, 64, 10], scale=1 / 255).n_outputs
    10
    """
    sizes = list(layer_sizes)
    if len(sizes) < 2 or any(
        isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1
        for size in sizes
    ):
        message = (
            f"layer_sizes must be at least two positive integers, inputs first and outputs last, "
            f"such as [784, 128, 64, 10], got {layer_sizes!r}"
        )
        raise InvalidArgumentError(message)
    after_hidden = _activation(activation)  # an unknown one is refused even if none takes it
    hidden_initializer = initializer or initializer_for(activation)
    layers: list[Layer] = []
    factor = 1.0 if scale is None else float(scale)
    if factor != 1 or offset:
        layers.append(Scale(factor, float(offset)))
    if input_dropout:
        layers.append(Dropout(input_dropout))
    for units in sizes[1:-1]:
        layers.append(Dense(int(units), hidden_initializer))
        if layer_norm:
            layers.append(LayerNorm())
        layers += after_hidden
        if dropout:
            layers.append(Dropout(dropout))
    layers.append(Dense(int(sizes[-1]), hidden_initializer))
    return Network(int(sizes[0]), tuple(layers))


def _activation(name: str) -> list[Layer]:
    """The layers of an activation, which are several where a scaled one is made of a plain one."""
    if name == "scaled_tanh":
        return [Scale(2 / 3), Activation("tanh"), Scale(1.7159)]
    return [Activation(name)]
