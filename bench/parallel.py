"""Steps per second of one fit on one and on two processes, and what the all-reduce costs.

Each measurement starts ``mpiexec`` with one thread per process and trains on random images of
MNIST's shape; rounds interleave them. Beside the whole batch on one and on two processes, one
process trains on half of a batch: that time and the time of an all-reduce of two idle processes
predict the time of a step on two. Writes JSON lines and a Markdown table.

    python -m bench.parallel --out bench/results
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.jobs import SEED
from bench.machine import describe_machine
from bench.results import Row, to_markdown, write_lines

CLASSES, PIXELS = 10, 784
REDUCED = 50  # all-reduces that are timed alone
COLUMNS = (
    "layers",
    "batch",
    "processes",
    "steps_per_second",
    "slowest",
    "fastest",
    "speedup",
    "predicted_speedup",
    "all_reduce_share",
    "all_reduce_ms",
    "megabytes",
)


class Job(NamedTuple):
    """A network and a batch, and the number of steps that are timed."""

    layers: tuple[int, ...]
    batch: int
    steps: int


JOBS = (
    Job((PIXELS, 128, 64, CLASSES), 64, 1500),
    Job((PIXELS, 512, 256, CLASSES), 1024, 120),
    Job((PIXELS, 2048, 2048, CLASSES), 1024, 16),
)


def work(job: Job) -> None:
    """Train in one of the processes, and print what process 0 measured as JSON."""
    import anynet
    from anynet.backends import find_group

    rng = np.random.default_rng(SEED)
    rows = job.steps * job.batch // 2  # two epochs, of which the second is timed
    data = rng.integers(0, 256, (rows, PIXELS), dtype=np.uint8), rng.integers(0, CLASSES, rows)
    group, spent = find_group("mpi"), [0.0]
    plain = group.all_reduce

    def timed(array: np.ndarray) -> None:
        start = time.perf_counter()
        plain(array)
        spent[0] += time.perf_counter() - start

    def after_epoch(_: Any) -> None:
        spent.append(spent[0])

    group.all_reduce = timed  # type: ignore[method-assign]
    model = anynet.fit(
        anynet.mlp(job.layers, scale=1 / 255),
        data,
        epochs=3,
        batch_size=job.batch,
        callbacks=after_epoch,
        backend="numpy",
        parallel=group,
        seed=SEED,
    )
    sums = np.zeros(model.network.n_parameters + 2, dtype=np.float32)
    alone = []
    for _ in range(REDUCED):
        group.gather(None)  # so that none waits for the other
        start = time.perf_counter()
        plain(sums)
        alone.append(time.perf_counter() - start)
    if group.is_first:
        seconds = sum(record.seconds for record in model.history.records[1:])
        during = spent[-1] - spent[1]
        steps = 2 * (rows // job.batch)
        found = {
            "seconds_per_step": seconds / steps,
            "reducing": during / steps,
            "all_reduce": statistics.median(alone),
            "bytes": sums.nbytes,
        }
        print(json.dumps(found))


def measure(job: Job, processes: int) -> dict[str, float]:
    """Run a job in a number of processes of one thread each.

    Raises
    ------
    RuntimeError
        If the job fails.
    """
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    command = [str(mpiexec), "-n", str(processes), sys.executable, "-m", "bench.parallel"]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*command, "--work", json.dumps(job)], capture_output=True, text=True, env=env, check=False
    )
    if ran.returncode != 0:
        message = f"{job} on {processes} processes failed: {ran.stderr[-1000:]}"
        raise RuntimeError(message)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def make_rows(job: Job, found: dict[str, list[dict[str, float]]]) -> list[Row]:
    """Return a row for one and for two processes."""

    def median(name: str, figure: str) -> float:
        return statistics.median(each[figure] for each in found[name])

    one, half = (median(name, "seconds_per_step") for name in ("one", "half"))
    rows: list[Row] = []
    for processes, name in ((1, "one"), (2, "two")):
        seconds, reduce = median(name, "seconds_per_step"), median(name, "all_reduce")
        rates = [1 / each["seconds_per_step"] for each in found[name]]
        row: dict[str, Any] = {
            "layers": "-".join(map(str, job.layers)),
            "batch": job.batch,
            "processes": processes,
            "steps_per_second": round(1 / seconds, 1),
            "slowest": round(min(rates), 1),
            "fastest": round(max(rates), 1),
            "speedup": round(one / seconds, 2),
        }
        if processes == 2:
            row |= {
                "predicted_speedup": round(one / (half + reduce), 2),
                "all_reduce_share": round(median(name, "reducing") / seconds, 3),
                "all_reduce_ms": round(1000 * reduce, 3),
                "megabytes": round(median(name, "bytes") / 1e6, 2),
            }
        rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, nargs="*", help="numbers of the jobs, from 0")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work is not None:
        layers, batch, steps = json.loads(options.work)
        work(Job(tuple(layers), batch, steps))
        return 0
    rows: list[Row] = []
    for job in JOBS if options.jobs is None else [JOBS[at] for at in options.jobs]:
        runs = {"one": (job, 1), "two": (job, 2)}
        runs["half"] = (job._replace(batch=job.batch // 2), 1)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, (variant, processes) in runs.items():
                found[name].append(measure(variant, processes))
        rows += make_rows(job, found)
        print(to_markdown(rows[-2:], COLUMNS))
    machine = {**describe_machine(), "dtype": "float32", "threads": "1 per process"}
    title = f"One fit on two processes — {machine['processor']}, {machine['cores']} cores"
    write_lines(options.out / "parallel.jsonl", [{**row, "machine": machine} for row in rows])
    (options.out / "parallel.md").write_text(f"# {title}\n\n{to_markdown(rows, COLUMNS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
