"""cuBLAS through a handle of anynet's own.

CuPy refuses to use its handle while a CUDA graph is captured (cupy#6290), copies transposed
operands of batched products, and has no β. Here a product is one call: transposes are flags, α may
lie on the device, and C is updated in place.

References
----------
cuBLAS documentation, sections 2.1.2 to 2.4 and ``cublasGemmEx``:
https://docs.nvidia.com/cuda/cublas/
"""

from __future__ import annotations

import ctypes
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

from anynet.errors import BackendError

WORKSPACE_BYTES = 32 * 2**20  # what the documentation recommends for Hopper; less elsewhere

AS_IS, TRANSPOSED = 0, 1  # cublasOperation_t
ON_HOST, ON_DEVICE = 0, 1  # cublasPointerMode_t
DATA_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}  # cudaDataType_t
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_TF32 = 68, 70, 77  # cublasComputeType_t
DEFAULT_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
REALS = {"float32": ctypes.c_float, "float64": ctypes.c_double}


def load_library() -> Any:
    """Load libcublas, the same library that CuPy uses.

    Raises
    ------
    BackendError
        If it is not found.
    """
    try:
        from cuda import pathfinder

        return ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:  # pathfinder and the loader have exceptions of their own
        message = f"libcublas was not found ({error}): pip install 'cupy-cuda13x[ctk]'"
        raise BackendError(message) from error


