"""What the processes of a group agree on before they train, and how they end together.

Every process runs the same program. An error that all of them can expect (an invalid argument, a
loss that is not finite) is raised in all of them; any other exception of one process ends them all,
because the others would wait for it.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from anynet import tree
from anynet.backends import Group
from anynet.backends.groups import is_shared, mark_as_shared
from anynet.data.subset import Subset, fingerprint
from anynet.errors import CheckpointError, DivergedError, GroupError, TrainingInterrupted
from anynet.log import LOGGER
from anynet.training.checkpoint.snapshot import describe

if TYPE_CHECKING:
    from anynet.training.run import Run

SHARED = (GroupError, CheckpointError, DivergedError, TrainingInterrupted)
NOT_COMPARED = ("metadata",)


@contextmanager
def together(group: Group) -> Iterator[None]:
    """End all processes if one of them fails in this block; only process 0 warns and logs.

    Errors that are raised in all processes pass through.
    """
    if group.size == 1:
        yield
        return
    try:
        if group.is_first:
            yield
        else:
            with warnings.catch_warnings(), _without_log():
                warnings.simplefilter("ignore")
                yield
    except BaseException as error:
        if isinstance(error, SHARED):
            mark_as_shared(error)
        if not is_shared(error):
            group.fail(error)
        raise


@contextmanager
def _without_log() -> Iterator[None]:
    """Log nothing in the block."""
    before, LOGGER.disabled = LOGGER.disabled, True
    try:
        yield
    finally:
        LOGGER.disabled = before


@contextmanager
def in_all(group: Group) -> Iterator[None]:
    """Raise the error of one process in all of them, at the end of the block.

    Raises
    ------
    GroupError
        In the processes where the block did not fail.
    """
    if group.size == 1:
        yield
        return
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    failures = group.gather(None if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        mark_as_shared(failure)
        raise failure
    for rank, text in enumerate(failures):
        if text is not None:
            message = f"process {rank} of {group.size} failed: {text}"
            raise GroupError(message)


def check_alike(runs: Sequence[Run], group: Group) -> None:
    """Check that all processes train the same networks on the same data, with the same versions.

    Parameters
    ----------
    runs : sequence of Run
        One that the processes train together, or the members that are divided among them.
    group : Group

    Raises
    ------
    GroupError
        In all processes, if one of them differs from process 0.
    """
    if group.size == 1:
        return
    with in_all(group):
        own = _facts(runs[0])
        if len(runs) > 1:
            every = json.dumps([_arguments(run) for run in runs])
            own["list of members"] = hashlib.blake2b(every.encode(), digest_size=8).hexdigest()
    facts = group.gather(own)
    for rank, theirs in enumerate(facts):
        for name in theirs.keys() | facts[0].keys():
            first, other = facts[0].get(name), theirs.get(name)
            if first != other:
                message = (
                    f"process {rank} of {group.size} has another {name} than process 0 "
                    f"({_short(other)} instead of {_short(first)}): start all processes with the "
                    f"same arguments, data and versions"
                )
                raise GroupError(message)


def _facts(run: Run) -> dict[str, Any]:
    """Return what must be equal in all processes, by its name in messages."""
    backend, start = run.step.backend, run.start_weights
    facts: dict[str, Any] = {
        f"version of {package}": metadata.version(package)
        for package in ("anynet-mlp", "numpy")
        if _is_installed(package)
    }
    facts |= {
        "backend": backend.name,
        "dtype": backend.dtype,
        "precision": backend.precision,
        "training data": _samples(run.training, run),
        "held-out data": None if run.held_out is None else _samples(run.held_out, run),
        "start": None if start is None else _digest(start, run),
    }
    return facts | _arguments(run)


def _arguments(run: Run) -> dict[str, str]:
    """Return the arguments of a run as JSON, by name."""
    return {
        name: json.dumps(value, sort_keys=True, default=str)
        for name, value in describe(run).items()
        if name not in NOT_COMPARED
    }


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _samples(samples: Subset, run: Run) -> str:
    found = fingerprint(samples, run.step.backend)
    return f"{found['rows']} rows of {found['columns']} columns, digest {found['digest'][:8]}"


def _digest(weights: Any, run: Run) -> str:
    code = hashlib.blake2b(digest_size=8)
    for leaf in tree.leaves(weights):
        code.update(np.ascontiguousarray(run.step.backend.to_host(leaf)).tobytes())
    return code.hexdigest()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
