"""torch: tensors on the CPU, on CUDA or on Apple's mps, without autograd."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import array_api_compat.torch as compat
import numpy as np
import torch

from anynet.backends.cuda import GraphBackend, GraphRecorder, GraphReport, double_buffered
from anynet.backends.groups import Group, own_device
from anynet.backends.portable import Block, Memory, device_index, extend
from anynet.backends.threads import SharedSetting
from anynet.backends.threefry import threefry_2x32
from anynet.errors import BackendError
from anynet.typing import Array


# array_api_compat makes a tensor of the number in maximum(x, 0.0), a copy to the device at every
# call, which clamp does not need. Its take looks for negative indices, three kernels a call; the
# rows of an order are never negative.
def _maximum(x1: Any, x2: Any, /) -> Any:
    if isinstance(x2, float) and x1.is_floating_point():
        return torch.clamp(x1, min=x2)
    return compat.maximum(x1, x2)


def _minimum(x1: Any, x2: Any, /) -> Any:
    if isinstance(x2, float) and x1.is_floating_point():
        return torch.clamp(x1, max=x2)
    return compat.minimum(x1, x2)


def _take(x: Any, indices: Any, /, *, axis: int) -> Any:
    return torch.index_select(x, axis, indices)


xp = extend(
    compat,
    "anynet.backends.torch.xp",
    maximum=_maximum,
    minimum=_minimum,
    take=_take,
    __version__=torch.__version__,
)


@functools.cache
def _side_stream(device: Any) -> Any:
    """Return the stream for captures: one per device, as cuBLAS keeps a workspace for each."""
    return torch.cuda.Stream(device)


@dataclass(frozen=True)
class TorchRecorder(GraphRecorder):
    """Capture graphs on a device."""

    device: Any

    def copy(self, array: Any) -> Any:
        """Return a new contiguous tensor with the same content."""
        return array.clone(memory_format=torch.contiguous_format)

    def write(self, buffer: Any, array: Any) -> None:
        """Copy ``array`` into ``buffer``."""
        buffer.copy_(array)

    def place(self, array: Any) -> Hashable:
        """Return the address, shape, strides and type: what a graph reads if they are equal."""
        return array.data_ptr(), array.shape, array.stride(), array.dtype

    def capture(self, warm_up: Callable[[], None], work: Callable[[], None]) -> Callable[[], None]:
        """Capture on a side stream; torch gives each graph a memory pool of its own.

        ``torch.cuda.graph`` leaves its stream current if the capture cannot be ended, so the
        current stream is restored here in any case.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            current, side = torch.cuda.current_stream(), _side_stream(self.device)
            side.wait_stream(current)  # the inputs of warm_up may not be ready yet
            try:
                with torch.cuda.stream(side):
                    warm_up()
                current.wait_stream(side)
                with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                    work()
            finally:
                torch.cuda.set_stream(current)
        return graph.replay  # type: ignore[no-any-return]


