"""Sums over GPUs by NCCL, which is replaced here: another process holds the same numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import anynet
from anynet import tree
from anynet.backends import Group

pytestmark = pytest.mark.cuda


class Pair(Group):
    """Process 0 of two, which pass the same objects."""

    size = 2

    def gather(self, value: Any) -> list[Any]:
        return [value, value]


class DoublingCommunicator:
    """A communicator of two GPUs with the same numbers; it counts its calls."""

    calls = 0

    def __init__(self, size: int, address: Any, rank: int) -> None:
        assert (size, address, rank) == (2, ("address",), 0)

    def allReduce(self, source, target, count, kind, operation, stream) -> None:  # noqa: N802
        import cupy

        assert source == target
        assert operation == "sum"
        assert stream == cupy.cuda.get_current_stream().ptr
        size = count * np.dtype(kind).itemsize
        memory = cupy.cuda.UnownedMemory(source, size, None)
        pointer = cupy.cuda.MemoryPointer(memory, 0)
        array = cupy.ndarray((count,), kind, pointer)
        array *= 2
        type(self).calls += 1


@pytest.fixture
def backend(monkeypatch) -> Any:
    """Return CuPy's backend in a group of two processes."""
    own = anynet.get_backend("cupy", "cuda", "float64")
    from anynet.backends import nccl

    monkeypatch.setattr("anynet.backends.cupy._addresses", list)
    monkeypatch.setattr("anynet.backends.cupy.own_device", lambda *_: 0)
    double = SimpleNamespace(
        available=True,
        get_unique_id=lambda: ("address",),
        NcclCommunicator=DoublingCommunicator,
        NcclError=ArithmeticError,
        NCCL_FLOAT32="float32",
        NCCL_FLOAT64="float64",
        NCCL_INT32="int32",
        NCCL_SUM="sum",
    )
    monkeypatch.setattr(nccl, "nccl", double)
    monkeypatch.setattr(DoublingCommunicator, "calls", 0)
    return own.joined(Pair())


def test_a_captured_graph_holds_the_exchange(backend: Any) -> None:
    """Also where what is added up, and what follows from it, is fused with other operations."""

    def step(state: Any, rows: Any, data: Any) -> Any:
        x = backend.xp.take(data, rows, axis=0)
        parts = {"a": x * 3.0, "b": backend.xp.sum(x, axis=-1)}
        sums = backend.all_reduce(parts)
        return {"a": state["a"] + sums["a"] - parts["a"], "b": state["b"] * 0.5 + sums["b"]}

    data, order = np.arange(10.0), np.arange(128, dtype=np.int32).reshape(64, 2) % 10
    with backend.context():
        loop = backend.loop(step)
        state = tree.map(backend.to_device, {"a": np.zeros(2), "b": np.zeros(())})
        state = loop.run(state, backend.to_device(order), backend.to_device(data))
        assert loop.report.failure is None
        assert loop.report.replayed == 64
        assert DoublingCommunicator.calls < 64  # the graph repeats them
        result = tree.map(backend.to_host, state)
    np.testing.assert_allclose(result["a"], 3 * data[order].sum(axis=0))
    expected = 0.0
    for rows in order:
        expected = expected * 0.5 + 2 * data[rows].sum()
    assert float(result["b"]) == pytest.approx(expected)


def test_a_missing_library_is_an_error_that_names_the_package(backend: Any, monkeypatch) -> None:
    from anynet.backends import nccl

    monkeypatch.setattr(nccl.nccl, "available", False)
    with pytest.raises(anynet.BackendError, match="pip install nvidia-nccl"):
        backend.joined(Pair())


def test_the_steps_of_a_fit_are_captured_with_their_exchanges(backend: Any) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(130, 6)), rng.integers(0, 3, 130), rng.random(130)
    network = anynet.mlp([6, 8, 3], dropout=0.2, batch_norm=True)
    model = anynet.fit(
        network, data, backend=backend, parallel=backend.group, batch_size=4, epochs=2,
        optimizer="adam", validation=10,
    )  # fmt: skip
    assert backend.graphs.failure is None
    assert backend.graphs.replayed >= 2 * 30
    assert 0 < DoublingCommunicator.calls < backend.graphs.replayed
    assert model.backend.group.size == 1
