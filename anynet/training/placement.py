"""Place samples on the device or the host, and split members by memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from anynet import tree
from anynet.backends import Backend, get_backend
from anynet.checks import warn_caller
from anynet.data.batches import Batches, HostBatches, ResidentBatches, Rows
from anynet.data.memory import available_memory
from anynet.data.sources.source import Source
from anynet.errors import InvalidArgumentError
from anynet.training.evaluate import ARRAYS_KEPT, slice_rows

if TYPE_CHECKING:
    from anynet.training.trainer import Member

    AnyMember = TypeVar("AnyMember", bound=Member)

RESIDENT_SHARE = 0.7  # of the device's free memory, for the samples or for the members
HOST_SHARE = 0.5  # of the host's available memory, for samples read from disk
ACTIVATIONS_KEPT = 4  # arrays per activation in a step, including its gradient
AUGMENTING_KEPT = 16  # arrays of a batch's size: coordinates of pixels and neighbours


def place(rows: Rows, backend: Backend, resident: bool | None = None) -> Batches:
    """Place samples on the device, or leave them on the host if the device has no room.

    Parameters
    ----------
    rows : Rows
    backend : Backend
    resident : bool, optional
        Whether to place all samples on the device; by default if they fit.

    Returns
    -------
    Batches
    """
    if resident or not isinstance(rows.x, (np.ndarray, Source)):
        return ResidentBatches(rows, backend)
    divided = isinstance(rows.x, Source) and backend.share(1) is not None  # read a part only
    fits = resident is None and not divided and has_room(rows, backend)
    if backend.group.size > 1:  # processes of JAX compile one program
        fits = all(backend.group.gather(fits))
    if fits:
        try:
            return ResidentBatches(rows, backend)
        except Exception as error:
            if not backend.is_out_of_memory(error):
                raise
            message = (
                f"{backend.device_name()} ran out of memory for {rows.nbytes / 1e9:.1f} GB of "
                f"samples: they are sent in blocks instead, with the same results"
            )
            warn_caller(message, RuntimeWarning)
    return HostBatches(rows, backend)


def has_room(rows: Rows, backend: Backend) -> bool:
    """Return whether samples fit on the device and, if they are on disk, also on the host."""
    memory = backend.memory()
    free = [] if memory is None else [RESIDENT_SHARE * memory.free]
    if isinstance(rows.x, Source):
        free.append(HOST_SHARE * (available_memory() or 0))
    return all(rows.nbytes < bytes_ for bytes_ in free)


def split_by_memory(
    members: Sequence[AnyMember], memory_limit: float | None = None, unknown: float = math.inf
) -> list[Sequence[AnyMember]]:
    """Split the members of one group into parts of about equal size that fit into memory.

    Parameters
    ----------
    members : sequence of Member
    memory_limit : float, optional
        Maximum memory of a part, in bytes; by default most of the device's free memory.
    unknown : float
        The limit where the free memory is unknown.

    Returns
    -------
    list of sequence of Member

    Raises
    ------
    InvalidArgumentError
        If ``memory_limit`` is less than the memory of one member.
    """
    first = members[0]
    memory = first.step.backend.memory()
    limit = memory_limit
    if limit is None and memory is not None:
        limit = max(memory.free - first.sample_bytes(), 0.0) * RESIDENT_SHARE
    if limit is None and unknown == math.inf:
        return [members]
    each = member_bytes(first)
    most = int((unknown if limit is None else limit) // each)
    if most == 0 and memory_limit is not None:
        message = f"memory_limit is {memory_limit} bytes, and one member alone takes {each}"
        raise InvalidArgumentError(message)
    parts = -(-len(members) // max(1, most))
    bounds = [index * len(members) // parts for index in range(parts + 1)]
    return [members[start:end] for start, end in itertools.pairwise(bounds)]


def member_bytes(member: Member) -> int:
    """Estimate the memory of one member on the device, in bytes.

    The estimate includes the weights, their gradients, the best weights so far, the states of the
    optimizer and the average, the activations of a step or an evaluation, and the order of the
    samples. On a device with memory of its own, evaluations use what is left of it.
    """
    step, network = member.step, member.step.network
    host = get_backend("numpy", dtype=step.backend.dtype)
    itemsize = np.dtype(host.dtype).itemsize
    kept = step.optimizer.init(network.init(0, host), backend=host)
    copies = 3 if step.average is None else 4  # weights, gradients, best, average
    weights = copies * network.n_parameters * itemsize + sum(
        one.nbytes for one in tree.leaves(kept)
    )
    training = ACTIVATIONS_KEPT * member.batch_size * sum(network.widths)
    if step.augment is not None:
        training += AUGMENTING_KEPT * member.batch_size * network.n_inputs
    scoring = 0
    if member.held_out is not None and step.backend.memory() is None:
        scoring = ARRAYS_KEPT * slice_rows(network, step.backend) * max(network.widths)
    return int(weights + 4 * member.training.n_samples + max(training, scoring) * itemsize)
