"""The code of the CuPy backend without a GPU, on a ``cupy`` stand-in that computes with NumPy.

These tests check the calls of CuPy and cuBLAS and their order, not the libraries themselves.
"""

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
from anynet import tree
from anynet.backends import cublas

from .test_cublas import Library, make, products

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


@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize("alpha", [1, -0.3, np.asarray(-0.3), "members"])
@pytest.mark.parametrize("beta", [0, 1, 0.5])
def test_gemm_matches_the_specification(paper, rng, transposes, lead, alpha, beta) -> None:
    library = Library()
    backend = backend_of(paper, library, "float64")
    if alpha == "members":
        alpha = np.linspace(1, 2, 3).reshape(3, 1, 1) if lead else np.full((1, 1), 1.5)
    a = rng.standard_normal((5, 4) if transposes[0] else (4, 5))
    b = rng.standard_normal((*lead, *((6, 5) if transposes[1] else (5, 6))))
    start = rng.standard_normal((*lead, 4, 6))
    flags = dict(zip(("transpose_a", "transpose_b"), transposes, strict=True))
    expected = anynet.backends.Backend(backend.xp).gemm(
        a, b, **flags, accumulate=start.copy(), alpha=alpha, beta=beta
    )
    given = start.copy()
    got = backend.gemm(a, b, **flags, accumulate=given, alpha=alpha, beta=beta)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert len(products(library)) == 1
    in_one_pass = np.ndim(alpha) > 0 or beta in (0, 1) or not isinstance(alpha, np.ndarray)
    assert (got is given) == (in_one_pass and beta != 0)


def test_products_that_cublas_cannot_compute_use_cupy(paper) -> None:
    library = Library()
    backend = backend_of(paper, library)
    whole = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(backend.gemm(whole, whole, transpose_b=True), whole @ whole.T)
    assert backend.gemm(np.ones((2, 0), np.float32), np.ones((0, 3), np.float32)).shape == (2, 3)
    assert products(library) == []
    assert backend_of(paper, None).gemm(np.eye(2, dtype=np.float32), np.eye(2)).shape == (2, 2)


def test_operands_and_targets_that_are_not_contiguous_are_copied(paper, rng) -> None:
    backend = backend_of(paper, Library(), "float64")
    a, b, c = (rng.standard_normal((4, 8))[:, ::2] for _ in range(3))
    before = c.copy()
    got = backend.gemm(a, b, transpose_b=True, accumulate=c, beta=1)
    np.testing.assert_allclose(got, a @ b.T + before, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(c, before)


@pytest.mark.parametrize(
    ("dtype", "precision", "operand", "compute"),
    [
        ("float64", None, "float64", cublas.COMPUTE_64F),
        ("float32", None, "float32", cublas.COMPUTE_32F),
        ("float32", "tf32", "float32", cublas.COMPUTE_32F_FAST_TF32),
        ("float32", "float16", "float16", cublas.COMPUTE_32F),
    ],
)
def test_precision_selects_operand_and_compute_types(
    paper, dtype, precision, operand, compute
) -> None:
    library = Library()
    backend = backend_of(paper, library, dtype, precision=precision)
    a = np.full((2, 2), 3, dtype=dtype)
    np.testing.assert_array_equal(backend.gemm(a, a), 18)
    ((_, _, operands, result, computed),) = products(library)
    assert operands == cublas.DATA_TYPES[operand]
    assert (result, computed) == (cublas.DATA_TYPES[dtype], compute)


def test_bfloat16_operands_are_rounded_by_a_kernel(paper) -> None:
    backend = backend_of(paper, Library(), precision="bfloat16")
    x = np.array([[1.0, 2.0], [-3.0, 0.5]], dtype=np.float32)
    rounded = backend._operand(x[:, ::-1])
    assert rounded.dtype == np.uint16
    np.testing.assert_array_equal((rounded.astype(np.uint32) << 16).view(np.float32), x[:, ::-1])


@pytest.mark.parametrize("seed", [5, [1, 2, 3]])
def test_random_bits_match_numpy(paper, seed) -> None:
    backend = backend_of(paper, None)
    seeds = np.asarray(seed, dtype=np.int32)
    expected = anynet.get_backend("numpy").random_bits(seeds, (np.int32(7), 3), (4, 5))
    np.testing.assert_array_equal(backend.random_bits(seeds, (np.int32(7), 3), (4, 5)), expected)


def test_a_graph_is_captured_after_a_warm_up_and_then_launched(paper) -> None:
    backend = backend_of(paper, Library())
    order, state = np.zeros((3, 1), np.int32), (np.zeros(2, np.float32),)
    backend.loop(lambda state, rows, data: (state[0] + 1,)).run(state, order, ())  # noqa: ARG005
    log = ["synchronize", "synchronize", "begin", "end", "upload", "launch"]
    assert Stream.log == [*log, "free"]  # with the loop
    assert backend.describe()["loop"] == "graph: 1 captured, 3 steps replayed"
    assert len(Stream.current) == 1


def test_a_failed_capture_is_ended_and_the_run_continues(paper, monkeypatch) -> None:
    backend = backend_of(paper, None)
    order, state = np.zeros((3, 1), np.int32), (np.zeros(2, np.float32),)
    monkeypatch.setattr(Stream, "fail_in_capture", True)
    with pytest.warns(RuntimeWarning, match="NotImplementedError: capture is not permitted"):
        (result,) = backend.loop(lambda s, rows, data: (s[0] + 1,)).run(state, order, ())  # noqa: ARG005
    np.testing.assert_array_equal(result, 3)
    assert "launch" not in Stream.log
    assert len(Stream.current) == 1


def test_training_matches_numpy(paper, digits) -> None:
    network = anynet.mlp([64, 16, 10], dropout=0.2, scale=digits.scale)
    x, y = digits.train[0][:300], digits.train[1][:300]
    models = [
        anynet.fit(network, (x, y), epochs=2, backend=backend)
        for backend in (
            backend_of(paper, Library(), "float64", graphs=None),
            anynet.get_backend("numpy", dtype="float64"),
        )
    ]
    leaves = [tree.leaves(model.params) for model in models]
    for mine, numpys in zip(*leaves, strict=True):
        np.testing.assert_allclose(mine, numpys, rtol=1e-9, atol=1e-12)


def test_blocks_are_copied_from_pinned_memory_on_a_separate_stream(paper, digits) -> None:
    network = anynet.mlp([64, 16, 10], scale=digits.scale)
    backend = backend_of(paper, Library(), "float64", graphs=None)
    streamed, resident = (
        anynet.fit(network, digits.train, epochs=2, backend=backend, resident=resident)
        for resident in (False, True)
    )
    for one, other in zip(tree.leaves(streamed.params), tree.leaves(resident.params), strict=True):
        np.testing.assert_array_equal(one, other)
    assert Stream.log == ["wait", "copy", "copy", "copy", "synchronize"] * 2  # one block per epoch


def test_clip_and_sign_match_the_array_api_standard(paper) -> None:
    x = np.array([-2.0, -0.0, 0.5, np.inf, np.nan])
    for name, options in [("clip", (-1.0, 1.0)), ("sign", ())]:
        np.testing.assert_array_equal(
            getattr(paper.xp, name)(x, *options), getattr(compat, name)(x, *options)
        )
    pair = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    np.testing.assert_array_equal(paper.plain.vecdot(*pair), compat.vecdot(*pair))