def product_shape(
    a: tuple[int, ...], b: tuple[int, ...], transpose_a: bool, transpose_b: bool
) -> tuple[int, ...]:
    """Return the shape (*P, M, N) of a product, see ``Backend.gemm``.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    m, k = a[-2:][::-1] if transpose_a else a[-2:]
    inner, n = b[-2:][::-1] if transpose_b else b[-2:]
    population = a[:-2] or b[:-2]
    if k != inner or any(lead not in ((), population) for lead in (a[:-2], b[:-2])):
        message = f"gemm: shapes {a} and {b} do not fit ({transpose_a=}, {transpose_b=})"
        raise ValueError(message)
    return (*population, m, n)


class Cublas:
    """A handle with its workspace.

    Parameters
    ----------
    library : object
        libcublas, or an object with its functions.
    address : callable
        Returns the address of an array's memory on the device.
    workspace : callable
        Returns memory for products on a stream, given its address. Products of different streams
        may run at the same time, so they must not share it.
    constants : dict
        For each real type an array on the device that holds 0 and 1: the β beside an α on the
        device.

    Attributes
    ----------
    workspaces : dict
        Memory for the products on some streams, instead of ``workspace``.
    """

    def __init__(
        self,
        library: Any,
        address: Callable[[Any], int],
        workspace: Callable[[int], Any],
        constants: dict[str, Any],
    ) -> None:
        self._library = library
        self._address = address
        self._workspace = workspace
        self.workspaces: dict[int, Any] = {}
        self._constants = constants
        self._handle = ctypes.c_void_p()
        self._used: tuple[int, int] | None = None  # the stream and the workspace's address
        self._lock = threading.Lock()  # pointer mode and product are two calls
        _declare(library)
        self._check(library.cublasCreate_v2(ctypes.byref(self._handle)), "cublasCreate")
        release = weakref.finalize(self, library.cublasDestroy_v2, self._handle)
        release.atexit = False  # the driver may be shut down before

    def multiply(
        self,
        a: Any,
        b: Any,
        c: Any,
        *,
        transpose_a: bool,
        transpose_b: bool,
        alpha: Any,
        beta: float,
        operands: str,
        compute: int,
        stream: int,
    ) -> None:
        """Compute ``c ← alpha · op(a) · op(b) + beta · c`` on ``stream``.

        A row-major matrix is a column-major one transposed, so cuBLAS computes
        Cᵀ = op(B)ᵀ · op(A)ᵀ: the operands change places, and keep their flags.

        Parameters
        ----------
        a, b, c : array
            Contiguous, on the device; c of the shape ``product_shape``.
        transpose_a, transpose_b : bool
        alpha : float, or array of shape () and the type of c on the device
            In the latter case ``beta`` is 0 or 1.
        beta : float
        operands : str
            Element type of a and b.
        compute : int
            A ``cublasComputeType_t``.
        stream : int
            Address of the CUDA stream.

        Raises
        ------
        BackendError
            If cuBLAS refuses.
        """
        *population, m, n = c.shape
        k, result = a.shape[-2 if transpose_a else -1], str(c.dtype)
        if isinstance(alpha, (int, float)):
            mode = ON_HOST
            scalars: list[Any] = [ctypes.byref(REALS[result](value)) for value in (alpha, beta)]
        else:
            mode = ON_DEVICE
            constant = self._address(self._constants[result])
            beta_address = constant + int(beta) * ctypes.sizeof(REALS[result])
            scalars = [ctypes.c_void_p(self._address(alpha)), ctypes.c_void_p(beta_address)]
        name, count = "cublasGemmEx", math.prod(population)
        strides: list[list[int]] = [[], [], []]
        if count > 1:  # an operand that all members share has stride 0
            name = "cublasGemmStridedBatchedEx"
            strides = [[math.prod(x.shape[-2:]) if x.ndim > 2 else 0] for x in (b, a, c)]
        kinds = (operands, operands, result)
        right, left, target = (
            [self._address(x), DATA_TYPES[kind], x.shape[-1], *stride]
            for x, kind, stride in zip((b, a, c), kinds, strides, strict=True)
        )
        flags = [TRANSPOSED if flag else AS_IS for flag in (transpose_b, transpose_a)]
        batch = [count] if count > 1 else []
        with self._lock:
            workspace = self.workspaces.get(stream)
            workspace = self._workspace(stream) if workspace is None else workspace
            self._use(stream, workspace)
            self._check(self._library.cublasSetPointerMode_v2(self._handle, mode), "pointer mode")
            status = getattr(self._library, name)(
                *(self._handle, *flags, n, m, k),
                *(scalars[0], *right, *left, scalars[1], *target),
                *(*batch, compute, DEFAULT_ALGORITHM),
            )
        self._check(status, f"a product {m} × {k} × {n}")

    def _use(self, stream: int, workspace: Any) -> None:
        """Set the stream; that resets the workspace, which is therefore set after it."""
        wanted = stream, self._address(workspace)
        if wanted == self._used:
            return
        library, self._used = self._library, None
        self._check(library.cublasSetStream_v2(self._handle, stream), "cublasSetStream")
        status = library.cublasSetWorkspace_v2(self._handle, wanted[1], workspace.nbytes)
        self._check(status, "cublasSetWorkspace")
        self._used = wanted

    def _check(self, status: int, what: str) -> None:
        if status != 0:
            message = f"cuBLAS refused {what}: status {status} of cublasStatus_t"
            raise BackendError(message)


def _declare(library: Any) -> None:
    """Declare the types of the functions used here; else addresses lose their upper half."""
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    head = [pointer, *[integer] * 5, pointer]
    matrix = [pointer, integer, integer]
    strided = [*matrix, ctypes.c_longlong]
    types: dict[str, list[Any]] = {
        "cublasCreate_v2": [pointer],
        "cublasDestroy_v2": [pointer],
        "cublasSetStream_v2": [pointer, pointer],
        "cublasSetWorkspace_v2": [pointer, pointer, ctypes.c_size_t],
        "cublasSetPointerMode_v2": [pointer, integer],
        "cublasGemmEx": [*head, *matrix * 2, pointer, *matrix, *[integer] * 2],
        "cublasGemmStridedBatchedEx": [*head, *strided * 2, pointer, *strided, *[integer] * 3],
    }
    for name, arguments in types.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
