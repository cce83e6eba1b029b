"""Common types: arrays, parameters, random keys.

No array library is named here. ``Array`` lists the part of the array API standard's array object
that anynet uses (https://data-apis.org/array-api/latest/API_specification/array_object.html).
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from anynet.backends.groups import Share


class Array(Protocol):
    """An n-dimensional array of NumPy, CuPy, torch, JAX or any other array API library."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def dtype(self) -> Any:
        """The data type, an object of the library."""

    def __getitem__(self, key: Any, /) -> Array: ...
    def __add__(self, other: Any, /) -> Array: ...
    def __radd__(self, other: Any, /) -> Array: ...
    def __sub__(self, other: Any, /) -> Array: ...
    def __rsub__(self, other: Any, /) -> Array: ...
    def __mul__(self, other: Any, /) -> Array: ...
    def __rmul__(self, other: Any, /) -> Array: ...
    def __truediv__(self, other: Any, /) -> Array: ...
    def __rtruediv__(self, other: Any, /) -> Array: ...
    def __floordiv__(self, other: Any, /) -> Array: ...
    def __pow__(self, other: Any, /) -> Array: ...
    def __neg__(self) -> Array: ...
    def __and__(self, other: Any, /) -> Array: ...
    def __or__(self, other: Any, /) -> Array: ...
    def __xor__(self, other: Any, /) -> Array: ...
    def __lshift__(self, other: Any, /) -> Array: ...
    def __rshift__(self, other: Any, /) -> Array: ...
    def __lt__(self, other: Any, /) -> Array: ...
    def __le__(self, other: Any, /) -> Array: ...
    def __gt__(self, other: Any, /) -> Array: ...
    def __ge__(self, other: Any, /) -> Array: ...
    def __float__(self) -> float: ...
    def __int__(self) -> int: ...
    def __bool__(self) -> bool: ...


Namespace: TypeAlias = ModuleType
"""An array API namespace: ``numpy``, ``array_api_compat.torch``, ``jax.numpy``, …"""

LayerParams: TypeAlias = dict[str, Array]
"""The parameters of one layer by name: ``weight`` (*P, I, O), ``bias`` (*P, O); ``{}`` for none."""

Params: TypeAlias = tuple[LayerParams, ...]
"""The parameters of a network, one dict a layer."""

LayerState: TypeAlias = dict[str, Array]
"""The arrays of one layer that are not trained, by name, such as running statistics."""

LayerStates: TypeAlias = tuple[LayerState, ...]
"""The states of a network: ``()`` if no layer keeps any, else one dict a layer, ``{}`` for none."""

LayerGrads: TypeAlias = dict[str, Any]
"""The gradients of one layer by name: arrays, or products that are not formed yet."""

Grads: TypeAlias = tuple[LayerGrads, ...]
"""The gradients of a network, in the shape of its parameters."""


class Key(NamedTuple):
    """The position of a random draw in a run; the same key always gives the same bits.

    A key is passed to ``apply`` while training; None in its place means inference.
    """

    seed: Array  # int32 (*P,), one word per member of a population
    step: Array  # int32 (), the number of updates made so far
    purpose: int = 0  # which layer (or other use) draws
    share: Share | None = None  # the rows of the batch that are computed here; None for all

    def at(self, purpose: int) -> Key:
        """Return the key of the same step for another purpose."""
        return Key(self.seed, self.step, purpose, self.share)
