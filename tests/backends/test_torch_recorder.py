"""Calls of ``torch.cuda`` that record a graph, and their order, without a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")


class Stream:
    """A stream that logs the streams for which it waits."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def wait_stream(self, other: Stream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")


class Graph:
    def __init__(self) -> None:
        self.replayed = 0

    def replay(self) -> None:
        self.replayed += 1


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return recorder, log and current streams, on a stand-in for ``torch.cuda``."""
    from anynet.backends import torch as torch_backend

    log: list[str] = []
    main, side = Stream("main", log), Stream("side", log)
    now = [main]

    @contextlib.contextmanager
    def on(stream: Stream) -> Iterator[None]:
        before, now[0] = now[0], stream
        yield
        now[0] = before

    @contextlib.contextmanager
    def graph(made: Graph, *, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        assert isinstance(made, Graph)
        assert capture_error_mode == "thread_local"
        now[0] = stream
        log.append("begin")
        try:
            yield
        # as in torch: ending an invalid capture raises, and the stream remains
        except Exception as error:
            message = "operation failed due to a previous error during capture"
            raise RuntimeError(message) from error
        log.append("end")
        now[0] = main

    monkeypatch.setattr(torch_backend, "_side_stream", lambda _: side)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: now[0])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: now.__setitem__(0, stream))
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    return torch_backend.TorchRecorder(torch.device("cpu")), log, now


def test_a_warm_up_precedes_the_capture_and_streams_wait_for_each_other(recorder: Any) -> None:
    made, log, now = recorder
    replay = made.capture(
        lambda: log.append(f"warm up on {now[0].name}"),
        lambda: log.append(f"work on {now[0].name}"),
    )
    assert log == [
        "side waits for main",
        "warm up on side",
        "main waits for side",
        "begin",
        "work on side",
        "end",
    ]
    replay()
    assert replay.__self__.replayed == 1


def test_a_failed_capture_restores_the_stream(recorder: Any) -> None:
    made, _, now = recorder
    with pytest.raises(RuntimeError, match="previous error during capture"):
        made.capture(lambda: None, lambda: 1 / 0)
    assert now[0].name == "main"


def test_buffers_are_contiguous_copies(recorder: Any) -> None:
    made, _, _ = recorder
    array = torch.arange(6.0).reshape(2, 3).T
    copied = made.copy(array)
    assert copied.is_contiguous()
    made.write(copied, torch.ones(3, 2))
    assert array.sum() == 15
    assert copied.sum() == 6
