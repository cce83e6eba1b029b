"""Calls of cuBLAS, on a stand-in library that computes the documented results with NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anynet import BackendError
from anynet.backends import cublas
from anynet.backends.cublas import Cublas, product_shape

DTYPES = {code: name for name, code in cublas.DATA_TYPES.items() if name != "bfloat16"}
STREAM = 0xABC0


class Function:
    """A function of the library, with the attributes that ctypes uses to declare types."""

    def __init__(self, body: Callable[..., int]) -> None:
        self.body = body
        self.argtypes: list[Any] = []
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> int:
        converted = zip(self.argtypes, arguments, strict=True)
        return self.body(*[_plain(kind, argument) for kind, argument in converted])


def _plain(kind: Any, argument: Any) -> Any:
    """Return what the C function receives: addresses and integers."""
    if kind is ctypes.c_void_p:
        return ctypes.cast(argument, ctypes.c_void_p).value
    value = kind(argument).value
    assert value == argument, "the integer does not fit its C type"
    return value


class Library:
    """cuBLAS on the host: column-major products of the memory at the given addresses."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.calls: list[tuple[Any, ...]] = []
        self.mode = cublas.ON_HOST
        for name in (
            "cublasCreate_v2",
            "cublasDestroy_v2",
            "cublasSetStream_v2",
            "cublasSetWorkspace_v2",
        ):
            setattr(self, name, Function(self._noting(name)))
        self.cublasSetPointerMode_v2 = Function(self._set_mode)
        self.cublasGemmEx = Function(self._gemm)
        self.cublasGemmStridedBatchedEx = Function(self._gemm_batched)

    def _noting(self, name: str) -> Callable[..., int]:
        def body(*arguments: Any) -> int:
            self.calls.append((name, *arguments[1:]))
            return 0

        return body

    def _set_mode(self, handle: int, mode: int) -> int:  # noqa: ARG002
        self.mode = mode
        return 0

    def _gemm(self, *arguments: Any) -> int:
        (handle, op_a, op_b, m, n, k, alpha, a, type_a, lda, b, type_b, ldb) = arguments[:13]
        (beta, c, type_c, ldc, compute, algorithm) = arguments[13:]
        strided = (handle, op_a, op_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0)
        return self._gemm_batched(*strided, beta, c, type_c, ldc, 0, 1, compute, algorithm)

    def _gemm_batched(self, *arguments: Any) -> int:
        (_, op_a, op_b, m, n, k, alpha, a, type_a, lda, stride_a) = arguments[:11]
        (b, type_b, ldb, stride_b, beta, c, type_c, ldc, stride_c) = arguments[11:20]
        (count, compute, algorithm) = arguments[20:]
        assert algorithm == cublas.DEFAULT_ALGORITHM
        self.calls.append(("gemm", count, self.mode, type_a, type_c, compute))
        real = np.dtype(DTYPES[type_c])
        factor, share = (_memory(place, real, 1)[0] for place in (alpha, beta))
        for member in range(count):
            left = _matrix(a, type_a, member * stride_a, lda, *((k, m) if op_a else (m, k)))
            right = _matrix(b, type_b, member * stride_b, ldb, *((n, k) if op_b else (k, n)))
            target = _matrix(c, type_c, member * stride_c, ldc, m, n)
            left, right = (x.T if op else x for x, op in ((left, op_a), (right, op_b)))
            product = left.astype(real) @ right.astype(real)
            target[...] = factor * product + (share * target if share else 0)
        return self.status


def _memory(address: int, dtype: np.dtype, size: int) -> np.ndarray:
    raw = (ctypes.c_char * (size * dtype.itemsize)).from_address(address)
    return np.frombuffer(raw, dtype=dtype)


def _matrix(address: int, code: int, offset: int, lead: int, rows: int, columns: int) -> np.ndarray:
    """Return a column-major matrix with element (i, j) at i + j · lead."""
    assert lead >= rows
    dtype = np.dtype(DTYPES[code])
    memory = _memory(address + offset * dtype.itemsize, dtype, lead * columns)
    return memory.reshape(columns, lead)[:, :rows].T


def make(library: Library) -> Cublas:
    constants = {name: np.array([0, 1], dtype=name) for name in cublas.REALS}
    workspace = np.empty(1024, np.uint8)
    return Cublas(library, lambda x: x.ctypes.data, lambda _: workspace, constants)


@pytest.fixture
def library() -> Library:
    return Library()


def products(library: Library) -> list[tuple[Any, ...]]:
    """Return members, pointer mode, operand, result and compute types of each requested product."""
    return [call[1:] for call in library.calls if call[0] == "gemm"]


