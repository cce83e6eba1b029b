"""torch: tensors on the CPU, on CUDA or on Apple's mps, without autograd.

The CUDA path is not yet measured on a GPU.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import array_api_compat.torch as compat
import numpy as np
import torch

from anynet.backends.cuda import GraphReport, double_buffered
from anynet.backends.devices import device_index
from anynet.backends.loops import RecordedLoop
from anynet.backends.portable import Backend, Block, Loop, Memory, State, Step
from anynet.backends.threefry import threefry_2x32
from anynet.backends.torch_streams import TorchCopier, TorchRecorder
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


xp = ModuleType("anynet.backends.torch.xp", "torch's array API namespace.")
vars(xp).update({name: value for name, value in vars(compat).items() if name[:1] != "_"})
vars(xp).update(
    maximum=_maximum,
    minimum=_minimum,
    take=_take,
    __version__=torch.__version__,
    isdtype=compat.isdtype,
)


@dataclass(frozen=True)
class TorchBackend(Backend):
    """torch tensors on one device.

    Parameters
    ----------
    graphs : GraphReport or None
        Counts what the graphs of loops do on CUDA; None runs loops step by step.
    """

    name: ClassVar[str] = "torch"

    graphs: GraphReport | None = field(default=None, compare=False, repr=False)

    def to_device(self, array: Any) -> Array:
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            array = array.copy()  # torch has no read-only tensors and warns of sharing one
        if isinstance(array, torch.Tensor):
            array = array.detach()
        result: Array = torch.as_tensor(array, device=self.device)
        return result

    def to_host(self, array: Array) -> np.ndarray:
        result: np.ndarray = array.detach().cpu().numpy()  # type: ignore[attr-defined]
        return result

    def host_empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Make it pinned memory where CUDA is, which the device reads by itself."""
        if self.device.type != "cuda":
            return super().host_empty(shape, dtype)
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        memory: np.ndarray = torch.empty(shape, dtype=kind, pin_memory=True).numpy()
        return memory

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy each block beside the steps on the one before, where CUDA is."""
        if self.device.type != "cuda":
            return super().stream(blocks)
        return double_buffered(blocks, TorchCopier(self.device))

    def _gemm(self, a: Any, b: Any, *options: Any) -> Any:
        """Add a multiple from the device, such as a learning rate's, in place and in one pass."""
        transpose_a, transpose_b, accumulate, alpha, beta = options
        if accumulate is None or beta != 1 or isinstance(alpha, (int, float)):
            return super()._gemm(a, b, *options)
        return accumulate.addcmul_(super()._gemm(a, b, transpose_a, transpose_b), alpha)

    def _multiply(self, a: Any, b: Any) -> Array:
        """Round the factors if asked to; TF32 is a setting of torch's, see ``context``."""
        product: Array
        if self.precision in (None, "tf32"):
            product = torch.matmul(a, b)
            return product
        narrow = getattr(torch, self.precision)
        a, b = a.to(narrow), b.to(narrow)
        if self.device.type == "cuda":
            product = _multiply_narrow(a, b, self.float_dtype)
        else:  # these devices would round the sums too; the products are exact in float32
            product = torch.matmul(a.to(self.float_dtype), b.to(self.float_dtype))
        return product

    def loop(self, step: Step[State]) -> Loop[State]:
        """Return a loop that replays its steps as CUDA graphs, unless ``graphs`` is None."""
        if self.graphs is None:
            return super().loop(step)
        return RecordedLoop(step, TorchRecorder(self.device), self.graphs)

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

    def context(self) -> AbstractContextManager[Any]:
        """Switch autograd off: anynet's pullbacks are its own; and TF32 on, if asked to."""
        context: AbstractContextManager[Any] = torch.no_grad()
        return _with_tf32() if self.precision == "tf32" else context

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def memory(self) -> Memory | None:
        if self.device.type != "cuda":
            return None
        return Memory(*torch.cuda.mem_get_info(self.device))

    def is_out_of_memory(self, error: Exception) -> bool:
        on_cpu = "can't allocate memory" in str(error)  # a RuntimeError
        return (
            super().is_out_of_memory(error)
            or isinstance(error, torch.cuda.OutOfMemoryError)
            or (isinstance(error, RuntimeError) and on_cpu)
        )

    def describe(self) -> dict[str, str]:
        loop = "eager" if self.graphs is None else self.graphs.describe()
        description = super().describe() | {"version": torch.__version__, "loop": loop}
        cpu = self.device.type == "cpu"
        return description | ({"threads": str(torch.get_num_threads())} if cpu else {})


