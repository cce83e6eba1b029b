"""Processes that ``jax.distributed`` joins, each with devices of its own.

JAX divides the batches among the devices of all processes and adds up the gradients by itself, see
``anynet.backends.jax``. The group exchanges only objects of the host.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import pickle
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from anynet.backends.groups import Group, first_sentence, launched, watched
from anynet.errors import BackendError

Value = TypeVar("Value")

DEAD_SECONDS = 10  # without a sign of life
SHORTEST = 1024  # bytes of a message, which is padded to a power of two: each length is compiled


class JaxGroup(Group):
    """The processes of JAX: one, unless ``jax.distributed`` is initialised."""

    engine = "jax"

    def __init__(self) -> None:
        self.rank, self.size = jax.process_index(), jax.process_count()
        several = f" in {self.size} processes" if self.size > 1 else ""
        self.reason = f"{jax.device_count()} devices of JAX{several}"

    def broadcast(self, value: Value) -> Value:
        """Return the object that process 0 passes."""
        if self.size == 1:
            return value
        return self.gather(value if self.is_first else None)[0]  # type: ignore[return-value]

    def gather(self, value: Value) -> list[Value]:
        """Return the objects of all processes, in the order of their ranks."""
        if self.size == 1:
            return [value]
        message = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = _gather(np.array(message.size, np.int32))
        padded = np.zeros(max(SHORTEST, 1 << int(sizes.max() - 1).bit_length()), np.uint8)
        padded[: message.size] = message
        rows = _gather(padded)
        return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]

    def abort(self, message: str) -> None:
        """Print a message and end this process, which ends the exchanges of the others."""
        if self.size == 1:
            return
        os.write(2, f"{message.rstrip()}\n".encode())  # sys.stderr may be silenced or closed
        os._exit(1)


#: One process with all of its devices, beside other processes that compute something else.
LOCAL = Group()
LOCAL.engine = "jax"


def _gather(array: np.ndarray) -> Any:
    """Return the arrays of all processes, with a leading axis.

    Raises
    ------
    BackendError
        If another process has ended.
    """
    try:
        return multihost_utils.process_allgather(array)
    except (RuntimeError, ValueError) as error:  # of the exchange, by library
        message = (
            f"process {jax.process_index()} of {jax.process_count()} cannot exchange data with the "
            f"others, one of which may have ended: {first_sentence(error)}"
        )
        raise BackendError(message) from error


@functools.cache
def jax_group() -> JaxGroup:
    """Return the group of all processes of JAX, after it has joined those that ``mpiexec`` started.

    An uncaught exception in one of several processes ends all of them from now on.

    Raises
    ------
    BackendError
        If the processes cannot be joined, or JAX has found its devices before.
    """
    rank, size = launched()
    if size > 1 and not jax.distributed.is_initialized():
        by_mpi = importlib.util.find_spec("mpi4py") is not None
        try:
            jax.distributed.initialize(
                cluster_detection_method="mpi4py" if by_mpi else None, **_limits()
            )
        except (RuntimeError, ValueError) as error:
            message = (
                f"JAX cannot join process {rank} with the other {size - 1} "
                f"({first_sentence(error)}): call jax.distributed.initialize at the start of the "
                f"program, or pip install mpi4py"
            )
            raise BackendError(message) from error
    return watched(JaxGroup())


def _limits() -> dict[str, int]:
    """Return the time limits for processes that do not answer, as far as this JAX has them."""
    known = inspect.signature(jax.distributed.initialize).parameters
    names = ("heartbeat_timeout_seconds", "shutdown_timeout_seconds")
    return dict.fromkeys([name for name in names if name in known], DEAD_SECONDS)
