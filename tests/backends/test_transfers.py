"""Transfers of blocks to a slow device: no block is overwritten while it is read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from anynet.backends import Backend
from anynet.backends.cuda import double_buffered


class LateDevice:
    """Do all work as late as possible: when a later mark is waited for."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], None]] = []
        self.done = 0
        self.copied_while_busy = 0

    def empty(self, array: np.ndarray) -> np.ndarray:
        return np.full(array.shape, 99)

    def mark(self) -> int:
        return len(self.asked)

    def reach(self, mark: int) -> None:
        while self.done < mark:
            self.asked[self.done]()
            self.done += 1

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: int) -> None:
        self.reach(after)
        self.copied_while_busy += self.done < len(self.asked)
        for target, array in zip(targets, arrays, strict=True):
            target[...] = array


def numbered(count: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield blocks in one buffer, which is overwritten for each block."""
    first, second = np.zeros(3, dtype=int), np.zeros((2, 2), dtype=int)
    for index in range(count):
        first[...] = index
        second[...] = 100 + index
        yield first, {"more": second}


def test_every_step_sees_its_own_block() -> None:
    device, seen = LateDevice(), []
    for first, rest in double_buffered(numbered(7), device):
        device.asked.append(
            lambda first=first, rest=rest: seen.append((first.tolist(), rest["more"].tolist()))
        )
    device.reach(device.mark())
    assert seen == [([i] * 3, [[100 + i] * 2] * 2) for i in range(7)]
    assert device.copied_while_busy == 6  # all blocks except the first are copied during steps


def test_copies_wait_for_earlier_use_of_the_memory() -> None:
    """Memory comes from a pool: earlier steps may still read its previous content."""
    device, order = LateDevice(), []
    device.asked.append(lambda: order.append("step before"))
    for _ in double_buffered(numbered(1), device):
        order.append("copied")
    assert order == ["step before", "copied"]


def test_no_work_is_submitted_without_blocks() -> None:
    assert list(double_buffered(iter([]), LateDevice())) == []


def test_sent_blocks_are_on_the_device_and_their_buffers_can_be_reused(backend: Backend) -> None:
    xp, results = backend.xp, []
    for first, rest in backend.stream(numbered(5)):
        results.append(xp.sum(first) + xp.sum(rest["more"]))
    assert [int(backend.to_host(one)) for one in results] == [400 + 7 * i for i in range(5)]


def test_host_memory_is_writable(backend: Backend) -> None:
    memory = backend.host_empty((4, 3), np.dtype(np.uint8))
    assert isinstance(memory, np.ndarray)
    assert (memory.shape, memory.dtype) == ((4, 3), np.uint8)
    memory[...] = 7
    assert memory.flags.c_contiguous
    np.testing.assert_array_equal(backend.to_host(backend.to_device(memory)), 7)


def test_out_of_memory_errors_are_recognized(backend: Backend) -> None:
    assert backend.is_out_of_memory(MemoryError())
    assert not backend.is_out_of_memory(RuntimeError("shapes differ"))
    errors = {"torch": "torch.cuda.OutOfMemoryError", "jax": "jax.errors.JaxRuntimeError"}
    if backend.name in errors:
        module, _, name = errors[backend.name].rpartition(".")
        kind = getattr(pytest.importorskip(module), name)
        assert backend.is_out_of_memory(kind("RESOURCE_EXHAUSTED: Out of memory allocating"))


def test_torch_copies_on_a_separate_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from anynet.backends.torch import TorchCopier

    log: list[str] = []

    class Stream:
        def __init__(self, device: Any) -> None:
            self.device = device

        def wait_event(self, event: Any) -> None:
            log.append(f"wait for {event.of}")

        def synchronize(self) -> None:
            log.append("synchronize")

    class Event:
        of = ""

        def record(self, stream: str) -> None:
            self.of = stream

    @contextlib.contextmanager
    def on(stream: Any) -> Iterator[None]:
        assert isinstance(stream, Stream)
        log.append("copies begin")
        yield
        log.append("copies end")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: "the steps")
    copier = TorchCopier(torch.device("cpu"))
    got = [first.tolist() for first, _ in double_buffered(numbered(2), copier)]
    assert got == [[0] * 3, [1] * 3]
    assert log == ["wait for the steps", "copies begin", "copies end", "synchronize"] * 2
