"""CuPy: NumPy's interface on a CUDA device, its loop recorded as a CUDA graph.

Not yet measured on a GPU.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cupy
import numpy as np

from anynet.backends import cublas
from anynet.backends.cublas import Cublas, Layout
from anynet.backends.cuda_sources import KERNELS
from anynet.backends.cupy_graph import CuPyRecorder
from anynet.backends.cupy_namespace import xp
from anynet.backends.cupy_transfers import CuPyCopier
from anynet.backends.devices import device_index
from anynet.backends.portable import Backend, Block, Loop, Memory, State, Step
from anynet.backends.replay import CapturedLoop, GraphLoop
from anynet.backends.transfers import double_buffered
from anynet.errors import BackendError
from anynet.typing import Array

THREADS = 128  # a block of the kernels that anynet brings itself
MOST_BLOCKS = 65_535


@dataclass(frozen=True)
class CuPyBackend(Backend):
    """CuPy arrays on one CUDA device.

    Parameters
    ----------
    graphs : CapturedLoop or None
        Records and replays the steps of loops; None runs it step by step.
    products : Cublas or None
        The handle behind ``gemm``; None leaves products to CuPy, which cannot be recorded.
    """

    name: ClassVar[str] = "cupy"

    graphs: CapturedLoop | None = field(
        default_factory=lambda: CapturedLoop(CuPyRecorder()), compare=False, repr=False
    )
    products: Cublas | None = field(default=None, compare=False, repr=False)

    def __hash__(self) -> int:
        """Hash by the device's number: CuPy's ``Device`` has equality but no hash."""
        return hash((self.name, self.device.id, self.dtype, self.precision))

    def to_device(self, array: Any) -> Array:
        with self.device:
            result: Array = cupy.asarray(array)
            return result

    def to_host(self, array: Array) -> np.ndarray:
        result: np.ndarray = cupy.asnumpy(array)
        return result

    def host_empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Make it pinned memory, which the device reads by itself."""
        import cupyx

        with self.context():
            memory: np.ndarray = cupyx.empty_pinned(shape, dtype)
            return memory

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy each block beside the steps on the one before."""
        return double_buffered(blocks, CuPyCopier())

    def gemm(
        self,
        a: Any,
        b: Any,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
        accumulate: Any = None,
        alpha: Any = 1,
        beta: float = 0,
    ) -> Array:
        """Make it one call of cuBLAS, into the memory of ``accumulate`` where that is given."""
        flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
        if self.products is None or not self._fit_for_cublas(a, b):
            return super().gemm(a, b, **flags, accumulate=accumulate, alpha=alpha, beta=beta)
        if isinstance(alpha, cupy.ndarray) and (alpha.ndim > 0 or beta not in (0, 1)):
            scaled: Any = self.gemm(a, b, **flags)  # cuBLAS has one α for all members
            scaled *= alpha
            if accumulate is not None and beta != 0:
                scaled += accumulate if beta == 1 else accumulate * beta
            return scaled  # type: ignore[no-any-return]
        layout = Layout.of(a.shape, b.shape, transpose_a, transpose_b)
        result = self._target(layout, accumulate, beta)
        self.products.multiply(
            layout,
            self._operand(a),
            self._operand(b),
            result,
            **flags,
            alpha=alpha.astype(self.dtype, copy=False)
            if isinstance(alpha, cupy.ndarray)
            else alpha,
            beta=0 if accumulate is None else beta,
            operands=self.dtype if self.precision in (None, "tf32") else self.precision,
            result=self.dtype,
            compute=self._compute(),
            stream=cupy.cuda.get_current_stream().ptr,
        )
        return result  # type: ignore[no-any-return]

    def _fit_for_cublas(self, a: Any, b: Any) -> bool:
        return bool(a.dtype == b.dtype == self.dtype and a.size > 0 and b.size > 0)

    def _target(self, layout: Layout, accumulate: Any, beta: float) -> Any:
        """Return the memory of the result, which holds ``accumulate`` if there is one."""
        shape = (*layout.population, layout.m, layout.n)
        if accumulate is None or beta == 0:
            return cupy.empty(shape, dtype=self.dtype)
        if (
            accumulate.shape == shape
            and accumulate.dtype == self.dtype
            and accumulate.flags.c_contiguous
        ):
            return accumulate
        copied = cupy.empty(shape, dtype=self.dtype)
        cupy.copyto(copied, accumulate)
        return copied

    def _operand(self, array: Any) -> Any:
        """Return an operand, contiguous and in the type that products take."""
        array = cupy.ascontiguousarray(array)
        if self.precision == "float16":
            return array.astype(cupy.float16)
        if self.precision != "bfloat16":
            return array
        rounded = cupy.empty(array.shape, dtype=cupy.uint16)  # CuPy needs ml_dtypes for the type
        _launch("to_bfloat16", array.size, (array, np.int64(array.size), rounded))
        return rounded

    def _compute(self) -> int:
        if self.dtype == "float64":
            return cublas.COMPUTE_64F
        return cublas.COMPUTE_32F_FAST_TF32 if self.precision == "tf32" else cublas.COMPUTE_32F

    def random_bits(self, seed: Any, counters: tuple[Any, int], shape: tuple[int, ...]) -> Array:
        """Draw the same bits with one kernel instead of about eighty."""
        step, purpose = counters
        count = math.prod(shape)
        pairs = (count + 1) // 2
        bits = cupy.empty((*seed.shape, *shape), dtype=cupy.uint32)
        sizes = (np.int64(seed.size), np.int64(pairs), np.int64(count))
        words = [cupy.asarray(word, dtype=cupy.int32, order="C") for word in (seed, step)]
        _launch("threefry_2x32", seed.size * pairs, (*words, np.uint32(purpose), *sizes, bits))
        return bits  # type: ignore[no-any-return]

    def loop(self, step: Step[State]) -> Loop[State]:
        """Replay the steps as a CUDA graph, see ``anynet.backends.replay``."""
        return super().loop(step) if self.graphs is None else GraphLoop(step, self)

    def context(self) -> AbstractContextManager[Any]:
        """Make the device current: CuPy launches kernels on the thread's current device."""
        device: AbstractContextManager[Any] = cupy.cuda.Device(self.device.id)
        return device

    def synchronize(self) -> None:
        self.device.synchronize()

    def memory(self) -> Memory:
        return Memory(*self.device.mem_info)

    def describe(self) -> dict[str, str]:
        loop = "eager" if self.graphs is None else self.graphs.describe()
        return super().describe() | {"version": cupy.__version__, "loop": loop}

    def device_name(self) -> str:
        return f"cuda:{self.device.id}"


