"""Any other library that follows the array API standard: the portable bodies, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.backends.portable import Backend
from anynet.typing import Array


@dataclass(frozen=True)
class StandardBackend(Backend):
    """Arrays that name their own namespace by ``__array_namespace__``, on one device."""

    name: ClassVar[str] = "standard"

    def to_host(self, array: Array) -> np.ndarray:
        return np.from_dlpack(array, device="cpu", copy=True)  # type: ignore[arg-type]


def create(array: Any, dtype: str) -> StandardBackend:
    """Make the backend where an array lives."""
    xp = array.__array_namespace__()
    return StandardBackend(xp, array.device, dtype, f"the data are arrays of {xp.__name__}")
