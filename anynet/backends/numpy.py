"""NumPy: the CPU, always there. The portable bodies serve it as they stand."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat.numpy as xp
import numpy as np

from anynet.backends.portable import Backend
from anynet.errors import BackendError


@dataclass(frozen=True)
class NumPyBackend(Backend):
    """NumPy arrays on the CPU."""

    name: ClassVar[str] = "numpy"

    def context(self) -> AbstractContextManager[Any]:
        """Silence floating-point warnings: training checks its loss and says more than they do."""
        return np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")


def create(device: str | None, dtype: str, reason: str) -> NumPyBackend:
    """Make the backend; ``device`` may be None or ``cpu``.

    Raises
    ------
    BackendError
        If another device is asked for.
    """
    if device not in (None, "cpu"):
        message = (
            f"the numpy backend computes on device 'cpu' only, got {device!r}: "
            f"for a GPU choose --backend cupy, torch or jax"
        )
        raise BackendError(message)
    return NumPyBackend(xp, "cpu", dtype, reason)


def devices() -> tuple[str, ...]:
    """Return the devices that this library can use here."""
    return ("cpu",)
