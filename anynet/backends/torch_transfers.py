"""torch's copies from pinned memory, on a stream of their own. Not yet measured on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def pinned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return memory of the host that the device reads by itself."""
    kind = torch.from_numpy(np.empty(0, dtype)).dtype
    memory: np.ndarray = torch.empty(shape, dtype=kind, pin_memory=True).numpy()
    return memory


class TorchCopier:
    """See ``anynet.backends.transfers.Copier``."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def empty(self, array: np.ndarray) -> Any:
        kind = torch.from_numpy(array).dtype
        return torch.empty(array.shape, dtype=kind, device=self.device)

    def mark(self) -> Any:
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        return event

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        self.stream.wait_event(after)
        with torch.cuda.stream(self.stream):
            for target, array in zip(targets, arrays, strict=True):
                target.copy_(torch.from_numpy(array), non_blocking=True)
        self.stream.synchronize()
