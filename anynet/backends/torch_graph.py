"""Recording torch's work as a CUDA graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@functools.cache
def _side_stream(device: Any) -> Any:
    """The stream to record on: one a device, for cuBLAS keeps a workspace for each."""
    return torch.cuda.Stream(device)


@dataclass(frozen=True)
class TorchRecorder:
    """See ``anynet.backends.replay.Recorder``."""

    device: Any

    def copy(self, array: Any) -> Any:
        return array.clone(memory_format=torch.contiguous_format)

    def write(self, buffer: Any, array: Any) -> None:
        buffer.copy_(array)

    def record(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Record on a side stream; torch gives each graph a memory pool of its own.

        ``torch.cuda.graph`` leaves its stream current if the capture cannot be ended, so the
        current stream is restored here whatever happens.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            current, side = torch.cuda.current_stream(), _side_stream(self.device)
            side.wait_stream(current)  # what warm_up reads may still be on its way
            try:
                with torch.cuda.stream(side):
                    warm_up()
                current.wait_stream(side)
                with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                    work()
            finally:
                torch.cuda.set_stream(current)
        return graph.replay  # type: ignore[no-any-return]
