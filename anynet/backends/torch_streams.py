"""torch's work on CUDA streams of its own: graphs, and copies from pinned memory.

Not yet measured on a GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from anynet.backends.cuda import GraphRecorder


@functools.cache
def _side_stream(device: Any) -> Any:
    """Return the stream for captures: one per device, as cuBLAS keeps a workspace for each."""
    return torch.cuda.Stream(device)


@dataclass(frozen=True)
class TorchRecorder(GraphRecorder):
    """Capture graphs on a device."""

    device: Any

    def copy(self, array: Any) -> Any:
        """Return a new contiguous tensor with the same content."""
        return array.clone(memory_format=torch.contiguous_format)

    def write(self, buffer: Any, array: Any) -> None:
        """Copy ``array`` into ``buffer``."""
        buffer.copy_(array)

    def capture(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Capture on a side stream; torch gives each graph a memory pool of its own.

        ``torch.cuda.graph`` leaves its stream current if the capture cannot be ended, so the
        current stream is restored here in any case.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            current, side = torch.cuda.current_stream(), _side_stream(self.device)
            side.wait_stream(current)  # the inputs of warm_up may not be ready yet
            try:
                with torch.cuda.stream(side):
                    warm_up()
                current.wait_stream(side)
                with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                    work()
            finally:
                torch.cuda.set_stream(current)
        return graph.replay  # type: ignore[no-any-return]


class TorchCopier:
    """See ``anynet.backends.cuda.Copier``."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def empty(self, array: np.ndarray) -> Any:
        """Return uninitialized memory of the device for such an array."""
        return torch.empty(array.shape, dtype=torch.from_numpy(array).dtype, device=self.device)

    def mark(self) -> Any:
        """Return an event on the current stream."""
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        return event

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        """Copy after an event, beside later work; return when the copy is done."""
        self.stream.wait_event(after)
        with torch.cuda.stream(self.stream):
            for target, array in zip(targets, arrays, strict=True):
                target.copy_(torch.from_numpy(array), non_blocking=True)
        self.stream.synchronize()
