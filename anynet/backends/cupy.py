"""CuPy: NumPy's interface on a CUDA device.

Not yet measured on a GPU.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat.cupy as xp
import cupy
import numpy as np

from anynet.backends.devices import device_index
from anynet.backends.portable import Backend, Memory
from anynet.errors import BackendError
from anynet.typing import Array


@dataclass(frozen=True)
class CuPyBackend(Backend):
    """CuPy arrays on one CUDA device."""

    name: ClassVar[str] = "cupy"

    def to_device(self, array: Any) -> Array:
        with self.device:
            result: Array = cupy.asarray(array)
            return result

    def to_host(self, array: Array) -> np.ndarray:
        result: np.ndarray = cupy.asnumpy(array)
        return result

    def context(self) -> AbstractContextManager[Any]:
        """Make the device current: CuPy launches kernels on the thread's current device."""
        device: AbstractContextManager[Any] = cupy.cuda.Device(self.device.id)
        return device

    def synchronize(self) -> None:
        self.device.synchronize()

    def memory(self) -> Memory:
        return Memory(*self.device.mem_info)

    def describe(self) -> dict[str, str]:
        return super().describe() | {"version": cupy.__version__}

    def device_name(self) -> str:
        return f"cuda:{self.device.id}"


def create(device: str | None, dtype: str, reason: str) -> CuPyBackend:
    """Make the backend after a small product has run on the device.

    Raises
    ------
    BackendError
        If no such device exists or the product fails; ``is_available`` alone does not prove that
        NVRTC and cuBLAS load.
    """
    if device is not None and not device.startswith("cuda"):
        message = f"the cupy backend computes on 'cuda' or 'cuda:N', got device {device!r}"
        raise BackendError(message)
    count = len(devices())
    if count == 0:
        message = (
            "CuPy is installed but sees no CUDA device: check that nvidia-smi lists one, "
            "or choose --backend numpy"
        )
        raise BackendError(message)
    index = device_index(device)
    if index >= count:
        message = f"device {device!r} does not exist: CuPy sees {', '.join(devices())}"
        raise BackendError(message)
    try:
        with cupy.cuda.Device(index):
            product = cupy.ones((2, 2), dtype=dtype) @ cupy.ones((2, 2), dtype=dtype)
            works = float(product.sum()) == 8.0
    except Exception as error:  # any failure of driver, compiler or library means: not usable
        message = f"CuPy's probe product on cuda:{index} failed: {' '.join(str(error).split())}"
        raise BackendError(message) from error
    if not works:
        message = f"CuPy's probe product on cuda:{index} gave a wrong result: check the driver"
        raise BackendError(message)
    return CuPyBackend(xp, cupy.cuda.Device(index), dtype, reason)


def devices() -> tuple[str, ...]:
    """Return the devices that this library can use here."""
    if not cupy.cuda.is_available():
        return ()
    return tuple(f"cuda:{index}" for index in range(cupy.cuda.runtime.getDeviceCount()))
