"""Calls in this process, or through joblib in others, on this machine or on a cluster."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from typing import Any, TypeAlias

from anynet.checks import did_you_mean
from anynet.errors import InvalidArgumentError

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that other processes can import, and its arguments."""

#: Backends of joblib, and the package that each needs; its name for pip, if that is another one.
ENGINES = {"loky": "joblib", "dask": "dask.distributed", "ray": "ray"}
FOR_PIP = {"dask": "'dask[distributed]'"}


def run_calls(calls: Sequence[Call], jobs: int = 1, engine: str | None = None) -> Iterator[Any]:
    """Run calls in parallel, and yield each result as soon as it is available.

    Parameters
    ----------
    calls : sequence of (function, arguments)
    jobs : int
        Number of calls that run at the same time; −1: one per processor or worker. One job without
        an engine runs in this process, in order, without joblib.
    engine : {"loky", "dask", "ray"}, optional
        A backend of joblib. Dask and Ray use the cluster to which this process is connected, or
        which DASK_SCHEDULER_ADDRESS or RAY_ADDRESS names; otherwise they start a local one.

    Raises
    ------
    InvalidArgumentError
        See ``check_engine``.
    ChildProcessError
        If a worker process was killed.
    """
    check_engine(jobs, engine)
    if not calls:
        return
    if jobs == 1 and engine is None:
        for function, arguments in calls:
            yield function(*arguments)
        return
    engine = engine or "loky"
    joblib = importlib.import_module("joblib")
    with ExitStack() as stack:
        _connect(engine, jobs, stack)
        stack.enter_context(joblib.parallel_config(backend=engine, n_jobs=jobs))
        backend, _ = joblib.parallel.get_active_backend()
        tasks = [joblib.delayed(function)(*arguments) for function, arguments in calls]
        if backend.supports_return_generator:
            results = joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks)
            stack.callback(_close, results)
            try:
                yield from results
            except BrokenExecutor as error:
                message = (
                    "a worker process was killed, perhaps because memory was short: use fewer jobs"
                )
                raise ChildProcessError(message) from error
            return
        size = backend.effective_n_jobs(jobs)  # all results come at once: few calls at once
        for start in range(0, len(tasks), size):
            yield from joblib.Parallel(batch_size=1)(tasks[start : start + size])


def _close(results: Any) -> None:
    """Cancel the calls that have not begun, if the caller stops early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # joblib warns of calls that had begun
        results.close()


def check_engine(jobs: int = 1, engine: str | None = None) -> None:
    """Check the arguments of ``run_calls``.

    Raises
    ------
    InvalidArgumentError
        If `jobs` or `engine` is not as documented, or the engine's package is missing.
    """
    if type(jobs) is not int or (jobs < 1 and jobs != -1):
        message = f"jobs must be a whole number of at least 1, or -1 for all, got {jobs!r}"
        raise InvalidArgumentError(message)
    if engine is not None and engine not in ENGINES:
        hint = did_you_mean(engine, ENGINES)
        message = f"engine must be one of {', '.join(ENGINES)}, got {engine!r}{hint}"
        raise InvalidArgumentError(message)
    if jobs == 1 and engine is None:
        return
    for name in ("loky", engine or "loky"):
        try:
            importlib.import_module(ENGINES[name])
        except ModuleNotFoundError as error:
            package = FOR_PIP.get(name, ENGINES[name])
            message = f"engine {name!r} needs a package that is missing: pip install {package}"
            raise InvalidArgumentError(message) from error


def _connect(engine: str, jobs: int, stack: ExitStack) -> None:
    """Connect to the cluster of an engine that has one."""
    module = importlib.import_module(ENGINES[engine])
    if engine == "dask":
        try:
            module.get_client()
        except ValueError:  # this process has no client yet
            dask = importlib.import_module("dask")
            address = dask.config.get("scheduler-address", None)
            local = {"n_workers": None if jobs == -1 else jobs, "threads_per_worker": 1}
            local["dashboard_address"] = None
            stack.enter_context(module.Client(address) if address else module.Client(**local))
    elif engine == "ray":
        module.init(ignore_reinit_error=True)
        importlib.import_module("ray.util.joblib").register_ray()
