"""One training job in every library: anynet on each backend, its peers, and the products alone.

Each contender has a worker process of its own, which sleeps while the others run; rounds
interleave them. All have the same network, data, initial weights, batch size and constant rate,
in float32 (the report's algorithm: float64), and the same order of batches where the library lets
one give it. The losses they reach are compared, so that nobody skips work. Writes JSON lines, a
Markdown table and a PNG for each workload.

    python -m bench.peers --workload mnist-small table --data-dir DIR
    python -m bench.peers --quick
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.contenders import CONTENDERS, FLOOR, available
from bench.jobs import CPU_WORKLOADS, WORKLOADS, Job
from bench.machine import describe_machine
from bench.results import Row, draw_bars, to_markdown, write_lines
from bench.rounds import Measurement, Worker, measure

SAME_ORDER, OWN_ORDER = 0.002, 0.1  # relative difference of losses that is still the same job
SAME_CLASSES = 0.999  # share of predictions that must agree
TABLE = (
    "contender",
    "us_per_step",
    "seconds_per_epoch",
    "fastest",
    "slowest",
    "ratio_to_anynet",
    "ratio_to_floor",
    "train_loss",
    "agrees",
    "warm_up_seconds",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workloads and write the results; return 1 if a contender failed or skipped work."""
    options = parse(arguments)
    set_threads(options.threads)
    names = options.contenders or available(options.device)
    workers = [
        Worker(name, CONTENDERS[name].factory, options.device, options.timeout) for name in names
    ]
    sound = True
    try:
        for workload in options.workload:
            job = adapt(WORKLOADS[workload], options)
            found = measure(workers, job, options.rounds, options.seconds)
            rows = make_rows(job, found)
            sound &= publish(job, rows, found, options)
    finally:
        for worker in workers:
            worker.close()
    return 0 if sound else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(CPU_WORKLOADS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, help="all usable if absent")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, help="rows of the data, if not the workload's own")
    parser.add_argument("--epochs", type=int, help="in a round, if not the workload's own")
    parser.add_argument("--data-dir", help="where MNIST's files are; else random data")
    parser.add_argument("--threads", type=int, help="cores that each worker may use")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin no round of a workload later"
    )
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one run")
    parser.add_argument("--quick", action="store_true", help="a quarter of the rows, 3 rounds")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds = min(options.rounds, 3)
    return options


