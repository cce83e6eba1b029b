"""A ``cupy`` that computes with NumPy and notes its calls, to count the kernels of a step."""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_compat.numpy as compat
import numpy as np
import pytest

import anynet

from .test_cublas import Library, make

MODULES = ("cupy", "cupy_memory")


class Stream:
    """A stream that logs captures."""

    current: list[Stream] = []  # noqa: RUF012  (the stand-in for a thread's state)
    log: list[str] = []  # noqa: RUF012
    fail_in_capture = False

    def __init__(self, non_blocking: bool = False, ptr: int = 0) -> None:
        self.non_blocking = non_blocking
        self.ptr = ptr or id(self) % 2**32

    def __enter__(self) -> Stream:
        Stream.current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Stream.current.pop()

    def synchronize(self) -> None:
        Stream.log.append("synchronize")

    def wait_event(self, event: Event) -> None:
        assert self.non_blocking
        assert event.recorded is Stream.current[-1]
        Stream.log.append("wait")

    def begin_capture(self) -> None:
        assert self.non_blocking
        Stream.log.append("begin")
        if Stream.fail_in_capture:
            message = "capture is not permitted"
            raise NotImplementedError(message)

    def end_capture(self) -> Any:
        Stream.log.append("end")
        note = Stream.log.append
        return SimpleNamespace(launch=lambda: note("launch"), upload=lambda: note("upload"))


class Event:
    """An event on the stream of the steps."""

    recorded: Stream | None = None

    def __init__(self, disable_timing: bool) -> None:
        assert disable_timing

    def record(self, stream: Stream) -> None:
        self.recorded = stream


class Array(np.ndarray):
    """An array with ``set``, which copies from the host."""

    def set(self, array: np.ndarray, stream: Stream) -> None:
        assert stream.non_blocking
        Stream.log.append("copy")
        np.copyto(self, array, casting="no")


class Device(contextlib.nullcontext):
    """A device with sufficient memory."""

    id = 0
    mem_info = (2**30, 2**30)

    def __init__(self, _: int = 0) -> None:
        super().__init__()

    def __eq__(self, other: object) -> bool:
        return other == "cpu"  # NumPy's namespace, the stand-in for CuPy's, accepts no other device

    __hash__ = None  # as in CuPy


class RawKernel:
    """Stand-in for kernels; fused ones, which the stand-in cannot run, write nothing."""

    def __init__(self, source: str, name: str) -> None:
        assert f"void {name}(" in source
        self.name = name

    def __call__(self, blocks: tuple[int], threads: tuple[int], arguments: tuple[Any, ...]) -> None:
        assert 1 <= blocks[0] <= 65_535
        if self.name == "fused":
            return
        assert threads == (128,)
        if self.name == "to_bfloat16":
            x, count, y = arguments
            assert x.size == count
            assert x.flags.c_contiguous
            y[...] = (x.view(np.uint32) >> 16).astype(np.uint16)
            return
        seed, step, purpose, members, pairs, count, bits = arguments
        assert (seed.dtype, step.dtype, bits.dtype) == (np.int32, np.int32, np.uint32)
        assert (members, pairs) == (seed.size, (count + 1) // 2)
        shape = bits.shape[seed.ndim :]
        assert np.prod(shape) == count
        drawn = anynet.get_backend("numpy").random_bits(seed, (step, int(purpose)), shape)
        bits[...] = drawn


def paper_cupy() -> ModuleType:
    module = ModuleType("cupy")
    vars(module).update({name: getattr(np, name) for name in np.__all__ if hasattr(np, name)})
    module.asnumpy = np.array
    module.empty = lambda shape, dtype: np.empty(shape, dtype).view(Array)
    module.RawKernel = RawKernel
    module.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: 2**20)
    module.cuda = SimpleNamespace(
        Device=Device,
        Event=Event,
        Stream=Stream,
        runtime=SimpleNamespace(getDevice=lambda: 0),
        MemoryPool=lambda _: SimpleNamespace(
            malloc=object(), free_all_blocks=lambda: Stream.log.append("free")
        ),
        get_current_stream=lambda: Stream.current[-1],
        using_allocator=lambda _: contextlib.nullcontext(),
    )
    return module


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the backend's module, imported with the stand-in and removed afterwards."""
    monkeypatch.setitem(sys.modules, "cupy", paper_cupy())
    monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=np.empty))
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", compat)
    monkeypatch.setattr("anynet.backends.select.is_cupy_array", lambda _: False)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, f"anynet.backends.{name}", raising=False)
    module = importlib.import_module("anynet.backends.cupy")
    monkeypatch.setattr(Stream, "current", [Stream(ptr=1)])
    monkeypatch.setattr(Stream, "log", [])
    yield module
    for name in MODULES:
        sys.modules.pop(f"anynet.backends.{name}", None)


def backend_of(paper: Any, library: Library | None, dtype: str = "float32", **options: Any) -> Any:
    handle = None if library is None else make(library)
    return paper.CuPyBackend(paper.xp, Device(), dtype, products=handle, **options)
