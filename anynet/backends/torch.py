"""torch: tensors on the CPU, on CUDA or on Apple's mps, without autograd.

The CUDA path is not yet measured on a GPU.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from anynet.backends.devices import device_index
from anynet.backends.portable import Backend, Block, Loop, Memory, State, Step
from anynet.backends.replay import CapturedLoop, GraphLoop
from anynet.backends.threefry import threefry_2x32
from anynet.backends.torch_graph import TorchRecorder
from anynet.backends.torch_namespace import xp
from anynet.backends.torch_transfers import TorchCopier, pinned
from anynet.backends.transfers import double_buffered
from anynet.errors import BackendError
from anynet.typing import Array


@dataclass(frozen=True)
class TorchBackend(Backend):
    """torch tensors on one device.

    Parameters
    ----------
    graphs : CapturedLoop or None
        Records and replays the steps of loops on CUDA; None runs it step by step.
    """

    name: ClassVar[str] = "torch"

    graphs: CapturedLoop | None = field(default=None, compare=False, repr=False)

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
        return pinned(shape, dtype)

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy each block beside the steps on the one before, where CUDA is."""
        if self.device.type != "cuda":
            return super().stream(blocks)
        return double_buffered(blocks, TorchCopier(self.device))

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
        """Add a multiple from the device, such as a learning rate's, in place and in one pass."""
        if accumulate is None or beta != 1 or isinstance(alpha, (int, float)):
            return super().gemm(
                a,
                b,
                transpose_a=transpose_a,
                transpose_b=transpose_b,
                accumulate=accumulate,
                alpha=alpha,
                beta=beta,
            )
        product = super().gemm(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
        result: Array = accumulate.addcmul_(product, alpha)
        return result

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
        """Replay the steps as a CUDA graph, see ``anynet.backends.replay``."""
        return super().loop(step) if self.graphs is None else GraphLoop(step, self)

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
    graphs = CapturedLoop(TorchRecorder(chosen)) if kind == "cuda" else None
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
