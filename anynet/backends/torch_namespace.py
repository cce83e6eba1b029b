"""torch's array API namespace, without what a CUDA graph cannot hold.

array_api_compat makes a tensor of the number in ``maximum(x, 0.0)``, which is a copy from the host
to the device at every call; ``clamp`` takes the number as it is. And its ``take`` looks for
negative indices, three kernels a call; the rows of an order are never negative.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import array_api_compat.torch as compat
import torch


def _maximum(x1: Any, x2: Any, /) -> Any:
    if isinstance(x2, float) and x1.is_floating_point():
        return torch.clamp(x1, min=x2)
    return compat.maximum(x1, x2)


def _minimum(x1: Any, x2: Any, /) -> Any:
    if isinstance(x2, float) and x1.is_floating_point():
        return torch.clamp(x1, max=x2)
    return compat.minimum(x1, x2)


def _take(x: Any, indices: Any, /, *, axis: int) -> Any:
    return torch.index_select(x, axis, indices)


xp = ModuleType("anynet.backends.torch_namespace.xp", "torch's array API namespace.")
vars(xp).update({name: value for name, value in vars(compat).items() if name[:1] != "_"})
vars(xp).update(
    maximum=_maximum,
    minimum=_minimum,
    take=_take,
    __version__=torch.__version__,
    isdtype=compat.isdtype,
)
