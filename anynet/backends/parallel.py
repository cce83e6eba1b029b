"""Choose the engine that joins processes and devices, and start it."""

from __future__ import annotations

import os
from typing import Any

from array_api_compat import is_jax_array, is_torch_array

from anynet.backends.groups import ALONE, ENGINES, Group, is_shared, launched
from anynet.backends.mpi import mpi_group
from anynet.backends.portable import Backend
from anynet.checks import check_choice, require
from anynet.errors import BackendError

PARALLEL = (*ENGINES, "auto")

UNSTARTED = Group()
UNSTARTED.reason = "one process, as neither mpiexec nor torchrun started several"


def find_group(parallel: Any, backend: Backend | str | None = None, data: Any = None) -> Group:
    """Return the group of processes that an argument ``parallel`` describes.

    Call it before the backend is made: JAX joins processes before it looks for devices.

    Parameters
    ----------
    parallel : {"mpi", "torch", "jax", "auto"}, Group or None
        ``"mpi"``: the processes that ``mpiexec`` started, with NumPy or CuPy. ``"torch"``: those
        that ``torchrun`` started, with torch. ``"jax"``: all devices of JAX. ``"auto"``: the
        devices of JAX if that is the backend, otherwise the processes that a launcher started
        according to the environment, otherwise one process. None: one process.
    backend, data : optional
        See ``fit``; ``"auto"`` looks for JAX there.

    Returns
    -------
    Group

    Raises
    ------
    InvalidArgumentError
        If ``parallel`` is something else.
    BackendError
        If a package is missing, or the processes of the launcher cannot be joined.
    """
    if parallel is None:
        return ALONE
    if isinstance(parallel, Group):
        return parallel
    check_choice("parallel", parallel, (*PARALLEL, None))
    engine = _found_engine(_library(backend, data)) if parallel == "auto" else parallel
    if engine is None:
        return UNSTARTED
    try:
        return _started(engine)
    except BackendError as error:
        if is_shared(error) and launched()[0] > 0:  # process 0 reports it
            raise SystemExit(1) from None
        raise


def _started(engine: str) -> Group:
    """Start an engine, or return the group that it started before."""
    if engine == "mpi":
        return mpi_group()
    if engine == "torch":
        from anynet.backends.torch_group import torch_group

        return torch_group()
    module = require("anynet.backends.jax_group", "parallel='jax'", "jax", BackendError)
    group: Group = module.jax_group()
    return group


def _found_engine(library: str) -> str | None:
    """Return the engine for this environment, None for a process that nothing started others of."""
    if library == "jax":
        return "jax"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:  # torchrun
        return "torch"
    return "mpi" if launched()[1] > 1 else None


def _library(backend: Backend | str | None, data: Any) -> str:
    """Return the library that will be used, as far as it is known without loading one."""
    if isinstance(backend, Backend):
        return backend.name
    if backend is None and isinstance(data, (tuple, list)) and data:
        for name, test in (("jax", is_jax_array), ("torch", is_torch_array)):
            if test(data[0]):
                return name
    return os.environ.get("ANYNET_BACKEND", "") if backend in (None, "auto") else str(backend)
