"""What a population takes on the device, and how it is split into parts that fit."""

from __future__ import annotations

import itertools

import numpy as np

from anynet import tree
from anynet.backends import Backend, get_backend
from anynet.errors import InvalidArgumentError
from anynet.training.evaluate import EVALUATION_BATCH
from anynet.training.run import RESIDENT_SHARE, Run
from anynet.training.state import initial_state

ACTIVATIONS_KEPT = 4  # arrays of an activation's size that a step holds, its gradient included
AUGMENTING_KEPT = 16  # arrays of a batch's size: the places of pixels, and their neighbours


def split_by_memory(
    group: list[Run], backend: Backend, memory_limit: int | None
) -> list[list[Run]]:
    """Cut a group into parts of about equal size that fit into memory."""
    limit: float | None = memory_limit
    if limit is None:
        memory = backend.memory()
        if memory is None:
            return [group]
        rows = group[0].training.rows.nbytes
        limit = max(memory.free - rows, 0.0) * RESIDENT_SHARE
    each = member_bytes(group[0])
    most = int(limit // each)
    if most == 0:
        if memory_limit is not None:
            message = f"memory_limit is {memory_limit} bytes, and one member alone takes {each}"
            raise InvalidArgumentError(message)
        most = 1
    parts = -(-len(group) // most)
    bounds = [index * len(group) // parts for index in range(parts + 1)]
    return [group[start:end] for start, end in itertools.pairwise(bounds)]


def member_bytes(run: Run) -> int:
    """Estimate what one member takes on the device, in bytes.

    Its weights, their gradients, the best so far, what the optimizer and the average keep; its
    activations in a step or in an evaluation, and its order of the samples.
    """
    step, network = run.step, run.step.network
    host = get_backend("numpy", dtype=step.backend.dtype)
    state = initial_state(
        network, step.loss, step.optimizer, 0, host, average=step.average is not None
    )
    weights = sum(leaf.nbytes for leaf in tree.leaves(state.params))
    kept = sum(leaf.nbytes for leaf in tree.leaves(state)) + 2 * weights
    widths = [network.n_inputs]
    for layer in network.layers:
        widths.append(layer.shapes(widths[-1])[1])
    training = ACTIVATIONS_KEPT * run.options.batch_size * sum(widths)
    if step.augment is not None:
        training += AUGMENTING_KEPT * run.options.batch_size * network.n_inputs
    scoring = 0 if run.held_out is None else 2 * EVALUATION_BATCH * max(widths)
    order = 4 * run.training.n_samples
    return int(kept + order + max(training, scoring) * np.dtype(host.dtype).itemsize)
