"""Many networks trained together, compared with one alone: the cost of a population member.

A population is a ``TrainState`` with a tuple of seeds; its members see the same batches. The first
member is compared with its single run.

    python -m bench.gpu_parts.population --out DIR
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time

from anynet.backends import Backend
from bench.gpu_parts.training import Training, name_of, parse, row_of, usable
from bench.jobs import WORKLOADS, Job
from bench.results import Row, to_markdown, write_lines

TOLERANCE = 1e-3  # relative error of the mean loss
ROUNDS = 3
COLUMNS = (
    "backend",
    "members",
    "steps",
    "one_us_per_step",
    "population_us_per_step",
    "us_per_member_and_step",
    "gain",
    "loss_difference",
    "agrees",
    "failed",
)


def main() -> int:
    """Measure on every backend of the device; return 1 if a member differs from its single run."""
    options = parse(__doc__)
    samples, members = (640, 4) if options.tiny else (64 * 200, 128)
    job = dataclasses.replace(WORKLOADS["mnist-small"], samples=samples, epochs=1)
    rows: list[Row] = []
    for backend in usable(options.device):
        rows.append(row_of(measure, backend, job, members))
        write_lines(options.out / "population.jsonl", rows)  # in case the next is killed
    print(to_markdown(rows, COLUMNS))
    return 0 if rows and all(row["agrees"] for row in rows) else 1


def measure(backend: Backend, job: Job, members: int) -> Row:
    """Time one network and a population in rounds that interleave them."""
    training = Training(backend, job)
    seeds: dict[str, int | tuple[int, ...]] = {"one": 0, "population": tuple(range(members))}
    seconds: dict[str, list[float]] = {name: [] for name in seeds}
    losses = {}
    for number in range(ROUNDS + 1):
        for name, seed in seeds.items():
            start = time.perf_counter()
            state = training.run(seed)
            if number > 0:
                seconds[name].append(time.perf_counter() - start)
            losses[name] = training.mean_loss(state)
    alone, inside = float(losses["one"]), float(losses["population"][0])
    steps = job.steps_per_epoch
    one, population = (statistics.median(seconds[name]) / steps * 1e6 for name in seeds)
    difference = abs(inside - alone) / alone
    return {
        "part": "population",
        "backend": name_of(backend),
        "layers": job.layers,
        "batch_size": job.batch_size,
        "members": members,
        "steps": steps,
        "one_us_per_step": round(one, 1),
        "population_us_per_step": round(population, 1),
        "us_per_member_and_step": round(population / members, 2),
        "gain": round(one * members / population, 2),
        "loss_difference": float(f"{difference:.3g}"),
        "agrees": difference <= TOLERANCE,
    }


if __name__ == "__main__":
    sys.exit(main())
