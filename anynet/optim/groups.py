"""Parameter groups: factors of the learning rate and of weight decay for some parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from anynet.checks import is_whole
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.members import Bounded, number


@register("group")
@dataclass(frozen=True, kw_only=True)
class Group(Bounded):
    """Factors for the parameters that match ``layer``, ``index`` and ``name``; None matches all.

    A parameter belongs to the first group that it matches, and to none otherwise.

    Parameters
    ----------
    rate : float
        Multiplies the learning rate; 0 keeps the parameters unchanged. In a step of a population
        it may be an array (*P,), as may ``decay``.
    decay : float, optional
        Multiplies the weight decay. By default 1 for parameters called ``weight`` and 0 for all
        others.
    layer : str, optional
        The kind of the layer, such as ``"dense"``.
    index : int, optional
        The index of the layer in the network; negative ones count from the end.
    name : str, optional
        The name of the parameter, such as ``"bias"``.

    Raises
    ------
    InvalidArgumentError
        If a factor or an index is invalid.

    Examples
    --------
    >>> from anynet.optim import AdamW, Group
    >>> biases = Group(name="bias", rate=2.0)
    >>> AdamW(weight_decay=0.1, groups=(biases, Group(index=-1, rate=0.1))).groups[0].rate
    2.0
    """

    kind: ClassVar[str] = "group"
    varies: ClassVar[tuple[str, ...]] = ("rate", "decay")

    rate: float = number(1.0)
    decay: float | None = number(None)
    layer: str | None = None
    index: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.index is not None and not is_whole(self.index):
            message = f"group: index must be a whole number or None, got {self.index!r}"
            raise InvalidArgumentError(message)

    def matches(self, index: int, n_layers: int, name: str) -> bool:
        """Whether the group matches a parameter of layer ``index``, ignoring ``layer``."""
        return self.index in (None, index, index - n_layers) and self.name in (None, name)


def factors(groups: Sequence[Group], index: int, n_layers: int, name: str) -> tuple[Any, Any]:
    """Return the factors of the rate and of the decay of a parameter.

    Parameters
    ----------
    groups : sequence of Group
        See ``bound_to``.
    index, n_layers : int
        The layer of the parameter, and the number of layers.
    name : str

    Raises
    ------
    InvalidArgumentError
        If a group names the kind of a layer: parameters do not have it.
    """
    default = 1.0 if name == "weight" else 0.0
    for group in groups:
        if group.layer is not None:
            message = f"use bound_to(network, optimizer): {group!r} names the kind of a layer"
            raise InvalidArgumentError(message)
        if group.matches(index, n_layers, name):
            return group.rate, default if group.decay is None else group.decay
    return 1.0, default
