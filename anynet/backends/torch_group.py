"""Processes that torch.distributed joins: ``torchrun --nproc-per-node 2 …``."""

from __future__ import annotations

import atexit
import functools
import os
from datetime import timedelta
from typing import Any, TypeVar

from anynet.backends.groups import Group, first_sentence, mark_as_shared, watched
from anynet.checks import require
from anynet.errors import BackendError

Value = TypeVar("Value")

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # set by torchrun
START_SECONDS = 120  # to wait for the other processes


class TorchGroup(Group):
    """The processes of torch's default group; it adds up tensors.

    Parameters
    ----------
    distributed : module
        ``torch.distributed``, whose default group is initialised.
    """

    engine = "torch"

    def __init__(self, distributed: Any) -> None:
        self.distributed = distributed
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.reason = f"{self.size} processes of torch.distributed"
        self.objects = distributed.new_group(backend="gloo")  # NCCL cannot send them from the host

    def all_reduce(self, array: Any) -> None:
        """Replace a flat contiguous tensor by its sum over the processes."""
        self._exchange(self.distributed.all_reduce, array)

    def broadcast(self, value: Value) -> Value:
        """Return the object that process 0 passes."""
        values = [value]
        self._exchange(self.distributed.broadcast_object_list, values, src=0, group=self.objects)
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the objects of all processes, in the order of their ranks."""
        values: list[Any] = [None] * self.size
        self._exchange(self.distributed.all_gather_object, values, value, group=self.objects)
        return values

    def abort(self, message: str) -> None:
        """Print a message and end this process, which ends the exchanges of the others."""
        os.write(2, f"{message.rstrip()}\n".encode())  # sys.stderr may be silenced or closed
        os._exit(1)

    def _exchange(self, function: Any, *arguments: Any, **options: Any) -> None:
        """Call a collective function.

        Raises
        ------
        BackendError
            If another process has ended.
        """
        try:
            function(*arguments, **options)
        except RuntimeError as error:
            message = (
                f"process {self.rank} of {self.size} cannot exchange data with the others, one of "
                f"which may have ended: {first_sentence(error)}"
            )
            raise BackendError(message) from error


def torch_group() -> TorchGroup:
    """Return the default group of torch.distributed, initialised if it is not.

    An uncaught exception in one of several processes ends all of them from now on.

    Raises
    ------
    BackendError
        If torch is not installed or built without torch.distributed, this process was not started
        by ``torchrun``, or the other processes do not start.
    """
    distributed = require("torch.distributed", "parallel='torch'", "torch", BackendError)
    if not distributed.is_available():
        message = "this build of torch has no torch.distributed: install another one"
        raise mark_as_shared(BackendError(message))
    if not distributed.is_initialized():
        _initialise(distributed)
    return _group_of(distributed, distributed.group.WORLD)


@functools.cache  # a program may end its default group and initialise another one
def _group_of(distributed: Any, world: Any) -> TorchGroup:  # noqa: ARG001
    group = TorchGroup(distributed)
    atexit.register(_release, group)  # runs before _leave
    return watched(group)


def _release(group: TorchGroup) -> None:
    """Drop the references to the groups of gloo at the end of the program, as its threads end then.

    A thread that asks for Python's lock while Python ends aborts the process.
    """
    group.objects = None
    _group_of.cache_clear()


def _initialise(distributed: Any) -> None:
    """Join the processes that ``torchrun`` started, by gloo on the CPU and NCCL on CUDA."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        message = (
            f"parallel='torch' joins processes that torchrun started, and the environment lacks "
            f"{', '.join(missing)}: start the program by torchrun --nproc-per-node 2 …, or call "
            f"torch.distributed.init_process_group first"
        )
        raise mark_as_shared(BackendError(message))
    given = ", ".join(f"{name}={os.environ[name]}" for name in VARIABLES)
    numbers = [os.environ[name] for name in ("RANK", "WORLD_SIZE")]
    if not all(map(str.isdecimal, numbers)) or int(numbers[0]) >= int(numbers[1]):
        message = f"RANK must be a number below WORLD_SIZE, got {given}: start by torchrun"
        raise BackendError(message)
    try:
        limit = timedelta(seconds=START_SECONDS)
        store, rank, size = next(distributed.rendezvous("env://", timeout=limit))
        store.set_timeout(limit)
        distributed.init_process_group(store=store, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:  # torch's errors of networks are RuntimeErrors
        reason = " ".join(str(error).split())
        message = f"the processes of {given} did not meet in {START_SECONDS} s: {reason}"
        raise BackendError(message) from error
    atexit.register(_leave, distributed)


def _leave(distributed: Any) -> None:
    """End the default group, unless the program has done so."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
