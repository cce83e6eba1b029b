"""Groups of processes that train one network together, and the share of a batch of each.

Every process has the same weights and the same order of the samples. It computes its share of the
rows of each batch; the gradients are added up over the processes (`Backend.all_reduce`), so that
every process makes the same update. `Group` is the group of one process. An engine subclasses it;
`Backend.joined` binds a backend to the group.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from anynet.errors import BackendError
from anynet.typing import Array, Namespace

Value = TypeVar("Value")

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
    """

    rank: int = 0
    size: int = 1

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


ALONE = Group()


def mark_as_shared(error: BaseException) -> None:
    """Mark an exception as one that every process of a group raises: only process 0 prints it."""
    error.raised_in_all = True  # type: ignore[attr-defined]


def is_shared(error: BaseException) -> bool:
    """Whether every process of the group raises this exception."""
    return getattr(error, "raised_in_all", False)


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
