"""The interface of layers: pure functions of parameters, state and input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeAlias, TypeGuard

import numpy as np

from anynet.backends import Backend
from anynet.nn.activations import Derivative
from anynet.typing import Array, Key, LayerGrads, LayerParams, LayerState

Pullback: TypeAlias = Callable[..., tuple[LayerGrads, Array | None]]
"""``(dy, need_dx=True) -> (grads, dx)``; grads have the names of params, some are products that
are not formed yet (see ``ProductGradient``); dx is None unless it is needed."""

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""The shape of each parameter of a layer by name."""


class _Part(Protocol):
    """Common base class of layers with and without state."""

    @property
    def kind(self) -> str:
        """Name of the class in files."""

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shape of each parameter of one network, and the number of outputs."""

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Return float64 parameters by name and the number of outputs."""


class Layer(_Part, Protocol):
    """A layer without state: a pure function of its parameters and its input."""

    def apply(
        self, params: LayerParams, x: Array, *, backend: Backend, key: Key | None
    ) -> tuple[Array, Pullback]:
        """Return the output and its pullback.

        Parameters
        ----------
        params : LayerParams
        x : Array of shape (*P, B, I), or (B, I) shared by all members of a population P
        backend : Backend
        key : Key or None
            The key of the random draws while training; None for inference.
        """


class StatefulLayer(_Part, Protocol):
    """A layer that keeps arrays which are not trained, such as running statistics."""

    def init_state(self, n_in: int) -> dict[str, np.ndarray]:
        """Return the initial state of one network by name, on the host."""

    def apply_with_state(
        self, params: LayerParams, state: LayerState, x: Array, *, backend: Backend, key: Key | None
    ) -> tuple[Array, Pullback, LayerState]:
        """Return the output, its pullback and the next state; see ``Layer.apply``.

        The next state has the names, shapes (*P, …) and dtypes of the present one. At inference
        (``key=None``) it is the present one.
        """


AnyLayer: TypeAlias = Layer | StatefulLayer


def is_stateful(layer: AnyLayer) -> TypeGuard[StatefulLayer]:
    """Whether a layer keeps state."""
    return hasattr(layer, "init_state")


class ParameterFree:
    """Base of layers without parameters, which keep the width of their input."""

    kind: ClassVar[str]

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return no shapes, and the number of inputs."""
        return {}, n_in

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, Any], int]:  # noqa: ARG002
        """Return no parameters, and the number of inputs."""
        return {}, n_in


class Elementwise(ParameterFree):
    """Base of layers without parameters and state that act on each element alone.

    A subclass is a frozen dataclass with a ``kind`` and the method ``compute``.
    """

    def compute(self, x: Array, *, backend: Backend, key: Key | None) -> tuple[Array, Derivative]:
        """Return the output, and a function from its gradient to that of the input."""
        raise NotImplementedError

    def apply(
        self,
        params: LayerParams,  # noqa: ARG002
        x: Array,
        *,
        backend: Backend,
        key: Key | None,
    ) -> tuple[Array, Pullback]:
        """Return the output and its pullback; see ``Layer.apply``."""
        y, derivative = self.compute(x, backend=backend, key=key)
        return y, without_params(derivative)


def without_params(derivative: Derivative) -> Pullback:
    """Return the pullback of a layer without parameters from its derivative."""

    def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
        return {}, derivative(dy) if need_dx else None

    return pullback