class TorchCopier:
    """See ``anynet.backends.cuda.Copier``."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def empty(self, array: np.ndarray) -> Any:
        """Return uninitialized memory of the device for such an array."""
        return torch.empty(array.shape, dtype=torch.from_numpy(array).dtype, device=self.device)

    def mark(self) -> Any:
        """Return an event on the current stream."""
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        return event

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        """Copy after an event, beside later work; return when the copy is done."""
        self.stream.wait_event(after)
        with torch.cuda.stream(self.stream):
            for target, array in zip(targets, arrays, strict=True):
                target.copy_(torch.from_numpy(array), non_blocking=True)
        self.stream.synchronize()


@dataclass(frozen=True)
class TorchBackend(GraphBackend):
    """torch tensors on one device."""

    name: ClassVar[str] = "torch"

    def to_device(self, array: Any) -> Any:
        """Return a tensor on the device, outside of autograd."""
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            array = array.copy()  # torch has no read-only tensors and warns of sharing one
        if isinstance(array, torch.Tensor):
            array = array.detach()
        return torch.as_tensor(array, device=self.device)

    def to_host(self, array: Any) -> Any:
        """Return a NumPy array with the same content; waits for the device."""
        return array.detach().cpu().numpy()

    def host_empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Return pinned memory on CUDA, which the device reads without the host."""
        if self.device.type != "cuda":
            return super().host_empty(shape, dtype)
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        return torch.empty(shape, dtype=kind, pin_memory=True).numpy()

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy each block, on CUDA while steps run on the one before."""
        if self.device.type != "cuda":
            return super().stream(blocks)
        return double_buffered(blocks, TorchCopier(self.device))

    def beside(self, group: Group) -> TorchBackend:
        """Return this backend on a GPU of its own for each process, if it is one of CUDA."""
        if group.size == 1 or self.device.type != "cuda":
            return self
        seen = range(torch.cuda.device_count())
        known = [str(torch.cuda.get_device_properties(at).uuid) for at in seen]
        index = own_device(group, self.device.index, known)
        return replace(self, device=torch.device("cuda", index))

    def _gemm(self, a: Any, b: Any, *options: Any) -> Any:
        """Add a product times a factor on the device, such as a rate, in place and in one pass."""
        transpose_a, transpose_b, accumulate, alpha, beta = options
        if accumulate is None or beta != 1 or isinstance(alpha, (int, float)):
            return super()._gemm(a, b, *options)
        product = super()._gemm(a, b, transpose_a, transpose_b, None, 1, 0)
        return accumulate.addcmul_(product, alpha)

    def _multiply(self, a: Any, b: Any) -> Any:
        """Round the factors if asked to; TF32 is a setting of torch's, see ``context``."""
        if self.precision in (None, "tf32"):
            return torch.matmul(a, b)
        narrow = getattr(torch, self.precision)
        a, b = a.to(narrow), b.to(narrow)
        if self.device.type == "cuda":
            return _multiply_narrow(a, b, self.float_dtype)
        # other devices would round the sums too; the products are exact in float32
        return torch.matmul(a.to(self.float_dtype), b.to(self.float_dtype))

    def recorder(self) -> TorchRecorder:
        """Return what captures graphs on the device."""
        return TorchRecorder(self.device)

    def _random_words(
        self, seed: Array, step: Array | int, purpose: int, pairs: int
    ) -> tuple[Array, Array]:
        """Run Threefry in int32, whose sums wrap: torch's uint32 has no arithmetic."""
        index = torch.arange(pairs, dtype=torch.int32, device=self.device)
        second_key = torch.full_like(seed, purpose)
        first, second = threefry_2x32(
            (seed, second_key), (torch.zeros_like(seed) + step, index), rotate=_rotate_signed
        )
        return _unsigned(first), _unsigned(second)

    def context(self) -> Any:
        """Switch autograd off, as anynet has its own pullbacks; and TF32 on, if asked to."""
        return _with_tf32() if self.precision == "tf32" else torch.no_grad()

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def memory(self) -> Memory | None:
        """Return the free and total memory of a CUDA device, None for others.

        What torch has reserved and does not use is free.
        """
        if self.device.type != "cuda":
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        reserved = torch.cuda.memory_reserved(self.device)
        return Memory(free + reserved - torch.cuda.memory_allocated(self.device), total)

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether torch reports that the device or the host has no memory left."""
        on_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        on_cuda = isinstance(error, torch.cuda.OutOfMemoryError)
        return on_cpu or on_cuda or super().is_out_of_memory(error)

    def _threads(self) -> int | None:
        return torch.get_num_threads() if self.device.type == "cpu" else None


def _rotate_signed(word: Any, distance: int) -> Any:
    """Rotate int32 words left; the mask removes the sign bits that a right shift inserts."""
    return (word << distance) | ((word >> (32 - distance)) & ((1 << distance) - 1))


def _unsigned(word: Any) -> Any:
    return word.to(torch.int64) & 0xFFFFFFFF


def _tf32_setting(matmul: Any) -> tuple[SharedSetting, Any]:
    """Return torch's setting of the precision of products, and its value for TF32.

    torch 2.9 replaces ``allow_tf32`` by ``fp32_precision``; it raises if a program uses both.
    """
    recent = hasattr(matmul, "fp32_precision")
    name, value = ("fp32_precision", "tf32") if recent else ("allow_tf32", True)

    def write(wanted: Any) -> None:
        if getattr(matmul, name) != wanted:  # a value that is inherited is not made explicit
            setattr(matmul, name, wanted)

    return SharedSetting(lambda: getattr(matmul, name), write), value


_tf32, _TF32 = _tf32_setting(torch.backends.cuda.matmul)


@contextmanager
def _with_tf32() -> Iterator[None]:
    """Multiply float32 matrices as TF32, which is a setting of the process in torch."""
    with torch.no_grad(), _tf32.hold(_TF32):
        yield


def _multiply_narrow(a: Any, b: Any, result: Any) -> Any:
    """Multiply 16-bit matrices into a wider type; one may lack leading axes."""
    if a.ndim == b.ndim == 2:
        return torch.mm(a, b, out_dtype=result)
    lead = a.shape[:-2] or b.shape[:-2]
    stacks = [x.expand(*lead, *x.shape[-2:]).reshape(-1, *x.shape[-2:]) for x in (a, b)]
    return torch.bmm(*stacks, out_dtype=result).reshape(*lead, a.shape[-2], b.shape[-1])


def create(
    device: str | None, dtype: str, reason: str, precision: str | None = None
) -> TorchBackend:
    """Make the backend.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N", "mps"} or None
        None is the CPU.
    dtype, reason, precision : str
        See ``Backend``.

    Raises
    ------
    BackendError
        If torch does not see that device, or the device lacks the dtype or the precision.
    """
    device = device or "cpu"
    kind, known = device.partition(":")[0], devices()
    if kind == "cuda":
        device = f"cuda:{device_index(device)}"
    if device not in known:
        message = (
            f"torch {torch.__version__} has no device {device!r} here (it sees "
            f"{', '.join(known)}): install a torch build for your GPU (https://pytorch.org), "
            f"or choose device='cpu'"
        )
        raise BackendError(message)
    if kind == "mps" and dtype == "float64":
        message = "torch's mps device has no float64: choose dtype='float32' or device='cpu'"
        raise BackendError(message)
    if precision == "tf32" and kind != "cuda":
        message = f"precision 'tf32' needs a CUDA device, got {device}: choose 'bfloat16'"
        raise BackendError(message)
    wide_results = "dtype" in torch.ops.aten.mm.overloads()  # torch 2.8 and later
    if precision in ("bfloat16", "float16") and kind == "cuda" and not wide_results:
        message = f"torch {torch.__version__} cannot multiply {precision} into float32: upgrade it"
        raise BackendError(message)
    graphs = GraphReport() if kind == "cuda" else None
    return TorchBackend(xp, torch.device(device), dtype, reason, precision, graphs)


def devices() -> tuple[str, ...]:
    """Return the names of the devices that torch can use here."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ("cpu", *cuda, *mps)


def set_threads(count: int) -> None:
    """Set the maximum number of threads of operations on the CPU."""
    torch.set_num_threads(count)


# OpenMP's threads do not survive a fork, and GNU's OpenMP waits for them forever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
