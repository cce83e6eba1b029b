"""One training job in every library: anynet on each backend, its peers, and only the products.

Each contender has its own worker process, which sleeps while the others run; rounds
interleave them. All have the same network, data, initial weights, batch size and constant rate,
in float32 (the report's algorithm: float64), and the same order of batches if the library accepts
one. Their losses are compared, to detect contenders that skip work. Writes JSON lines, a
Markdown table and a PNG for each workload, and one page that sums up all in the folder.

    python -m bench.peers --workload mnist-small table --data-dir DIR
    python -m bench.peers --quick
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import summary
from bench.comparison import COLUMNS, make_chart, make_rows
from bench.contenders import CONTENDERS, available
from bench.jobs import CPU_WORKLOADS, WORKLOADS, Job
from bench.machine import describe_machine
from bench.results import draw, to_markdown, write_lines
from bench.rounds import Measurement, Worker, measure

QUICK_ROWS, QUICK_ROUNDS = 15_000, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workloads and write the results; return 1 if a contender failed or skipped work."""
    options = parse(arguments)
    set_environment(options.threads)
    deadline = time.monotonic() + options.seconds
    workers = [
        Worker(name, CONTENDERS[name].factory, options.device, options.timeout)
        for name in options.contenders or available(options.device)
    ]
    sound = True
    try:
        for index, workload in enumerate(options.workload):
            left = deadline - time.monotonic()
            if index and left <= 0:
                print(f"{workload}: skipped, no time left", file=sys.stderr)
                sound = False
                continue
            job = adapt(WORKLOADS[workload], options)
            share = left / (len(options.workload) - index)
            sound &= publish(job, measure(workers, job, options.rounds, share), options)
    finally:
        for worker in workers:
            worker.close()
    summary.write(options.out, options.device)
    return 0 if sound else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(CPU_WORKLOADS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, help="default: all usable")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, help="number of rows; default: the workload's")
    parser.add_argument("--epochs", type=int, help="epochs per round; default: the workload's")
    parser.add_argument("--data-dir", help="folder of MNIST's files; default: random data")
    parser.add_argument("--threads", type=int, help="number of cores of each worker")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="seconds for all workloads, after which no round or workload starts",
    )
    parser.add_argument(
        "--timeout", type=float, default=600, help="time limit of one run in seconds"
    )
    parser.add_argument("--quick", action="store_true", help="limit to 15,000 rows and 3 rounds")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds = min(options.rounds, QUICK_ROUNDS)
    return options


def set_environment(threads: int | None) -> None:
    """Bind this process and its workers to a number of cores; JAX workers share a GPU."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if threads is None:
        return
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def adapt(job: Job, options: argparse.Namespace) -> Job:
    """Return the job with the options of the command line."""
    quick = options.quick and job.samples > QUICK_ROWS
    samples = options.samples or (QUICK_ROWS if quick else job.samples)
    epochs = options.epochs or job.epochs
    return dataclasses.replace(job, samples=samples, epochs=epochs, data_dir=options.data_dir)


def publish(job: Job, found: Sequence[Measurement], options: argparse.Namespace) -> bool:
    """Write and print the results; return whether every contender did the job."""
    rows, machine = make_rows(job, found), describe_machine()
    about = dataclasses.asdict(job) | {
        "job": "peers",
        "workload": job.name,
        "dtype": "float32 (report: float64)",
        "device": options.device,
        "data": job.data().source,
        "threads": options.threads or "each library's default",
    }
    del about["data_dir"], about["name"]
    processor = machine["gpu"] if options.device == "cuda" else machine["processor"]
    title = (
        f"{job.name}: {list(job.layers)}, batch {job.batch_size}, {job.samples:,} rows of "
        f"{about['data']} data — {processor}, {machine['cores']} cores"
    )
    stem = f"peers-{job.name}" + ("" if options.device == "cpu" else f"-{options.device}")
    about["title"] = title
    write_lines(options.out / f"{stem}.jsonl", [about | machine | row for row in rows])
    table = f"{title}\n\n{to_markdown(rows, COLUMNS)}"
    failed = [one for one in found if one.failure]
    for one in failed:
        table += f"\n{one.name} failed: {one.failure.strip().splitlines()[-1]}\n"
        print(f"{one.name} failed:\n{one.failure}", file=sys.stderr)
    (options.out / f"{stem}.md").write_text(table)
    print(table, flush=True)
    if rows:
        draw(options.out / f"{stem}.png", [make_chart(rows, title)])
    differing = [row["contender"] for row in rows if row["agrees"] is False]
    if differing:
        print(f"{job.name}: results differ from the reference: {differing}", file=sys.stderr)
    return not failed and not differing


if __name__ == "__main__":
    sys.exit(main())
