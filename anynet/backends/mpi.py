"""Processes that MPI started: ``mpiexec -n 4 python …``, by mpi4py."""

from __future__ import annotations

import functools
import os
from typing import Any, TypeVar

from anynet.backends.groups import Group, launched, mark_as_shared, watched
from anynet.checks import require
from anynet.errors import BackendError

Value = TypeVar("Value")


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