@functools.cache
def _kernel(name: str) -> Any:
    return cupy.RawKernel(KERNELS[name], name)


def _launch(name: str, work: int, arguments: tuple[Any, ...]) -> None:
    """Run a kernel of anynet's own with a thread an item of work; its threads take turns."""
    blocks = min(-(-work // THREADS), MOST_BLOCKS)
    if blocks > 0:
        _kernel(name)((blocks,), (THREADS,), arguments)


@functools.cache
def _products(index: int) -> Cublas | None:
    """Return the cuBLAS handle of a device, None where the library cannot be had."""
    try:
        library = cublas.load_library()
    except BackendError:
        return None
    with cupy.cuda.Device(index):
        return Cublas(
            library,
            lambda array: int(array.data.ptr),
            cupy.empty(cublas.WORKSPACE_BYTES, dtype=cupy.uint8),
            {name: cupy.asarray(np.array([0, 1], dtype=name)) for name in cublas.REALS},
        )


def create(
    device: str | None, dtype: str, reason: str, precision: str | None = None
) -> CuPyBackend:
    """Make the backend after a small product has run on the device.

    Raises
    ------
    BackendError
        If no such device exists or the product fails; ``is_available`` alone does not prove that
        NVRTC and cuBLAS load.
    """
    if device is not None and not device.startswith("cuda"):
        message = f"the cupy backend computes on 'cuda' or 'cuda:N', got device {device!r}"
        raise BackendError(message)
    count = len(devices())
    if count == 0:
        message = (
            "CuPy is installed but sees no CUDA device: check that nvidia-smi lists one, "
            "or choose --backend numpy"
        )
        raise BackendError(message)
    index = device_index(device)
    if index >= count:
        message = f"device {device!r} does not exist: CuPy sees {', '.join(devices())}"
        raise BackendError(message)
    try:
        with cupy.cuda.Device(index):
            backend = CuPyBackend(
                xp,
                cupy.cuda.Device(index),
                dtype,
                reason,
                precision,
                products=_products(index),
            )
            a, b = np.arange(6).reshape(2, 3), np.array([[1, 0], [0, 1], [1, 1]])
            product = backend.gemm(*(backend.to_device(x.astype(dtype)) for x in (a, b)))
            works = bool(np.all(backend.to_host(product) == a @ b))  # small whole numbers: exact
    except Exception as error:  # any failure of driver, compiler or library means: not usable
        message = f"CuPy's probe product on cuda:{index} failed: {' '.join(str(error).split())}"
        raise BackendError(message) from error
    if not works:
        message = f"CuPy's probe product on cuda:{index} gave a wrong result: check the driver"
        raise BackendError(message)
    if precision is not None and backend.products is None:
        message = (
            f"precision {precision!r} needs libcublas, which was not found: "
            f"pip install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]'"
        )
        raise BackendError(message)
    return backend


def devices() -> tuple[str, ...]:
    """Return the devices that this library can use here."""
    if not cupy.cuda.is_available():
        return ()
    return tuple(f"cuda:{index}" for index in range(cupy.cuda.runtime.getDeviceCount()))
