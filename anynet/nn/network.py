"""Networks: layers applied one after another, and their pullbacks in reverse order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from anynet import tree
from anynet.backends import Backend, get_backend
from anynet.checks import check_whole, is_whole
from anynet.config import from_config, to_config
from anynet.errors import InvalidArgumentError
from anynet.nn.layers import AnyLayer, Pullback, is_stateful
from anynet.nn.layers.ensemble import check_members
from anynet.nn.layers.layer import Shapes
from anynet.seeds import Purpose, host_generator
from anynet.typing import Array, Grads, Key, LayerGrads, LayerState, LayerStates, Params

NetworkPullback: TypeAlias = Callable[..., tuple[Grads, Array | None]]
"""``(dlogits, need_dx=False) -> (grads, dx)``."""


@dataclass(frozen=True)
class Network:
    """An immutable description of a network, without its parameters and states.

    Parameters
    ----------
    n_inputs : int
        Columns of the data.
    layers : sequence of layers
        Kept as a tuple. See ``anynet.nn.Layer`` and ``anynet.nn.StatefulLayer``.
    frozen : tuple of int
        Indices of layers that are not trained, see ``freeze``.

    Raises
    ------
    InvalidArgumentError
        If there is no layer, or an entry is not one; if layers with members are not between
        ``EnsembleInput`` and ``EnsembleMean``, or differ in their number; if ``frozen`` is not a
        tuple of increasing indices of layers, or leaves no parameter to train; or if a layer that
        is fitted to the data is not the first.

    Examples
    --------
    >>> from anynet import nn
    >>> network = nn.Network(64, (nn.Dense(32), nn.Activation("tanh"), nn.Dense(10)))
    >>> network.widths, network.n_parameters
    ((64, 32, 32, 10), 2410)
    >>> network.freeze([0]).frozen
    (0,)
    """

    n_inputs: int
    layers: tuple[AnyLayer, ...]
    frozen: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_whole("n_inputs", self.n_inputs)
        object.__setattr__(self, "layers", _checked_layers(self.layers))
        if late := [at for at, one in enumerate(self.layers) if at and hasattr(one, "fit_state")]:
            at = late[0]
            message = f"a layer of kind {self.layers[at].kind} must be the first, got it as {at}"
            raise InvalidArgumentError(message)
        check_members(self.layers)
        if not self.frozen:
            return
        frozen = self.frozen if isinstance(self.frozen, tuple) else ()
        known = [at for at in range(len(self.layers)) if at in frozen]
        if self.frozen != tuple(known):
            message = (
                f"frozen must hold increasing indices of the {len(self.layers)} layers, got "
                f"{self.frozen!r}"
            )
            raise InvalidArgumentError(message)
        if not any(shapes for at, shapes in enumerate(self.shapes()) if at not in self.frozen):
            message = f"at least one layer with parameters must be trained, got frozen={known}"
            raise InvalidArgumentError(message)

    def freeze(self, layers: Iterable[int]) -> Network:
        """Return the network with these layers frozen, and no others.

        A frozen layer computes as at inference, and training leaves the bits of its parameters
        and its state as they are: no update is made, and no gradient of a weight is formed. So a
        frozen ``BatchNorm`` uses its running statistics, and a frozen ``Dropout`` is the identity.

        Parameters
        ----------
        layers : iterable of int
            Indices of ``layers``; negative ones count from the end. None of them: all are trained.

        Raises
        ------
        InvalidArgumentError
            If an index is not one of a layer, or no parameter is left to train.
        """
        count = len(self.layers)
        indices: list[Any] = list(layers) if isinstance(layers, Iterable) else [layers]
        wrong = [at for at in indices if not is_whole(at) or not -count <= at < count]
        if wrong or not isinstance(layers, Iterable):
            message = (
                f"layers must be a list of indices from {-count} to {count - 1}, such as [0, 1], "
                f"got {(wrong or indices)[0]!r}"
            )
            raise InvalidArgumentError(message)
        return replace(self, frozen=tuple(sorted({int(at) % count for at in indices})))

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of inputs of each layer, and the number of outputs of the last."""
        widths = [self.n_inputs]
        for layer in self.layers:
            widths.append(layer.shapes(widths[-1])[1])
        return tuple(widths)

    @property
    def members(self) -> int:
        """The number of members that share weights, see ``EnsembleInput``; 1 without such layers.

        While training, a batch has the rows of the first member, then those of the second, ….
        """
        return check_members(self.layers)

    @property
    def n_outputs(self) -> int:
        """The number of outputs of the last layer."""
        return self.widths[-1]

    @property
    def n_parameters(self) -> int:
        """The number of parameters of one network."""
        return sum(math.prod(shape) for layer in self.shapes() for shape in layer.values())

    def shapes(self) -> tuple[Shapes, ...]:
        """Return the shapes of the parameters of one network, one dict for each layer.

        Nothing is drawn or allocated.
        """
        return tuple(layer.shapes(width)[0] for layer, width in self._with_widths())

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
        params: Params = place(host, backend)
        return params

    def init_host(
        self, seed: int, x: Any = None, states: LayerStates = ()
    ) -> tuple[dict[str, np.ndarray], ...]:
        """Draw the initial parameters in float64 on the host.

        Parameters
        ----------
        seed : int
        x : ndarray of shape (M, I), optional
            Training samples. Layers whose ``fits_params`` is true, such as those with the
            initializers ``unit_std`` and ``he+5``, are fitted to them one after another, each to
            the outputs of the layers before it at inference.
        states : LayerStates
            On the host; only used with x.
        """
        rng = host_generator(seed, Purpose.WEIGHTS)
        params: Any = [layer.init(rng, width)[0] for layer, width in self._with_widths()]
        if x is None or not self.fits_params:
            return tuple(params)
        backend = get_backend("numpy", dtype="float64")
        x = x.astype(np.float64)
        with backend.context():
            for index, layer in enumerate(self.layers):
                if getattr(layer, "fits_params", False):
                    fitting: Any = layer
                    params[index] = fitting.fit_params(params[index], x, rng)
                x = self._apply_layer(index, tuple(params), states, x, backend, None)[0]
        return tuple(params)

    @property
    def fits_params(self) -> bool:
        """Whether initial parameters depend on the training samples, see ``init_host``."""
        return any(getattr(layer, "fits_params", False) for layer in self.layers)

    def init_states(self) -> tuple[dict[str, np.ndarray], ...]:
        """Return the initial states of the layers of one network, in float64 on the host.

        Returns
        -------
        tuple of dict of str to ndarray
            One dict a layer, ``{}`` for a layer without state; ``()`` if no layer keeps any.
        """
        if not any(map(is_stateful, self.layers)):
            return ()
        return tuple(
            layer.init_state(width) if is_stateful(layer) else {}
            for layer, width in self._with_widths()
        )

    def _with_widths(self) -> Iterator[tuple[AnyLayer, int]]:
        """Return each layer with its number of inputs."""
        return zip(self.layers, self.widths, strict=False)

    def apply(
        self,
        params: Params,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,
        states: LayerStates = (),
    ) -> tuple[Array, NetworkPullback, LayerStates]:
        """Compute the logits, a pullback, and the next states of the layers.

        Parameters
        ----------
        params : Params
        x : Array of shape (B, I) or (*P, B, I)
            In any numeric dtype; it is cast to that of the backend.
        backend : Backend
        key : Key or None
            The key of the random draws while training; None for inference.
        states : LayerStates
            Of a network without layers that keep state: ``()``.

        Returns
        -------
        logits : Array of shape (*P, B, O)
        pullback : callable
            ``(dlogits, need_dx=False) -> (grads, dx)``; without ``need_dx`` nothing is computed
            below the first layer that is trained, and dx is None. Gradients of dense weights are
            products that are not formed yet, see ``form_gradients``; those of frozen layers are
            ``{}``.
        states : LayerStates
            For the next step; at inference the given ones.
        """
        if x.dtype != backend.float_dtype:
            x = backend.xp.astype(x, backend.float_dtype)
        pullbacks, following = [], []
        for index in range(len(self.layers)):
            x, layer_pullback, state = self._apply_layer(index, params, states, x, backend, key)
            pullbacks.append(layer_pullback)
            following.append(state)
        trained = [bool(own) and at not in self.frozen for at, own in enumerate(params)]
        first = trained.index(True) if any(trained) else 0

        def pullback(dy: Array, need_dx: bool = False) -> tuple[Grads, Array | None]:
            grads: list[LayerGrads] = [{} for _ in pullbacks]
            dx: Array | None = dy
            for index in range(len(pullbacks) - 1, -1 if need_dx else first - 1, -1):
                own, dx = pullbacks[index](dx, need_dx or index > first)
                if trained[index]:
                    grads[index] = own
            return tuple(grads), dx if need_dx else None

        return x, pullback, tuple(following) if states else ()

    def predict(
        self, params: Params, x: Array, *, backend: Backend, states: LayerStates = ()
    ) -> Array:
        """Compute the logits at inference."""
        if x.dtype != backend.float_dtype:
            x = backend.xp.astype(x, backend.float_dtype)
        for index in range(len(self.layers)):
            x = self._apply_layer(index, params, states, x, backend, None)[0]
        return x

    def trainable(self, params: Params) -> Params:
        """Return the trained parameters, with ``{}`` for frozen layers."""
        if not self.frozen:
            return params
        return tuple({} if at in self.frozen else own for at, own in enumerate(params))

    def with_frozen(self, trained: Params, params: Params) -> Params:
        """Return the trained parameters together with those of frozen layers in ``params``."""
        if not self.frozen:
            return trained
        pairs = zip(trained, params, strict=True)
        return tuple(full if at in self.frozen else new for at, (new, full) in enumerate(pairs))

    def to_config(self) -> dict[str, Any]:
        """Return the description of the network as JSON; see ``from_config``."""
        config = {"n_inputs": self.n_inputs, "layers": [to_config(layer) for layer in self.layers]}
        return config | ({"frozen": list(self.frozen)} if self.frozen else {})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Network:
        """Create a network from the result of ``to_config``.

        Raises
        ------
        InvalidArgumentError
            If a layer or option is unknown to this version, or a number is not possible.
        """
        n_inputs, layers, frozen = config["n_inputs"], config["layers"], config.get("frozen", [])
        if type(n_inputs) is not int or not 0 < n_inputs < 2**63 or not isinstance(layers, list):
            message = f"expected a number of inputs and a list of layers, got {config!r}"
            raise InvalidArgumentError(message)
        if not isinstance(frozen, list) or any(type(at) is not int for at in frozen):
            message = f"frozen must be a list of indices of layers, got {frozen!r}"
            raise InvalidArgumentError(message)
        made = tuple(from_config("layer", entry) for entry in layers)
        return cls(n_inputs, made, tuple(frozen))

    def _apply_layer(
        self,
        index: int,
        params: Params,
        states: LayerStates,
        x: Array,
        backend: Backend,
        key: Key | None,
    ) -> tuple[Array, Pullback, LayerState]:
        """Apply one layer; return its output, its pullback and its next state."""
        layer = self.layers[index]
        # A frozen layer computes as at inference, except for what defines the rows of a batch.
        frozen = index in self.frozen and not getattr(layer, "changes_rows", False)
        layer_key = None if key is None or frozen else key.at(index)
        if not is_stateful(layer):
            y, pullback = layer.apply(params[index], x, backend=backend, key=layer_key)  # type: ignore[union-attr]
            return y, pullback, {}
        if not states:
            message = f"layer {index} ({layer.kind}) keeps state: pass states, see init_states"
            raise InvalidArgumentError(message)
        return layer.apply_with_state(
            params[index], states[index], x, backend=backend, key=layer_key
        )


def _checked_layers(layers: Any) -> tuple[AnyLayer, ...]:
    """Return the layers as a tuple, or say which of them is not a layer."""
    if not isinstance(layers, (tuple, list)) or not layers:
        message = f"layers must be a tuple of layers such as (Dense(10),), got {layers!r}"
        raise InvalidArgumentError(message)
    for at, layer in enumerate(layers):
        if isinstance(layer, type) or not (hasattr(layer, "shapes") and hasattr(layer, "init")):
            message = f"layers must be objects such as Dense(10), got {layer!r} at index {at}"
            raise InvalidArgumentError(message)
    return tuple(layers)


def place(host: Any, backend: Backend) -> Any:
    """Return a tree of arrays of the host on the device, cast to the dtype of the backend."""
    dtype = np.dtype(backend.dtype)
    return tree.map(lambda leaf: backend.to_device(leaf.astype(dtype)), host)
