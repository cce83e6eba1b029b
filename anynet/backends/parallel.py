"""Choose the group of processes that a backend computes in."""

from __future__ import annotations

from typing import Any, TypeVar

from anynet.backends.groups import ALONE, Group
from anynet.backends.mpi import launched, mpi_group
from anynet.backends.portable import Backend
from anynet.checks import check_choice

AnyBackend = TypeVar("AnyBackend", bound=Backend)

ENGINES = ("mpi", "auto")


def join(backend: AnyBackend, parallel: Group | str | None) -> AnyBackend:
    """Return a backend that computes in a group of processes.

    Parameters
    ----------
    backend : Backend
    parallel : {"mpi", "auto"}, Group or None
        ``"mpi"``: the processes that ``mpiexec`` started. ``"auto"``: the same if this process was
        started by ``mpiexec``, otherwise it computes alone. None: alone.

    Returns
    -------
    Backend

    Raises
    ------
    InvalidArgumentError
        If ``parallel`` is something else.
    BackendError
        If a package is missing, or the library of the backend has no engine.
    """
    group = find_group(parallel)
    return backend if group is ALONE and backend.group is ALONE else backend.joined(group)


def find_group(parallel: Any) -> Group:
    """Return the group that ``parallel`` describes, see ``join``."""
    if parallel is None:
        return ALONE
    if isinstance(parallel, Group):
        return parallel
    check_choice("parallel", parallel, (*ENGINES, None))
    if parallel == "auto" and launched()[1] == 1:
        return ALONE
    return mpi_group()
