"""A process with one contender, which it runs on request; it sleeps between requests.

Two BLAS libraries in one process compete for the cores by busy waiting. In separate, sleeping
processes they do not, once their threads stop waiting for work (OpenBLAS: after 0.1 s); an answer
waits for that. ``process_time`` counts all threads of a process, so each answer also contains the
CPU time that the worker used while it should have slept.
"""

from __future__ import annotations

import gc
import importlib
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench.machine import thread_pools


class Timing(NamedTuple):
    """One run: its result, its wall time, and CPU seconds of the run and of the preceding sleep."""

    outcome: Any
    seconds: float
    cpu_seconds: float
    asleep_cpu_seconds: float


def load_factory(path: str) -> Any:
    """Return the attribute given as ``module:attribute``."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def serve(connection: Connection, factory: str, device: str) -> None:
    """Import the contender's libraries, then answer requests until the other end is closed."""
    make: Any = None
    contender: Any = None
    slept_from = time.process_time()

    def answer(request: str, argument: Any) -> Any:
        nonlocal make, contender
        if request == "import":
            make = load_factory(factory)
        elif request == "job":
            contender = None
            gc.collect()
            contender = make(argument, device)
        elif request == "run":
            return timed(contender, slept_from)
        elif request == "notes":
            return contender.notes() | {"blas": thread_pools()}
        return None

    request, argument = "import", None
    while True:
        try:
            reply = ("done", answer(request, argument))
        except Exception:
            reply = ("failed", traceback.format_exc())
        settle()
        slept_from = time.process_time()
        try:
            connection.send(reply)
            request, argument = connection.recv()
        except (EOFError, BrokenPipeError, KeyboardInterrupt):
            return


def settle(pause: float = 0.02, limit: float = 2.0) -> None:
    """Wait until this process has used no CPU time for a while, or give up."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        before = time.process_time()
        time.sleep(pause)
        if time.process_time() - before < pause / 10:
            return


def timed(contender: Any, slept_from: float) -> Timing:
    """Run once."""
    asleep = time.process_time() - slept_from
    gc.collect()
    cpu, start = time.process_time(), time.perf_counter()
    outcome = contender.run()
    seconds = time.perf_counter() - start
    return Timing(outcome, seconds, time.process_time() - cpu, asleep)
