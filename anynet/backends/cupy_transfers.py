"""CuPy's copies from pinned memory, on a stream of their own. Not yet measured on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np


class CuPyCopier:
    """See ``anynet.backends.transfers.Copier``; works on the thread's current device."""

    def __init__(self) -> None:
        self.stream = cupy.cuda.Stream(non_blocking=True)

    def empty(self, array: np.ndarray) -> Any:
        return cupy.empty(array.shape, dtype=array.dtype)

    def mark(self) -> Any:
        event = cupy.cuda.Event(disable_timing=True)
        event.record(cupy.cuda.get_current_stream())
        return event

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        self.stream.wait_event(after)
        for target, array in zip(targets, arrays, strict=True):
            target.set(array, stream=self.stream)
        self.stream.synchronize()
