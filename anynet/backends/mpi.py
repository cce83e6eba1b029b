"""Processes that MPI started: ``mpiexec -n 4 python …``, by mpi4py."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from anynet.backends.groups import Group, launched, mark_as_shared, watched
from anynet.checks import require
from anynet.errors import BackendError

Value = TypeVar("Value")

POLL = 0.01  # seconds between looks for a message


class MpiGroup(Group):
    """The processes of one communicator of MPI; it adds up NumPy arrays.

    Parameters
    ----------
    MPI : module
        ``mpi4py.MPI``.
    """

    engine = "mpi"

    def __init__(self, MPI: Any) -> None:  # noqa: N803  (the name of the module)
        self.comm = MPI.COMM_WORLD.Dup()  # messages of others cannot be mistaken for ours
        self.in_place = MPI.IN_PLACE
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.reason = f"{self.size} processes of MPI"

    def all_reduce(self, array: Any) -> None:
        """Replace a flat contiguous NumPy array by its sum over the processes."""
        self.comm.Allreduce(self.in_place, array)

    def broadcast(self, value: Value) -> Value:
        """Return the object that process 0 passes."""
        return self.comm.bcast(value)  # type: ignore[no-any-return]

    def gather(self, value: Value) -> list[Value]:
        """Return the objects of all processes, in the order of their ranks."""
        return self.comm.allgather(value)  # type: ignore[no-any-return]

    def hand_out(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """Send each task to the next idle process, and yield the results as they arrive."""
        idle, busy = list(range(1, self.size)), 0
        left = iter(tasks)
        while True:
            for task in itertools.islice(left, len(idle)):
                self.comm.send(task, dest=idle.pop())
                busy += 1
            if not busy:
                return
            rank, result, failure = self._received()
            idle.append(rank)
            busy -= 1
            if failure is not None:
                raise failure
            yield result

    def serve(self, function: Callable[[Any], Any]) -> None:
        """Compute the tasks that process 0 hands out, until it calls ``dismiss``."""
        while (task := self._received()) is not None:
            result, failure = None, None
            try:
                result = function(task)
            except Exception as error:  # process 0 raises it
                failure = error
            self.comm.send((self.rank, result, failure), dest=0)

    def dismiss(self) -> None:
        """End ``serve`` in the other processes."""
        for rank in range(1, self.size):
            self.comm.send(None, dest=rank)

    def _received(self) -> Any:
        """Wait for a message without using the processor, which other processes need."""
        while not self.comm.iprobe():
            time.sleep(POLL)
        return self.comm.recv()

    def abort(self, message: str) -> None:
        """Print a message and end all processes at once, with the exit status 1."""
        os.write(2, f"{message.rstrip()}\n".encode())  # sys.stderr may be silenced or closed
        self.comm.Abort(1)


@functools.cache
def mpi_group() -> MpiGroup:
    """Return the group of all processes that MPI started together.

    An uncaught exception in one of several processes ends all of them from now on.

    Raises
    ------
    BackendError
        If mpi4py is not installed or finds no MPI library, or is linked to another MPI library
        than that of ``mpiexec``.
    """
    size = launched()[1]
    try:
        group = MpiGroup(require("mpi4py.MPI", "parallel='mpi'", "mpi4py", BackendError))
    except BackendError as error:
        mark_as_shared(error)
        raise
    if group.size == 1 and size > 1:
        message = (
            f"{size} processes were started, but mpi4py finds one: start them by the mpiexec of "
            f"the MPI library that mpi4py uses (under SLURM: srun --mpi=pmi2 or --mpi=pmix)"
        )
        raise mark_as_shared(BackendError(message))
    return watched(group)
