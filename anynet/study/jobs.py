"""Calls in this process, or through joblib in others, on this machine or a cluster of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, TypeAlias

from anynet.errors import InvalidArgumentError

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that another process can import, and its arguments."""

#: Ways to run calls, and the package that each needs.
ENGINES = {"loky": "joblib", "dask": "dask.distributed", "ray": "ray"}


def spread(calls: Sequence[Call], jobs: int = 1, engine: str | None = None) -> Iterator[Any]:
    """Run calls, several at a time, and yield each result as soon as it is there.

    Parameters
    ----------
    calls : sequence of (function, arguments)
    jobs : int
        How many at a time; −1 for as many as there are processors or workers. One job without an
        engine runs here, in order, without joblib.
    engine : {"loky", "dask", "ray"}, optional
        A backend of joblib. Dask and Ray use the cluster that this process is connected to, or
        that DASK_SCHEDULER_ADDRESS or RAY_ADDRESS names, and start a local one otherwise.

    Raises
    ------
    InvalidArgumentError
        If `jobs` or `engine` is not as documented, or the engine's package is missing.
    """
    if type(jobs) is not int or (jobs < 1 and jobs != -1):
        message = (
            f"jobs must be a whole number of at least 1, or -1 for all there are, got {jobs!r}"
        )
        raise InvalidArgumentError(message)
    if not calls:
        return
    if jobs == 1 and engine is None:
        for function, arguments in calls:
            yield function(*arguments)
        return
    engine = engine or "loky"
    if engine not in ENGINES:
        message = f"engine must be one of {', '.join(ENGINES)}, got {engine!r}"
        raise InvalidArgumentError(message)
    joblib = _import("joblib", "joblib")
    with ExitStack() as stack:
        _connect(engine, jobs, stack)
        stack.enter_context(joblib.parallel_config(backend=engine, n_jobs=jobs))
        backend, _ = joblib.parallel.get_active_backend()
        tasks = [joblib.delayed(function)(*arguments) for function, arguments in calls]
        if backend.supports_return_generator:
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            # Closed first when the caller stops early: what has not begun is then not begun.
            yield from stack.enter_context(closing(parallel(tasks)))
            return
        parallel = joblib.Parallel(batch_size=1)  # it answers all at once, so ask for few at once
        size = backend.effective_n_jobs(jobs)
        for start in range(0, len(tasks), size):
            yield from parallel(tasks[start : start + size])


def _connect(engine: str, jobs: int, stack: ExitStack) -> None:
    """Reach the cluster of an engine that has one."""
    module = _import(ENGINES[engine], engine)
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


def _import(module: str, engine: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = {"dask": "'dask[distributed]'"}.get(engine, engine)
        message = f"running groups through {engine} needs its package: pip install {package}"
        raise InvalidArgumentError(message) from error