def _rotate_signed(word: Any, distance: int) -> Any:
    """Rotate int32 words left: a right shift copies the sign, which the mask takes off."""
    return (word << distance) | ((word >> (32 - distance)) & ((1 << distance) - 1))


def _unsigned(word: Any) -> Any:
    return word.to(torch.int64) & 0xFFFFFFFF


@contextmanager
def _with_tf32() -> Iterator[None]:
    """Let torch multiply float32 matrices as TF32, which it knows only as a global setting.

    Of several threads in here the last to leave restores what the first one found.
    """
    global _tf32_users, _tf32_before
    matmul = torch.backends.cuda.matmul
    with _tf32_lock:
        if _tf32_users == 0:
            _tf32_before, matmul.allow_tf32 = matmul.allow_tf32, True
        _tf32_users += 1
    try:
        with torch.no_grad():
            yield
    finally:
        with _tf32_lock:
            _tf32_users -= 1
            if _tf32_users == 0:
                matmul.allow_tf32 = _tf32_before


_tf32_lock = threading.Lock()
_tf32_users = 0
_tf32_before = False


def _multiply_narrow(a: Any, b: Any, result: Any) -> Any:
    """Multiply 16-bit matrices into a wider type; the leading axes of one may be missing."""
    if a.ndim == b.ndim == 2:
        return torch.mm(a, b, out_dtype=result)
    lead = a.shape[:-2] or b.shape[:-2]
    stacks = [x.expand(*lead, *x.shape[-2:]).reshape(-1, *x.shape[-2:]) for x in (a, b)]
    return torch.bmm(*stacks, out_dtype=result).reshape(*lead, a.shape[-2], b.shape[-1])


def create(
    device: str | None, dtype: str, reason: str, precision: str | None = None
) -> TorchBackend:
    """Make the backend; ``device`` may be ``cpu`` (the default), ``cuda``, ``cuda:N`` or ``mps``.

    Raises
    ------
    BackendError
        If torch does not see that device, or the device lacks the dtype or the precision.
    """
    kind, *_ = (device or "cpu").split(":")
    known = devices()
    if kind == "cuda":
        device = f"cuda:{device_index(device)}"
    if (device or "cpu") not in known:
        message = (
            f"torch {torch.__version__} has no device {device!r} here (it sees "
            f"{', '.join(known)}): install a torch build for your GPU (https://pytorch.org), "
            f"or choose --device cpu"
        )
        raise BackendError(message)
    if kind == "mps" and dtype == "float64":
        message = "torch's mps device has no float64: choose --dtype float32 or --device cpu"
        raise BackendError(message)
    if precision == "tf32" and kind != "cuda":
        message = f"precision 'tf32' is of CUDA devices, got {device or 'cpu'}: choose bfloat16"
        raise BackendError(message)
    if precision in ("bfloat16", "float16") and kind == "cuda" and not _has_wide_results():
        message = f"torch {torch.__version__} cannot multiply {precision} into float32: upgrade it"
        raise BackendError(message)
    chosen = torch.device(device or "cpu")
    graphs = GraphReport() if kind == "cuda" else None
    return TorchBackend(xp, chosen, dtype, reason, precision, graphs)


def _has_wide_results() -> bool:
    """Whether mm takes ``out_dtype``: torch 2.8 and later."""
    return "dtype" in torch.ops.aten.mm.overloads()


def devices() -> tuple[str, ...]:
    """Return the devices that this library can use here."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ("cpu", *cuda, *mps)


def set_threads(count: int) -> None:
    """Let operations on the CPU take so many threads."""
    torch.set_num_threads(count)


# OpenMP's threads do not survive a fork, and GNU's waits for them forever: a child has one thread.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
