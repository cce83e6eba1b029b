"""Rounds that interleave contenders, each in its own worker process."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.worker import Timing, serve


class WorkerError(Exception):
    """A contender failed; the message is its traceback."""


class Worker:
    """The handle of a worker process.

    Parameters
    ----------
    name : str
        Name of the contender in tables.
    factory : str
        ``module:attribute`` of a callable ``(job, device)`` that makes the contender.
    device : str
    timeout : float
        Maximum number of seconds to wait for an answer.
    """

    def __init__(self, name: str, factory: str, device: str, timeout: float = 600) -> None:
        self.name = name
        self.timeout = timeout
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, factory, device), daemon=True)
        self.process.start()
        theirs.close()
        self.imported = False

    def wait_for_import(self) -> None:
        """Wait until the worker, which starts at once, has imported the libraries."""
        if not self.imported:
            self.receive("import")
            self.imported = True

    def ask(self, request: str, argument: Any = None) -> Any:
        """Send a request and wait for its answer.

        Raises
        ------
        WorkerError
            If the contender raised, its process died, or it exceeded the timeout.
        """
        self.wait_for_import()
        try:
            self.connection.send((request, argument))
        except OSError as error:
            raise self.death() from error
        return self.receive(request)

    def receive(self, request: str) -> Any:
        """Wait for an answer; raises as ``ask`` does."""
        try:
            if not self.connection.poll(self.timeout):
                self.process.kill()
                message = f"no answer to {request!r} after {self.timeout:g} s"
                raise WorkerError(message)
            status, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self.death() from error
        if status == "failed":
            raise WorkerError(value)
        return value

    def death(self) -> WorkerError:
        """Return an error with the way in which the process ended."""
        self.process.join(5)
        return WorkerError(f"its process ended with exit code {self.process.exitcode}")

    def close(self) -> None:
        """End the process by closing its connection."""
        self.connection.close()
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()


@dataclass
class Measurement:
    """The measurements of one contender."""

    name: str
    warm_up: float = float("nan")
    timings: list[Timing] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    failure: str = ""

    @property
    def seconds(self) -> list[float]:
        """Return the wall time of each round."""
        return [timing.seconds for timing in self.timings]

    @property
    def outcome(self) -> Any:
        """Return the result of the last round: a loss, or predicted classes."""
        return self.timings[-1].outcome


def measure(
    workers: Sequence[Worker], job: Any, rounds: int, limit: float = float("inf")
) -> list[Measurement]:
    """Time a job on every worker, in rounds that interleave them.

    A first run of each, which places data and compiles, is timed separately. Each round starts with
    a different contender. A worker that fails is excluded from later rounds.

    Parameters
    ----------
    workers : sequence of Worker
    job : object
        The job of each contender.
    rounds : int
    limit : float
        Seconds after which no further round starts, except the first.
    """
    start = time.monotonic()
    found = {worker.name: Measurement(worker.name) for worker in workers}
    alive = list(workers)

    def attempt(worker: Worker, action: Any) -> None:
        try:
            action(worker, found[worker.name])
        except WorkerError as error:
            found[worker.name].failure = str(error)
            alive.remove(worker)

    def warm_up(worker: Worker, measurement: Measurement) -> None:
        began = time.perf_counter()
        worker.ask("job", job)
        worker.ask("run")
        measurement.warm_up = time.perf_counter() - began

    def run(worker: Worker, measurement: Measurement) -> None:
        measurement.timings.append(worker.ask("run"))

    def ask_notes(worker: Worker, measurement: Measurement) -> None:
        measurement.notes = worker.ask("notes")

    for worker in list(alive):
        attempt(worker, lambda worker, _: worker.wait_for_import())
    for worker in list(alive):
        attempt(worker, warm_up)
    for number in range(rounds):
        if number > 0 and time.monotonic() - start > limit:
            break
        turn = number % max(1, len(alive))
        for worker in alive[turn:] + alive[:turn]:
            attempt(worker, run)
        print(f"{job.name}: round {number + 1} of {rounds} done", flush=True)
    for worker in list(alive):
        attempt(worker, ask_notes)
    return list(found.values())
