"""torch: tensors on the CPU, on CUDA or on Apple's mps, without autograd."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat.torch as xp
import numpy as np
import torch

from anynet.backends.devices import device_index
from anynet.backends.portable import Backend, Memory
from anynet.backends.threefry import threefry_2x32
from anynet.errors import BackendError
from anynet.typing import Array


@dataclass(frozen=True)
class TorchBackend(Backend):
    """torch tensors on one device."""

    name: ClassVar[str] = "torch"

    def to_device(self, array: Any) -> Array:
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            array = array.copy()  # torch has no read-only tensors and warns of sharing one
        if isinstance(array, torch.Tensor):
            array = array.detach()
        result: Array = torch.as_tensor(array, device=self.device)
        return result

    def to_host(self, array: Array) -> np.ndarray:
        result: np.ndarray = array.detach().cpu().numpy()  # type: ignore[attr-defined]
        return result

    def _random_words(
        self, seed: Array, step: Array | int, purpose: int, pairs: int
    ) -> tuple[Array, Array]:
        """Run Threefry in int32, whose sums wrap: torch's uint32 has no arithmetic."""
        index = torch.arange(pairs, dtype=torch.int32, device=self.device)
        second_key = torch.full_like(seed, purpose)
        first, second = threefry_2x32(
            (seed, second_key), (torch.zeros_like(seed) + step, index), rotate=_rotate_signed
        )
        return _unsigned(first), _unsigned(second)

    def context(self) -> AbstractContextManager[Any]:
        """Switch autograd off: anynet's pullbacks are its own."""
        context: AbstractContextManager[Any] = torch.no_grad()
        return context

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def memory(self) -> Memory | None:
        if self.device.type != "cuda":
            return None
        return Memory(*torch.cuda.mem_get_info(self.device))

    def describe(self) -> dict[str, str]:
        return super().describe() | {"version": torch.__version__}


def _rotate_signed(word: Any, distance: int) -> Any:
    """Rotate int32 words left: a right shift copies the sign, which the mask takes off."""
    return (word << distance) | ((word >> (32 - distance)) & ((1 << distance) - 1))


def _unsigned(word: Any) -> Any:
    return word.to(torch.int64) & 0xFFFFFFFF


def create(device: str | None, dtype: str, reason: str) -> TorchBackend:
    """Make the backend; ``device`` may be ``cpu`` (the default), ``cuda``, ``cuda:N`` or ``mps``.

    Raises
    ------
    BackendError
        If torch does not see that device, or the device lacks the dtype.
    """
    kind, *_ = (device or "cpu").split(":")
    known = devices()
    if kind == "cuda":
        device = f"cuda:{device_index(device)}"
    if (device or "cpu") not in known:
        message = (
            f"torch {torch.__version__} has no device {device!r} here (it sees "
            f"{', '.join(known)}): install a torch build for your GPU (https://pytorch.org), "
            f"or choose --device cpu"
        )
        raise BackendError(message)
    if kind == "mps" and dtype == "float64":
        message = "torch's mps device has no float64: choose --dtype float32 or --device cpu"
        raise BackendError(message)
    return TorchBackend(xp, torch.device(device or "cpu"), dtype, reason)


def devices() -> tuple[str, ...]:
    """Return the devices that this library can use here."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ("cpu", *cuda, *mps)