def set_threads(threads: int | None) -> None:
    """Bind this process and its workers to so many cores, and tell the pools."""
    if threads is None:
        return
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def adapt(job: Job, options: argparse.Namespace) -> Job:
    """Return the job with what the command line asks for."""
    samples = options.samples or (job.samples // 4 if options.quick else job.samples)
    epochs = options.epochs or job.epochs
    return dataclasses.replace(job, samples=samples, epochs=epochs, data_dir=options.data_dir)


def make_rows(job: Job, found: Sequence[Measurement]) -> list[Row]:
    """Return one row a contender that came through, fastest first."""
    found = [one for one in found if not one.failure]
    medians = {one.name: statistics.median(one.seconds) / job.epochs for one in found}
    anynet = next((one for one in found if one.name.startswith("anynet")), None)
    rows = []
    for one in found:
        seconds = [value / job.epochs for value in one.seconds]
        row = {
            "contender": one.name,
            "us_per_step": round(medians[one.name] / job.steps_per_epoch * 1e6, 2),
            "seconds_per_epoch": round(medians[one.name], 5),
            "fastest": round(min(seconds), 5),
            "slowest": round(max(seconds), 5),
            "ratio_to_anynet": anynet and round(medians[one.name] / medians[anynet.name], 3),
            "reference": anynet and anynet.name,
            "ratio_to_floor": FLOOR in medians and round(medians[one.name] / medians[FLOOR], 3),
            **compare(one, anynet),
            "warm_up_seconds": round(one.warm_up, 2),
            "rounds": len(one.seconds),
            "round_seconds": [round(value, 5) for value in one.seconds],
            "cores_used": round(cores_used(one), 2),
            "asleep_cpu_seconds": round(max(t.asleep_cpu_seconds for t in one.timings), 3),
            **one.notes,
        }
        rows.append(row)
    return sorted(rows, key=lambda row: row["seconds_per_epoch"])


def cores_used(measurement: Measurement) -> float:
    """Return CPU seconds a second while it ran."""
    return sum(t.cpu_seconds for t in measurement.timings) / sum(measurement.seconds)


def compare(one: Measurement, reference: Measurement | None) -> Row:
    """Return what a contender reached, and whether it is what the reference reached."""
    if one.name.startswith(FLOOR):
        return {"train_loss": None, "agrees": None}
    if isinstance(one.outcome, np.ndarray):
        share = None if reference is None else float(np.mean(one.outcome == reference.outcome))
        return {
            "train_loss": None,
            "same_classes": share,
            "agrees": share is not None and share >= SAME_CLASSES,
        }
    row = {"train_loss": round(one.outcome, 6), "loss_difference": None, "agrees": None}
    if reference is not None:
        bound = OWN_ORDER if one.notes.get("own_order") else SAME_ORDER
        difference = abs(one.outcome - reference.outcome) / abs(reference.outcome)
        row |= {"loss_difference": round(difference, 6), "agrees": bool(difference <= bound)}
    return row


def publish(
    job: Job, rows: list[Row], found: Sequence[Measurement], options: argparse.Namespace
) -> bool:
    """Write and print the results; return whether every contender did the job."""
    about = dataclasses.asdict(job) | {
        "job": f"peers-{job.name}",
        "dtype": "float32 (report: float64)",
        "device": options.device,
        "data": job.data().source,
        "threads": options.threads or "each library's default",
    }
    del about["data_dir"], about["name"]
    machine = describe_machine()
    stem = f"peers-{job.name}" + ("" if options.device == "cpu" else f"-{options.device}")
    write_lines(options.out / f"{stem}.jsonl", [about | machine | row for row in rows])
    failed = [one for one in found if one.failure]
    where = f"{machine.get('gpu') if options.device == 'cuda' else machine['processor']}"
    title = (
        f"{job.name}: {list(job.layers)}, batch {job.batch_size}, {job.samples} rows of "
        f"{about['data']} data — {where}, {machine['cores']} cores"
    )
    table = f"{title}\n\n{to_markdown(rows, TABLE)}"
    for one in failed:
        table += f"\n{one.name} failed: {one.failure.strip().splitlines()[-1]}\n"
    (options.out / f"{stem}.md").write_text(table)
    print(table)
    for one in failed:
        print(f"{one.name} failed:\n{one.failure}", file=sys.stderr)
    if rows:
        draw(options.out / f"{stem}.png", rows, title)
    differing = [row["contender"] for row in rows if row["agrees"] is False]
    if differing:
        print(f"{job.name}: other results than the reference: {differing}", file=sys.stderr)
    return not failed and not differing


def draw(path: Path, rows: list[Row], title: str) -> None:
    """Draw seconds per epoch, with anynet and the floor in their own colours."""
    colours = [
        "tab:blue" if row["contender"].startswith("anynet")
        else "0.35" if row["contender"].startswith(FLOOR)
        else "0.7"
        for row in rows
    ]  # fmt: skip
    labels = [
        f"{row['us_per_step']:.1f} µs a step"
        + (f", {row['ratio_to_anynet']:.2f} × {row['reference']}" if row["reference"] else "")
        for row in rows
    ]
    draw_bars(
        path,
        rows,
        labels,
        columns=("seconds_per_epoch", "fastest", "slowest"),
        axis="seconds per epoch (median, with fastest and slowest round)",
        title=title,
        colours=colours,
    )


if __name__ == "__main__":
    sys.exit(main())
