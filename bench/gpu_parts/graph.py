"""Agreement of ``backend.loop`` with the same steps called one by one, and the speed-up.

On CUDA it replays captured graphs (CuPy, torch) or a compiled loop (JAX); the portable body
of ``Loop`` calls the step from Python. Plain SGD; and momentum with dropout and a rate that
falls, whose counters and random bits a graph must advance. A short batch is among the steps.

    python -m bench.gpu_parts.graph --out DIR
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import anynet
from anynet import Network, tree
from anynet.backends import Backend, Loop
from anynet.optim import SGD, Cosine, Optimizer, Schedule
from bench.gpu_parts.training import Training, name_of, parse, row_of, usable
from bench.jobs import WORKLOADS, Job
from bench.results import Row, to_markdown, write_lines

TOLERANCE = 1e-4  # relative error of parameters and loss: float32, different kernels
COLUMNS = (
    "backend",
    "case",
    "steps",
    "loop_us_per_step",
    "eager_us_per_step",
    "largest_difference",
    "loss_difference",
    "agrees",
    "loop",
    "messages",
    "failed",
)


class Messages(logging.Handler):
    """A handler that stores log messages."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main() -> int:
    """Compare on every backend of the device; return 1 if one disagrees or was not recorded."""
    options = parse(__doc__)
    samples, rounds = (64 + 32, 1) if options.tiny else (64 * 40 + 32, 3)
    job = dataclasses.replace(WORKLOADS["mnist-small"], samples=samples)
    plain = anynet.mlp(job.layers, scale=1 / 255)
    dropped = anynet.mlp(job.layers, scale=1 / 255, dropout=0.2)
    cases: dict[str, tuple[Network, Optimizer, Schedule | float]] = {
        "sgd": (plain, SGD(), 0.1),
        "momentum, dropout, falling rate": (dropped, SGD(momentum=0.9), Cosine(0.02, epochs=2)),
    }
    rows: list[Row] = []
    for backend in usable(options.device):
        for case in cases:
            rows.append(row_of(compare, backend, case, job, rounds, *cases[case]))
            write_lines(options.out / "graph.jsonl", rows)  # in case the next is killed
    print(to_markdown(rows, COLUMNS))
    return 0 if rows and all(row["agrees"] and row["as_one"] for row in rows) else 1


def compare(
    backend: Backend,
    case: str,
    job: Job,
    rounds: int,
    network: Network,
    optimizer: Optimizer,
    schedule: Schedule | float,
) -> Row:
    """Train both ways from the same weights."""
    training = Training(backend, job, network, optimizer, schedule)
    messages = Messages()
    logger = logging.getLogger("anynet")
    logger.addHandler(messages)
    logger.setLevel(logging.INFO)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        looped, loop_seconds = timed(functools.partial(training.run, 0), rounds)
        eager = functools.partial(training.run, 0, Loop(training.step))
        stepped, eager_seconds = timed(eager, rounds)
    logger.removeHandler(messages)
    steps = job.steps_per_epoch * job.epochs
    difference = largest_difference(looped.params, stepped.params, backend)
    losses = float(training.mean_loss(looped)), float(training.mean_loss(stepped))
    loop = backend.describe()["loop"]
    loss_difference = abs(losses[0] - losses[1]) / losses[1]
    return {
        "part": "graph",
        "backend": name_of(backend),
        "case": case,
        "steps": steps,
        "loop_us_per_step": round(loop_seconds / steps * 1e6, 1),
        "eager_us_per_step": round(eager_seconds / steps * 1e6, 1),
        "largest_difference": float(f"{difference:.3g}"),
        "loss_difference": float(f"{loss_difference:.3g}"),
        "agrees": difference <= TOLERANCE and loss_difference <= TOLERANCE,
        "loop": loop,
        "as_one": not loop.startswith("eager") or not backend.device_name().startswith("cuda"),
        "messages": [*messages.texts, *(str(warning.message) for warning in warned)],
        "describe": backend.describe(),
    }


def timed(run: Callable[[], Any], rounds: int) -> tuple[Any, float]:
    """Return the state of the last of several runs, and their median time after a warm-up."""
    run()
    seconds, state = [], None
    for _ in range(rounds):
        start = time.perf_counter()
        state = run()
        seconds.append(time.perf_counter() - start)
    return state, statistics.median(seconds)


def largest_difference(first: Any, second: Any, backend: Backend) -> float:
    """Return the largest difference of two trees, relative to the largest number of each leaf."""
    worst = 0.0
    for one, other in zip(tree.leaves(first), tree.leaves(second), strict=True):
        a, b = backend.to_host(one), backend.to_host(other)
        worst = max(worst, float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-12)))
    return worst


if __name__ == "__main__":
    sys.exit(main())
