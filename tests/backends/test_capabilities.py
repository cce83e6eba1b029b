"""Capabilities: the same tests for the implementations of all backends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anynet.backends import Backend
from anynet.backends.blas import find_gemm
from anynet.backends.numpy import create


def test_arrays_keep_their_dtype_on_the_way_to_the_device_and_back(backend: Backend) -> None:
    for dtype in (np.uint8, np.int32, np.float32, np.bool_):
        array = np.array([[0, 1], [1, 0]], dtype=dtype)
        returned = backend.to_host(backend.to_device(array))
        assert returned.dtype == dtype
        np.testing.assert_array_equal(returned, array)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(
    ("batch_a", "batch_b"), [((), ()), ((3,), (3,)), ((), (3,)), ((3,), ()), ((2, 3), (2, 3))]
)
def test_gemm_equals_einsum(
    backend64: Backend,
    rng: np.random.Generator,
    transpose_a: bool,
    transpose_b: bool,
    batch_a: tuple[int, ...],
    batch_b: tuple[int, ...],
) -> None:
    a = rng.standard_normal((*batch_a, *((5, 4) if transpose_a else (4, 5))))
    b = rng.standard_normal((*batch_b, *((6, 5) if transpose_b else (5, 6))))
    accumulate = rng.standard_normal((*(batch_a or batch_b), 4, 6))
    result = backend64.gemm(
        backend64.to_device(a),
        backend64.to_device(b),
        transpose_a=transpose_a,
        transpose_b=transpose_b,
        accumulate=backend64.to_device(accumulate.copy()),
        alpha=-0.5,
        beta=2.0,
    )
    letters = f"...{'ki' if transpose_a else 'ik'},...{'jk' if transpose_b else 'kj'}->...ij"
    expected = -0.5 * np.einsum(letters, a, b) + 2 * accumulate
    np.testing.assert_allclose(backend64.to_host(result), expected, rtol=1e-12, atol=1e-12)


def test_gemm_accepts_alpha_as_a_device_array(backend64: Backend, rng) -> None:
    """Like a learning rate: one for all, or one for each member of a population."""
    a, b = rng.standard_normal((2, 4, 5)), rng.standard_normal((2, 4, 6))
    accumulate = rng.standard_normal((2, 5, 6))
    for alpha in (np.asarray(-0.3), np.array([0.5, -2.0]).reshape(2, 1, 1)):
        result = backend64.gemm(
            backend64.to_device(a),
            backend64.to_device(b),
            transpose_a=True,
            accumulate=backend64.to_device(accumulate.copy()),
            alpha=backend64.to_device(alpha),
            beta=1,
        )
        expected = alpha * np.einsum("pki,pkj->pij", a, b) + accumulate
        np.testing.assert_allclose(backend64.to_host(result), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_numpys_blas_accumulates_in_place(rng, dtype, transpose_a, transpose_b) -> None:
    backend = create(None, dtype, "")
    if find_gemm(dtype) is None:
        pytest.skip("this NumPy does not include OpenBLAS")
    a = rng.standard_normal((60, 150) if transpose_a else (150, 60)).astype(dtype)
    b = rng.standard_normal((140, 60) if transpose_b else (60, 140)).astype(dtype)
    start = rng.standard_normal((150, 140)).astype(dtype)
    options = {"transpose_a": transpose_a, "transpose_b": transpose_b, "alpha": -0.1, "beta": 1}
    mine, kept = start.copy(), start.copy()
    result = backend.gemm(a, b, accumulate=mine, **options)
    assert result is mine
    expected = Backend(backend.xp).gemm(a, b, accumulate=start, **options)
    rounding = 60 * float(np.finfo(dtype).eps)  # of sums of 60 products of order 1
    np.testing.assert_allclose(result, expected, rtol=0, atol=rounding)
    kept.flags.writeable = False
    np.testing.assert_array_equal(backend.gemm(a, b, accumulate=kept, **options), expected)
    np.testing.assert_array_equal(kept, start)
    strided = np.asfortranarray(start)
    np.testing.assert_array_equal(backend.gemm(a, b, accumulate=strided, **options), expected)


def test_gemm_without_accumulate_is_the_product(backend64: Backend) -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    result = backend64.gemm(backend64.to_device(a), backend64.to_device(b))
    np.testing.assert_array_equal(backend64.to_host(result), a @ b)


@settings(deadline=None, max_examples=60)
@given(
    m=st.integers(1, 9),
    k=st.integers(0, 9),
    n=st.integers(1, 9),
    members=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_gemm_accepts_any_shape(m: int, k: int, n: int, members: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lead = (members,) if members else ()
    a, b = rng.standard_normal((m, k)), rng.standard_normal((*lead, k, n))
    backend = create(None, "float64", "")
    np.testing.assert_allclose(
        backend.gemm(a, b), np.einsum("ik,...kj->...ij", a, b), rtol=1e-12, atol=1e-12
    )


def test_loop_applies_the_step_to_each_row_of_the_order(backend: Backend) -> None:
    state = (backend.to_device(np.zeros(3, dtype=np.float32)),)
    order = backend.to_device(np.array([[0, 2], [1, 1], [2, 0]], dtype=np.int32))
    data = backend.to_device(np.array([1.0, 10.0, 100.0], dtype=np.float32))
    (result,) = backend.loop(AddAndHalve(backend)).run(state, order, data)
    np.testing.assert_array_equal(backend.to_host(result), [((101 / 2) + 20) / 2 + 101] * 3)


def test_loop_does_not_modify_host_arrays(backend: Backend) -> None:
    host = np.ones(4096, dtype=np.float32)
    order = backend.to_device(np.zeros((2, 2), dtype=np.int32))
    data = backend.to_device(np.array([5.0], dtype=np.float32))
    backend.loop(AddAndHalve(backend)).run((backend.to_device(host),), order, data)
    backend.synchronize()
    np.testing.assert_array_equal(host, np.ones(4096))


class AddAndHalve:
    """state ← state / 2 + the sum of the rows; the result depends on the order of the steps."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __call__(self, state, rows, data):
        xp = self.backend.xp
        return (state[0] * 0.5 + xp.sum(xp.take(data, rows, axis=0)),)


def test_describe_reports_the_backend(backend: Backend) -> None:
    described = backend.describe()
    keys = {"name", "version", "device", "dtype", "precision", "loop", "reason"}
    assert set(described) - {"advice", "threads"} == keys
    assert described["dtype"] == "float32"
    assert all(isinstance(value, str) for value in described.values())
    memory = backend.memory()
    assert memory is None or 0 < memory.free <= memory.total


def test_numpy_places_data_in_row_major_order() -> None:
    backend = create("cpu", "float64", "")
    ordered = np.arange(6.0).reshape(2, 3)
    assert backend.to_device(ordered) is ordered
    assert backend.to_device(np.asfortranarray(ordered)).flags.c_contiguous
    assert backend.to_device(np.float32(3)).shape == ()
