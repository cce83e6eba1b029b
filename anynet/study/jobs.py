"""Calls in this process, or through joblib in others, on this machine or a cluster of them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from difflib import get_close_matches
from typing import Any, TypeAlias

from anynet.errors import InvalidArgumentError

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that another process can import, and its arguments."""

#: Ways to run calls, and the package that each needs.
ENGINES = {"loky": "joblib", "dask": "dask.distributed", "ray": "ray"}
INSTALL = {
    "loky": "pip install joblib",
    "dask": "pip install 'dask[distributed]'",
    "ray": "pip install ray",
}


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
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            results = parallel(tasks)
            stack.callback(_close, results)
            try:
                yield from results
            except BrokenExecutor as error:
                message = (
                    "a worker process was killed, perhaps because memory was short: use fewer jobs"
                )
                raise ChildProcessError(message) from error
            return
        parallel = joblib.Parallel(batch_size=1)  # it answers all at once, so ask for few at once
        size = backend.effective_n_jobs(jobs)
        for start in range(0, len(tasks), size):
            yield from parallel(tasks[start : start + size])


def _close(results: Any) -> None:
    """Let what has not begun not begin, where the caller stops early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # joblib finds the loss of begun calls odd
        results.close()


def check_engine(jobs: int = 1, engine: str | None = None) -> None:
    """Refuse what ``spread`` could not run.

    Raises
    ------
    InvalidArgumentError
        If `jobs` or `engine` is not as documented, or the engine's package is missing.
    """
    if type(jobs) is not int or (jobs < 1 and jobs != -1):
        message = f"jobs must be a whole number of at least 1, or -1 for all, got {jobs!r}"
        raise InvalidArgumentError(message)
    if engine is not None and engine not in ENGINES:
        near = get_close_matches(str(engine), ENGINES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        message = f"engine must be one of {', '.join(ENGINES)}, got {engine!r}{hint}"
        raise InvalidArgumentError(message)
    if jobs == 1 and engine is None:
        return
    for name in ("loky", engine or "loky"):
        try:
            importlib.import_module(ENGINES[name])
        except ModuleNotFoundError as error:
            message = f"running groups through {name} needs its package: {INSTALL[name]}"
            raise InvalidArgumentError(message) from error


def _connect(engine: str, jobs: int, stack: ExitStack) -> None:
    """Reach the cluster of an engine that has one."""
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