def multiply(handle: Cublas, a: np.ndarray, b: np.ndarray, c: np.ndarray, **options: Any) -> None:
    flags = {name: options.pop(name, False) for name in ("transpose_a", "transpose_b")}
    assert c.shape == product_shape(a.shape, b.shape, **flags)
    defaults: dict[str, Any] = {
        "alpha": 1,
        "beta": 0,
        "operands": str(a.dtype),
        "compute": cublas.COMPUTE_64F,
        "stream": STREAM,
    }
    handle.multiply(a, b, c, **flags, **defaults | options)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(
    ("lead_a", "lead_b"), [((), ()), ((3,), (3,)), ((), (3,)), ((3,), ()), ((2, 3), ()), ((1,), ())]
)
@pytest.mark.parametrize("on_device", [False, True])
def test_products_match_the_specification(
    library: Library, rng, transpose_a, transpose_b, lead_a, lead_b, on_device
) -> None:
    a = rng.standard_normal((*lead_a, *((5, 4) if transpose_a else (4, 5))))
    b = rng.standard_normal((*lead_b, *((6, 5) if transpose_b else (5, 6))))
    start = rng.standard_normal((*(lead_a or lead_b), 4, 6))
    flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    alpha: Any = np.array(-0.5) if on_device else -0.5
    for beta in (0, 1):
        c = start.copy()
        multiply(make(library), a, b, c, alpha=alpha, beta=beta, **flags)
        assert products(library)[-1][1] == (cublas.ON_DEVICE if on_device else cublas.ON_HOST)
        op_a = np.swapaxes(a, -1, -2) if transpose_a else a
        op_b = np.swapaxes(b, -1, -2) if transpose_b else b
        np.testing.assert_allclose(c, -0.5 * (op_a @ op_b) + beta * start, rtol=1e-12, atol=1e-12)


def test_an_operand_without_member_axes_is_shared_and_a_single_product_is_not_batched(
    library: Library,
) -> None:
    multiply(make(library), np.ones((4, 5)), np.ones((5, 6)), np.empty((4, 6)))
    multiply(make(library), np.ones((4, 5)), np.ones((3, 5, 6)), np.empty((3, 4, 6)))
    assert [product[0] for product in products(library)] == [1, 3]


@pytest.mark.parametrize(
    ("a", "b", "flags"),
    [
        ((4, 5), (4, 6), (False, False)),
        ((4, 5), (5, 6), (True, False)),
        ((2, 4, 5), (3, 5, 6), (False, False)),
    ],
)
def test_incompatible_shapes_raise(a, b, flags) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        product_shape(a, b, *flags)


def test_half_precision_operands_give_a_float32_result(library: Library) -> None:
    a, b = np.full((2, 3), 300, np.float16), np.full((3, 2), 300, np.float16)
    c = np.empty((2, 2), np.float32)
    multiply(make(library), a, b, c, compute=cublas.COMPUTE_32F)
    np.testing.assert_array_equal(c, 270_000)  # exceeds the range of float16
    assert products(library) == [(1, cublas.ON_HOST, 2, 0, 68)]


def test_stream_and_workspace_are_set_together_for_a_new_stream(library: Library) -> None:
    """cublasSetStream resets the workspace; both are set again only for a different stream."""
    handle = make(library)
    square = np.ones((2, 2))
    for stream in (STREAM, STREAM, 7, 7, STREAM):
        multiply(handle, square, square, np.empty((2, 2)), stream=stream)
    names = [call[0] for call in library.calls]
    changes = [call[1] for call in library.calls if call[0] == "cublasSetStream_v2"]
    assert changes == [STREAM, 7, STREAM]
    for index, name in enumerate(names):
        if name == "cublasSetStream_v2":
            assert names[index + 1] == "cublasSetWorkspace_v2"
            assert library.calls[index + 1][2] == 1024


def test_a_stream_may_have_a_workspace_of_its_own(library: Library) -> None:
    handle, other = make(library), np.empty(2048, np.uint8)
    square = np.ones((2, 2))
    for workspaces in ({}, {7: other}, {}):
        handle.workspaces = workspaces
        for stream in (STREAM, 7):
            multiply(handle, square, square, np.empty((2, 2)), stream=stream)
    sizes = [call[2] for call in library.calls if call[0] == "cublasSetWorkspace_v2"]
    assert sizes == [1024, 1024, 1024, 2048, 1024, 1024]


def test_a_failed_product_raises_with_shape_and_status() -> None:
    with pytest.raises(BackendError, match="2 × 3 × 4: status 13"):
        multiply(make(Library(status=13)), np.ones((2, 3)), np.ones((3, 4)), np.empty((2, 4)))


def test_the_handle_is_destroyed(library: Library) -> None:
    handle = make(library)
    del handle
    assert library.calls[-1][0] == "cublasDestroy_v2"


def test_the_constants_match_the_headers() -> None:
    """CuPy's wrapper of cuBLAS, where it loads, has the constants of the headers."""
    pytest.importorskip("cuda.pathfinder")
    try:
        cublas.load_library()  # CuPy's wrapper is linked to the library
    except BackendError as error:
        pytest.skip(str(error))
    theirs = pytest.importorskip("cupy_backends.cuda.libs.cublas", exc_type=ImportError)
    assert cublas.COMPUTE_32F == theirs.CUBLAS_COMPUTE_32F
    assert cublas.COMPUTE_64F == theirs.CUBLAS_COMPUTE_64F
    assert cublas.COMPUTE_32F_FAST_TF32 == theirs.CUBLAS_COMPUTE_32F_FAST_TF32
    assert cublas.DEFAULT_ALGORITHM == theirs.CUBLAS_GEMM_DEFAULT
    assert cublas.ON_DEVICE == theirs.CUBLAS_POINTER_MODE_DEVICE
    assert cublas.TRANSPOSED == theirs.CUBLAS_OP_T


def test_the_library_has_every_declared_function() -> None:
    pytest.importorskip("cuda.pathfinder")
    try:
        library = cublas.load_library()
    except BackendError as error:
        pytest.skip(str(error))
    cublas._declare(library)
    assert library.cublasGemmStridedBatchedEx.argtypes[-1] is ctypes.c_int
