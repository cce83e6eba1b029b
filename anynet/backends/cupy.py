"""CuPy: NumPy's interface on a CUDA device, with loops captured as CUDA graphs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import array_api_compat.cupy as compat
import cupy
import numpy as np

from anynet import tree
from anynet.backends import cublas
from anynet.backends.cublas import Cublas
from anynet.backends.cuda import GraphBackend, GraphRecorder, double_buffered
from anynet.backends.cuda_sources import KERNELS
from anynet.backends.cupy_memory import CapturedGraph, GraphMemory
from anynet.backends.fusion import EXPRESSIONS, Fuser, active_fuser, recording, value_of
from anynet.backends.groups import Group, own_device
from anynet.backends.portable import Block, Memory, Step, device_index, extend
from anynet.errors import BackendError

THREADS = 128  # per block of anynet's own kernels
MOST_BLOCKS = 65_535


# array_api_compat writes clip and sign with boolean masks, for which the host waits, and turns
# bounds into arrays, which copies them to the device: a CUDA graph can hold neither.
def _clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    return cupy.clip(x, min, max)


def _sign(x: Any, /) -> Any:
    return cupy.where(cupy.isnan(x), x, cupy.sign(x))  # cupy.sign alone makes 0 of NaN


def _vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return cupy.sum(x1 * x2, axis=axis)  # array_api_compat's is a product by CuPy's own cuBLAS


plain = extend(compat, "anynet.backends.cupy.plain", clip=_clip, sign=_sign, vecdot=_vecdot)
xp = extend(plain, "anynet.backends.cupy.xp", **recording(plain), __version__=cupy.__version__)


@functools.cache
def _side_stream(device: int) -> Any:  # noqa: ARG001  (a stream belongs to the current device)
    """Return the stream for captures: one per device, kept, as cuBLAS remembers its stream."""
    return cupy.cuda.Stream(non_blocking=True)


class Kernels:
    """Calls of CuPy by which a ``Fuser`` computes, see ``anynet.backends.fusion.Library``."""

    def is_array(self, value: Any) -> bool:
        """Whether a value is an array of CuPy."""
        return isinstance(value, cupy.ndarray)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return an uninitialized array."""
        return cupy.empty(shape, dtype=dtype)

    def launch(self, source: str, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Run the kernel ``fused`` of a source."""
        _fused_kernel(source)((blocks,), (threads,), tuple(arguments))


@functools.cache  # without a limit: a graph that is replayed does not keep its kernels
def _fused_kernel(source: str) -> Any:
    return cupy.RawKernel(source, "fused")


class CuPyRecorder(GraphRecorder):
    """Capture the graphs of one loop on the thread's current device.

    Parameters
    ----------
    products : Cublas or None
        See ``CuPyBackend``.
    """

    def __init__(self, products: Cublas | None) -> None:
        self.products = products
        self.memory: GraphMemory | None = None

    def copy(self, array: Any) -> Any:
        """Return a new contiguous array with the same content."""
        return cupy.array(array, copy=True, order="C")

    def write(self, buffer: Any, array: Any) -> None:
        """Copy ``array`` into ``buffer``."""
        cupy.copyto(buffer, array)

    def advance(self, step: Step[Any], buffers: Any, rows: Any, data: Any) -> None:
        """Apply the step once for each row, with its operations fused into few kernels."""
        fuser = Fuser(Kernels(), plain, EXPRESSIONS)

        def fused(state: Any, rows: Any, data: Any) -> Any:
            state = step(*tree.map(fuser.lift, (state, rows, data)))
            fuser.compute(tree.leaves(state))
            return tree.map(value_of, state)

        with fuser.active():
            super().advance(fused, buffers, rows, data)

    def write_all(self, buffers: Sequence[Any], arrays: Sequence[Any]) -> None:
        """Copy arrays into buffers, in a capture by one kernel."""
        fuser = active_fuser()
        if fuser is None:
            super().write_all(buffers, arrays)
        else:
            fuser.copy_into(buffers, arrays)

    def place(self, array: Any) -> Hashable:
        """Return the address, shape, strides and type: what a graph reads if they are equal."""
        return array.data.ptr, array.shape, array.strides, array.dtype

    def free(self) -> None:
        """Free the memory of graphs, which are not used any more."""
        self.memory = None

    def capture(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Capture on a stream, and with memory that only graphs of this loop use.

        The warm-up compiles and loads the kernels, which a capture does not permit, and fills the
        pool, which leaves little to allocate in the capture. Memory that ``work`` frees returns to
        that pool, so no other array is allocated where the graph writes. The warm-up may run beside
        graphs of other threads, so it has its own workspace of cuBLAS.
        """
        device = cupy.cuda.runtime.getDevice()
        stream = _side_stream(device)
        self.memory = memory = self.memory or GraphMemory(device)
        # Earlier work may not have written the inputs yet, or may use the workspace's memory.
        cupy.cuda.get_current_stream().synchronize()
        with cupy.cuda.using_allocator(memory.pool.malloc), stream, self._workspace(stream.ptr):
            warm_up()
            stream.synchronize()
            stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(Exception):  # it reports again that the capture is invalid
                    stream.end_capture()
                raise
            graph = stream.end_capture()
        graph.upload()
        return CapturedGraph(graph, memory).launch

    @contextmanager
    def _workspace(self, stream: int) -> Iterator[None]:
        """Let products on a stream use the workspace of this loop."""
        if self.products is None or self.memory is None:
            yield
            return
        self.products.workspaces[stream] = self.memory.workspace
        try:
            yield
        finally:
            self.products.workspaces.pop(stream, None)


class CuPyCopier:
    """See ``anynet.backends.cuda.Copier``; works on the thread's current device."""

    def __init__(self) -> None:
        self.stream = cupy.cuda.Stream(non_blocking=True)

    def empty(self, array: np.ndarray) -> Any:
        """Return uninitialized memory of the device for such an array."""
        return cupy.empty(array.shape, dtype=array.dtype)

    def mark(self) -> Any:
        """Return an event on the current stream."""
        event = cupy.cuda.Event(disable_timing=True)
        event.record(cupy.cuda.get_current_stream())
        return event

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        """Copy after an event, beside later work; return when the copy is done."""
        self.stream.wait_event(after)
        for target, array in zip(targets, arrays, strict=True):
            target.set(array, stream=self.stream)
        self.stream.synchronize()


@dataclass(frozen=True)
class CuPyBackend(GraphBackend):
    """CuPy arrays on one CUDA device.

    Parameters
    ----------
    products : Cublas or None
        The handle behind ``gemm``; None leaves products to CuPy, which cannot be captured.
    """

    name: ClassVar[str] = "cupy"

    products: Cublas | None = field(default=None, compare=False, repr=False)

    def __hash__(self) -> int:
        """Hash by the device's number: CuPy's ``Device`` has equality but no hash."""
        return hash((self.name, self.device.id, self.dtype, self.precision, self.group))

    def to_device(self, array: Any) -> Any:
        """Copy an array of the host to the device."""
        with self.device:
            return cupy.asarray(array)

    def to_host(self, array: Any) -> Any:
        """Return a NumPy array with the same content; waits for the device."""
        return cupy.asnumpy(array)

    def host_empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Return pinned memory, which the device reads without the host."""
        import cupyx

        with self.context():
            return cupyx.empty_pinned(shape, dtype)

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy each block while steps run on the previous block."""
        return double_buffered(blocks, CuPyCopier())

    def _joined(self, group: Group) -> CuPyBackend:
        """Add up by NCCL, on a GPU of its own for each process."""
        if group.size == 1:
            return replace(self, group=group)
        from anynet.backends.nccl import nccl_group

        backend = self.beside(group)
        return replace(backend, group=nccl_group(group, backend.device.id))

    def beside(self, group: Group) -> CuPyBackend:
        """Return this backend on a GPU of its own for each process."""
        if group.size == 1:
            return self
        index = own_device(group, self.device.id, _addresses())
        return create(f"cuda:{index}", self.dtype, self.reason, self.precision)

    def _all_reduce(self, flat: Any) -> None:
        fuser = active_fuser()
        if fuser is not None:
            fuser.compute([flat])
            flat = value_of(flat)
            fuser.before_overwriting(flat)
        self.group.all_reduce(flat)

    def _gemm(self, a: Any, b: Any, *options: Any) -> Any:
        """Compute the product in one call of cuBLAS, in the memory of ``accumulate`` if given."""
        *transposes, accumulate, alpha, beta = options
        if getattr(alpha, "ndim", 0) > 0 and alpha.shape[-2:] == (1, 1):
            b, alpha = b * alpha, 1  # cuBLAS has one α for all members
        fuser = active_fuser()
        if fuser is None:
            return self._product(a, b, *transposes, accumulate, alpha, beta)
        fuser.compute([a, b, accumulate, alpha])
        a, b, accumulate, alpha = map(value_of, (a, b, accumulate, alpha))
        if accumulate is not None:
            fuser.before_overwriting(accumulate)
        return fuser.lift(self._product(a, b, *transposes, accumulate, alpha, beta))

    def _product(self, a: Any, b: Any, *options: Any) -> Any:
        fits = a.dtype == b.dtype == self.dtype and a.size > 0 and b.size > 0
        if self.products is None or not fits:
            return super()._gemm(a, b, *options)
        transpose_a, transpose_b, accumulate, alpha, beta = options
        on_device = isinstance(alpha, cupy.ndarray)
        if on_device and (alpha.ndim > 0 or beta not in (0, 1)):  # cuBLAS has one α for all members
            scaled = self.gemm(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
            scaled *= alpha
            if accumulate is not None and beta != 0:
                scaled += accumulate if beta == 1 else accumulate * beta
            return scaled
        shape = cublas.product_shape(a.shape, b.shape, transpose_a, transpose_b)
        result = self._target(shape, accumulate, beta)
        self.products.multiply(
            self._operand(a),
            self._operand(b),
            result,
            transpose_a=transpose_a,
            transpose_b=transpose_b,
            alpha=alpha.astype(self.dtype, copy=False) if on_device else alpha,
            beta=0 if accumulate is None else beta,
            operands=self.dtype if self.precision in (None, "tf32") else self.precision,
            compute=self._compute(),
            stream=cupy.cuda.get_current_stream().ptr,
        )
        return result

    def _target(self, shape: tuple[int, ...], accumulate: Any, beta: float) -> Any:
        """Return the memory of the result, filled with ``accumulate`` if given."""
        if accumulate is None or beta == 0:
            return cupy.empty(shape, dtype=self.dtype)
        fits = accumulate.shape == shape and accumulate.dtype == self.dtype
        if fits and accumulate.flags.c_contiguous:
            return accumulate
        return cupy.array(accumulate, dtype=self.dtype, order="C")

    def _operand(self, array: Any) -> Any:
        """Return an operand, contiguous and in the element type of products."""
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

    def random_bits(self, seed: Any, counters: tuple[Any, int], shape: tuple[int, ...]) -> Any:
        """Draw the same bits with one kernel instead of about eighty."""
        step, purpose = counters
        seed, step = value_of(seed), value_of(step)
        count = math.prod(shape)
        pairs = (count + 1) // 2
        bits = cupy.empty((*seed.shape, *shape), dtype=cupy.uint32)
        sizes = (np.int64(seed.size), np.int64(pairs), np.int64(count))
        words = [cupy.asarray(word, dtype=cupy.int32, order="C") for word in (seed, step)]
        _launch("threefry_2x32", seed.size * pairs, (*words, np.uint32(purpose), *sizes, bits))
        fuser = active_fuser()
        return bits if fuser is None else fuser.lift(bits)

    def recorder(self) -> CuPyRecorder:
        """Return the recorder of graphs on the device."""
        return CuPyRecorder(self.products)

    def context(self) -> Any:
        """Make the device current: CuPy launches kernels on the thread's current device."""
        return cupy.cuda.Device(self.device.id)

    def synchronize(self) -> None:
        """Wait for the device."""
        self.device.synchronize()

    def memory(self) -> Memory:
        """Return the device's free and total memory; free blocks of CuPy's pool are free."""
        with self.context():
            free, total = self.device.mem_info
            return Memory(free + cupy.get_default_memory_pool().free_bytes(), total)

    def device_name(self) -> str:
        """Return ``cuda:N``."""
        return f"cuda:{self.device.id}"


@functools.cache
def _kernel(name: str) -> Any:
    return cupy.RawKernel(KERNELS[name], name)


def _launch(name: str, work: int, arguments: tuple[Any, ...]) -> None:
    """Run a kernel of anynet's own with one thread per item, up to the largest grid."""
    blocks = min(-(-work // THREADS), MOST_BLOCKS)
    if blocks > 0:
        _kernel(name)((blocks,), (THREADS,), arguments)


@functools.cache
def _products(index: int) -> Cublas | None:
    """Return the cuBLAS handle of a device, or None if the library is not found."""
    try:
        library = cublas.load_library()
    except BackendError:
        return None
    with cupy.cuda.Device(index):
        return Cublas(
            library,
            lambda array: int(array.data.ptr),
            _workspaces(),
            {name: cupy.asarray(np.array([0, 1], dtype=name)) for name in cublas.REALS},
        )


def _workspaces() -> Callable[[int], Any]:
    """Return what gives products on a stream their workspace.

    CuPy's pool gives memory that was freed only to later work of the same stream, so that of a
    user's own stream may be freed when its product is submitted.
    """
    default = cupy.empty(cublas.WORKSPACE_BYTES, dtype=cupy.uint8)

    def workspace(stream: int) -> Any:
        return cupy.empty_like(default) if stream else default

    return workspace


def create(
    device: str | None, dtype: str, reason: str, precision: str | None = None
) -> CuPyBackend:
    """Make the backend, after a test product on the device if it is the first of its kind.

    Raises
    ------
    BackendError
        If the device does not exist or the product fails, as it does if NVRTC or cuBLAS do not
        load.
    """
    if device is not None and not device.startswith("cuda"):
        message = f"the cupy backend computes on 'cuda' or 'cuda:N', got device {device!r}"
        raise BackendError(message)
    index, found = device_index(device), devices()
    if not found:
        message = (
            "CuPy is installed but sees no CUDA device: check that nvidia-smi lists one, "
            "or choose backend='numpy'"
        )
        raise BackendError(message)
    if index >= len(found):
        message = f"device {device!r} does not exist: CuPy sees {', '.join(found)}"
        raise BackendError(message)
    chosen, products = _tested(index, dtype, precision)
    if precision is not None and products is None:
        message = (
            f"precision {precision!r} needs libcublas, which was not found: "
            f"pip install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]'"
        )
        raise BackendError(message)
    return CuPyBackend(xp, chosen, dtype, reason, precision, products=products)


@functools.cache
def _tested(index: int, dtype: str, precision: str | None) -> tuple[Any, Cublas | None]:
    """Return a device and its products after a test product, once for all backends."""
    try:
        chosen, products = cupy.cuda.Device(index), _products(index)
        with chosen:
            backend = CuPyBackend(xp, chosen, dtype, "", precision, products=products)
            a, b = np.arange(6).reshape(2, 3), np.array([[1, 0], [0, 1], [1, 1]])
            product = backend.gemm(*(backend.to_device(x.astype(dtype)) for x in (a, b)))
            works = bool(np.all(backend.to_host(product) == a @ b))  # exact in any dtype
    except Exception as error:  # whatever fails in driver, compiler or library
        message = f"CuPy's test product on cuda:{index} failed: {' '.join(str(error).split())}"
        raise BackendError(message) from error
    if not works:
        message = f"CuPy's test product on cuda:{index} gave a wrong result: check the driver"
        raise BackendError(message)
    return chosen, products


def _addresses() -> list[str]:
    """Return an identifier of each GPU that is the same in all processes of a host."""
    return [cupy.cuda.Device(index).pci_bus_id for index in range(len(devices()))]


def devices() -> tuple[str, ...]:
    """Return the names of the devices that CuPy can use here."""
    if not cupy.cuda.is_available():
        return ()
    return tuple(f"cuda:{index}" for index in range(cupy.cuda.runtime.getDeviceCount()))
