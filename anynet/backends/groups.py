"""Groups of processes that train one network together, and the share of a batch of each.

Every process has the same weights and the same order of the samples. It computes its share of the
rows of each batch; the gradients are added up over the processes (`Backend.all_reduce`), so that
every process makes the same update. `Group` is the group of one process. An engine subclasses it;
`Backend.joined` binds a backend to the group.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from anynet.errors import BackendError
from anynet.typing import Array, Namespace

Value = TypeVar("Value")
Error = TypeVar("Error", bound=BaseException)
AnyGroup = TypeVar("AnyGroup", bound="Group")

#: The libraries that each engine trains with.
ENGINES = {"mpi": ("numpy", "cupy"), "torch": ("torch",), "jax": ("jax",)}
#: Environment variables of a process's rank and of the number of processes.
LAUNCHERS = (
    ("PMI_RANK", "PMI_SIZE"),  # mpich, Intel MPI
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("RANK", "WORLD_SIZE"),  # torchrun
)
DELAY, LATEST = 0.2, 8  # seconds by rank: of processes that fail at once, the first one prints


class Group:
    """The processes that train together. This class is the group of a single process.

    ``broadcast`` and ``gather`` exchange objects of the host, which must be picklable. All methods
    except ``abort`` are collective: every process must call them in the same order.

    Attributes
    ----------
    rank : int
        The number of this process, counted from 0. Process 0 writes files and output, and decides.
    size : int
        The number of processes.
    engine : str
        What joins them, one of ``ENGINES``.
    reason : str
        What was joined and why, as text.
    """

    rank: int = 0
    size: int = 1
    engine: str = ""
    reason: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, the one that writes files and output."""
        return self.rank == 0

    def all_reduce(self, array: Any) -> None:
        """Replace a flat contiguous array of the device by its sum over the processes.

        It is called in every training step, with the same bits as result in every process. NumPy
        records the call, and CUDA graphs capture it: it may not depend on the values.
        """

    def broadcast(self, value: Value) -> Value:
        """Return the object that process 0 passes."""
        return value

    def gather(self, value: Value) -> list[Value]:
        """Return the objects of all processes, in the order of their ranks, in every process."""
        return [value]

    def decide(self, function: Callable[[], Value]) -> Value:
        """Return the result of a function that only process 0 calls."""
        return self.broadcast(function() if self.is_first else None)  # type: ignore[return-value]

    def hand_out(self, tasks: Iterable[Any]) -> Iterator[Any]:  # noqa: ARG002
        """Send each task to the next idle process, and yield the results as they arrive.

        Only process 0 calls this; the others call ``serve``. Not collective.

        Raises
        ------
        BackendError
            If the engine has no such messages.
        """
        message = f"{type(self).__name__} cannot hand out tasks: use parallel='mpi'"
        raise BackendError(message)

    def serve(self, function: Callable[[Any], Any]) -> None:
        """Compute the tasks that process 0 hands out, until it calls ``dismiss``."""

    def dismiss(self) -> None:
        """End ``serve`` in the other processes."""

    def abort(self, message: str) -> None:
        """Print a message and end all processes. In a group of one, nothing is done."""

    def fail(self, error: BaseException) -> None:
        """Print the traceback of an error of this process, and end all processes.

        The others would wait for this process.
        """
        time.sleep(min(self.rank, LATEST) * DELAY)
        text = "".join(traceback.format_exception(error))
        self.abort(f"{text}process {self.rank} of {self.size} failed: all processes end")

    def end_with(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """End all processes after an uncaught exception in this one: ``sys.excepthook``.

        The others would wait for this process. An exception that is raised in all of them is
        printed by process 0.
        """
        if not is_shared(error):
            self.fail(error)
        elif self.is_first:
            sys.__excepthook__(kind, error, trace)


ALONE = Group()


def mark_as_shared(error: Error) -> Error:
    """Mark an exception as one that every process of a group raises: only process 0 prints it."""
    error.raised_in_all = True  # type: ignore[attr-defined]
    return error


def is_shared(error: BaseException) -> bool:
    """Whether every process of the group raises this exception."""
    return getattr(error, "raised_in_all", False)


def watched(group: AnyGroup) -> AnyGroup:
    """Let an uncaught exception end all processes of a group, and return the group."""
    if group.size > 1:
        sys.excepthook = group.end_with
    return group


def end_others(error: BaseException) -> None:
    """End all processes of the group, if there is one, after an error of this process.

    Nothing is done for an error that all processes raise.
    """
    group = getattr(sys.excepthook, "__self__", None)
    if isinstance(group, Group) and not is_shared(error):
        group.abort(f"process {group.rank} of {group.size} failed: all processes end")


def first_sentence(error: Exception) -> str:
    """Return the first sentence of an error of a library, on one line."""
    return " ".join(str(error).split()).partition(". ")[0]


def launched() -> tuple[int, int]:
    """Return the rank of this process and the number of processes, as the launcher set them.

    Returns
    -------
    rank, size : int
        0 and 1 if this process was not started by ``mpiexec``, ``srun`` or ``torchrun``.
    """
    for rank, size in LAUNCHERS:
        if size in os.environ and rank in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def own_device(group: Group, index: int, known: Sequence[str]) -> int:
    """Return the number of the GPU that this process uses: each process of a host has its own.

    Parameters
    ----------
    group : Group
    index : int
        The GPU that is asked for here. It is used if no other process of this host asks for the
        same one; otherwise each gets one, in the order of their ranks.
    known : sequence of str
        Identifiers of the GPUs that this process sees.

    Returns
    -------
    int

    Raises
    ------
    BackendError
        In all processes, if a host has fewer GPUs than processes.
    """
    host = platform.node()
    found = group.gather((host, known[index], len(known)))
    asked = Counter((name, one) for name, one, _ in found)
    if max(asked.values()) == 1:
        return index
    for name, count in Counter(name for name, _, _ in found).items():
        least = min(seen for own, _, seen in found if own == name)
        if least < count:
            message = (
                f"{count} processes run on {name}, which has {least} GPUs: each process needs its "
                f"own, start {least} there"
            )
            raise BackendError(message)
    return sum(name == host for name, _, _ in found[: group.rank])


class Share(NamedTuple):
    """The rows of a batch that one process computes.

    Attributes
    ----------
    size : int
        The number of rows of the whole batch.
    ranges : tuple of (start, stop)
        The positions of the own rows in the whole batch, in increasing order.
    is_empty : bool
        Whether no row is left for this process. It then computes one row of another process,
        which must have the weight 0.
    """

    size: int
    ranges: tuple[tuple[int, int], ...]
    is_empty: bool = False

    @classmethod
    @functools.lru_cache(maxsize=256)
    def of(cls, size: int, rank: int, processes: int, members: int = 1) -> Share:
        """Return the rows of one process.

        A process has rows from the beginning of the batch, and those at the same distance from its
        end. So the two samples that mixup mixes are in one process, and the local batch reversed
        holds the partners of the local batch.

        Parameters
        ----------
        size : int
            The number of rows of the whole batch.
        rank, processes : int
            The number of the process, and how many there are.
        members : int
            Members of a network; the batch has the rows of the first member, then those of the
            second, …, and each is divided in the same way.

        Returns
        -------
        Share
        """
        rows = size // members
        pairs = (rows + 1) // 2
        start, stop = pairs * rank // processes, pairs * (rank + 1) // processes
        if start == stop:
            ends = [(k * rows, k * rows + 1) for k in range(members)]
            return cls(size, tuple(ends), is_empty=True)
        mirrored = max(stop, rows - stop), rows - start
        joined = stop == mirrored[0]
        parts = [(start, mirrored[1])] if joined else [(start, stop), mirrored]
        every = [(k * rows + a, k * rows + b) for k in range(members) for a, b in parts]
        return cls(size, tuple(every))

    @property
    def n_rows(self) -> int:
        """The number of rows that this process computes."""
        return sum(stop - start for start, stop in self.ranges)

    @property
    def fraction(self) -> float:
        """The own share of the rows of the batch; 0 if it is empty."""
        return 0.0 if self.is_empty else self.n_rows / self.size

    def take(self, array: Array, xp: Namespace, axis: int = -1) -> Any:
        """Return the own rows of an array, whose ``axis`` (−1 or −2) holds those of the batch."""
        after = (slice(None),) * (-axis - 1)
        parts = [array[(..., slice(start, stop), *after)] for start, stop in self.ranges]
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=axis)
