"""CuPy's own bodies: one call of cuBLAS for each product, in place, and copies beside steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import make_backend

from anynet.backends import Backend
from anynet.backends.cuda import double_buffered

pytestmark = pytest.mark.cuda


@pytest.fixture(params=["cupy"])
def backend(request: pytest.FixtureRequest) -> Any:
    """Return CuPy's backend in float64."""
    return make_backend(request.param, "float64")


@pytest.fixture
def products(backend: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the results of all products that cuBLAS computed."""
    results: list[Any] = []
    multiply = type(backend.products).multiply

    def counted(self: Any, a: Any, b: Any, result: Any, **options: Any) -> None:
        results.append(result)
        multiply(self, a, b, result, **options)

    monkeypatch.setattr(type(backend.products), "multiply", counted)
    return results


@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize("alpha", ["number", "on the device", "of each member"])
@pytest.mark.parametrize("beta", [0, 1, 0.5])
def test_a_product_is_one_call_of_cublas_in_place(
    backend: Any, products: list[Any], rng: np.random.Generator, lead: Any, alpha: str, beta: float
) -> None:
    a, b, start = (rng.standard_normal((*lead, *shape)) for shape in ((5, 4), (5, 6), (4, 6)))
    factor: Any = np.linspace(1, 2, 3).reshape(3, 1, 1) if lead else np.full((1, 1), 1.5)
    if alpha != "of each member":
        factor = np.asarray(-0.3)
    given = backend.to_device(start)
    result = backend.gemm(
        backend.to_device(a),
        backend.to_device(b),
        transpose_a=True,
        accumulate=given,
        alpha=-0.3 if alpha == "number" else backend.to_device(factor),
        beta=beta,
    )
    expected = factor * (np.swapaxes(a, -1, -2) @ b) + beta * start
    np.testing.assert_allclose(backend.to_host(result), expected, rtol=1e-12, atol=1e-12)
    assert len(products) == 1
    in_one_pass = alpha != "on the device" or beta in (0, 1)
    assert (result is given) == (in_one_pass and beta != 0)


def test_products_that_cublas_cannot_compute_use_cupy(backend: Any, products: list[Any]) -> None:
    whole = np.arange(6).reshape(2, 3)
    there = backend.to_device(whole)
    result = backend.to_host(backend.gemm(there, there, transpose_b=True))
    np.testing.assert_array_equal(result, whole @ whole.T)
    empty = [backend.to_device(np.ones(shape)) for shape in ((2, 0), (0, 3))]
    np.testing.assert_array_equal(backend.to_host(backend.gemm(*empty)), np.zeros((2, 3)))
    assert products == []


def test_operands_and_targets_that_are_not_contiguous_are_copied(
    backend: Any, products: list[Any], rng: np.random.Generator
) -> None:
    host = [rng.standard_normal((4, 8)) for _ in range(3)]
    a, b, c = (backend.to_device(array)[:, ::2] for array in host)
    result = backend.gemm(a, b, transpose_b=True, accumulate=c, beta=1)
    a_host, b_host, before = (array[:, ::2] for array in host)
    expected = a_host @ b_host.T + before
    np.testing.assert_allclose(backend.to_host(result), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(backend.to_host(c), before)
    assert len(products) == 1


def test_products_on_different_streams_share_no_workspace(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cupy

    used: dict[int, int] = {}
    use = type(backend.products)._use

    def noted(self: Any, stream: int, workspace: Any) -> None:
        used[stream] = workspace.data.ptr
        use(self, stream, workspace)

    monkeypatch.setattr(type(backend.products), "_use", noted)
    a = backend.to_device(np.ones((3, 3)))
    streams = [cupy.cuda.Stream.null, *(cupy.cuda.Stream(non_blocking=True) for _ in range(2))]
    for stream in streams * 2:
        with stream:
            result = backend.gemm(a, a)
        stream.synchronize()
        np.testing.assert_array_equal(backend.to_host(result), 3)
    assert used.keys() == {stream.ptr for stream in streams}
    assert len(set(used.values())) == len(streams)


def test_clip_and_sign_match_the_standard(backend: Backend) -> None:
    x = np.array([-2.0, -0.0, 0.5, np.inf, np.nan])
    there, xp = backend.to_device(x), backend.xp
    np.testing.assert_array_equal(backend.to_host(xp.clip(there, -1.0, 1.0)), np.clip(x, -1, 1))
    np.testing.assert_array_equal(backend.to_host(xp.clip(there, max=0.0)), np.clip(x, None, 0))
    np.testing.assert_array_equal(backend.to_host(xp.sign(there)), np.sign(x))


def test_copies_wait_on_a_separate_stream_for_the_steps_before(backend: Any) -> None:
    cupy = pytest.importorskip("cupy")
    from anynet.backends.cupy import CuPyCopier

    log: list[Any] = []

    class Stream(cupy.cuda.Stream):
        def wait_event(self, event: Any) -> None:
            log.append("wait")
            super().wait_event(event)

        def synchronize(self) -> None:
            log.append("synchronize")
            super().synchronize()

    class Copied(CuPyCopier):
        def mark(self) -> Any:
            log.append("mark")
            return super().mark()

    with backend.context():
        copier = Copied()
        copier.stream = Stream(non_blocking=True)
        blocks = [np.full(5, number) for number in range(3)]
        seen = []
        for block in double_buffered(iter(blocks), copier):
            log.append("steps")
            seen.append(backend.to_host(block + 0))
    np.testing.assert_array_equal(seen, blocks)
    turn = ["wait", "synchronize", "steps", "mark"]
    assert log == ["mark", *turn * 3]
