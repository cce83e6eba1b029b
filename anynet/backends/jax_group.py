"""Processes that ``jax.distributed`` joins, each with devices of its own.

JAX divides the batches among the devices of all processes and adds up the gradients by itself, see
``anynet.backends.jax``. The group exchanges only objects of the host.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from anynet.backends.groups import Group
from anynet.errors import BackendError

Value = TypeVar("Value")

SHORTEST = 1024  # bytes of a message, which is padded to a power of two: each length is compiled


class JaxGroup(Group):
    """The processes of JAX: one, unless ``jax.distributed`` is initialised."""

    engine = "jax"

    def __init__(self) -> None:
        self.rank, self.size = jax.process_index(), jax.process_count()
        several = f", process {self.rank} of {self.size}" if self.size > 1 else ""
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
        sys.stderr.write(message.rstrip("\n") + "\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


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
        reason = " ".join(str(error).split()).partition(". ")[0]
        message = (
            f"process {jax.process_index()} of {jax.process_count()} cannot exchange data with the "
            f"others, one of which may have ended: {reason}"
        )
        raise BackendError(message) from error


@functools.cache
def jax_group() -> JaxGroup:
    """Return the group of all processes of JAX."""
    return JaxGroup()
