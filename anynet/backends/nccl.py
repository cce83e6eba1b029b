"""NCCL: adds up CuPy arrays over the GPUs of processes that another group joins."""

from __future__ import annotations

import functools
import warnings
from typing import Any, TypeVar

import cupy

from anynet.backends.groups import Group
from anynet.errors import BackendError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a missing library; see the error below
    from cupy.cuda import nccl

Value = TypeVar("Value")


class NcclGroup(Group):
    """The processes of another group, each with a GPU; it adds up CuPy arrays.

    Parameters
    ----------
    group : Group
        It exchanges the objects, and the address by which NCCL connects the GPUs.
    device : cupy.cuda.Device
        The GPU of this process.

    Raises
    ------
    BackendError
        If NCCL is not installed or cannot connect the GPUs.
    """

    engine = "mpi"

    def __init__(self, group: Group, device: Any) -> None:
        self.objects = group
        self.rank, self.size = group.rank, group.size
        self.reason = f"{group.reason}, sums by NCCL"
        if not all(group.gather(nccl.available)):
            message = (
                "several GPUs with CuPy need NCCL, which was not found: pip install "
                "nvidia-nccl-cu12 for CUDA 12, or nvidia-nccl-cu13 for CUDA 13"
            )
            raise BackendError(message)
        address = group.decide(nccl.get_unique_id)
        failure = None
        try:
            with device:
                self.communicator = nccl.NcclCommunicator(self.size, address, self.rank)
        except nccl.NcclError as error:
            failure = f"process {self.rank}: {error}"
        failures = [one for one in group.gather(failure) if one is not None]
        if failures:
            message = f"NCCL cannot connect the GPUs ({'; '.join(failures)}): see NCCL_DEBUG=INFO"
            raise BackendError(message)

    def all_reduce(self, array: Any) -> None:
        """Replace a flat contiguous CuPy array by its sum, on the current stream.

        A capture of that stream contains the exchange, as NCCL allows since 2.9.
        """
        kinds = {"f": nccl.NCCL_FLOAT32, "d": nccl.NCCL_FLOAT64, "i": nccl.NCCL_INT32}
        address, stream = array.data.ptr, cupy.cuda.get_current_stream().ptr
        kind = kinds[array.dtype.char]
        self.communicator.allReduce(address, address, array.size, kind, nccl.NCCL_SUM, stream)

    def broadcast(self, value: Value) -> Value:
        """Return the object that process 0 passes."""
        return self.objects.broadcast(value)

    def gather(self, value: Value) -> list[Value]:
        """Return the objects of all processes, in the order of their ranks."""
        return self.objects.gather(value)

    def abort(self, message: str) -> None:
        """Print a message and end all processes."""
        self.objects.abort(message)


@functools.cache  # a connection takes seconds
def nccl_group(group: Group, index: int) -> NcclGroup:
    """Return the group that connects the GPU of this process, ``cuda:index``, to the others."""
    return NcclGroup(group, cupy.cuda.Device(index))
