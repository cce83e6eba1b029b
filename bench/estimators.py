"""Fit and predict of estimators: anynet, scikit-learn, skorch and a plain torch loop.

All have scikit-learn's defaults (one hidden layer of 100, Adam), the same number of epochs and the
same dtype. anynet and scikit-learn draw the same weights and batches, and their losses must be
equal within rounding. Each contender has its own worker process; rounds interleave them. Writes
JSON lines, a Markdown table and a PNG.

    python -m bench.estimators
    python -m bench.estimators --contenders anynet scikit-learn --rounds 9
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.comparison import cores_used
from bench.machine import describe_machine
from bench.peers import set_environment
from bench.results import Chart, Row, draw, to_markdown, write_lines
from bench.rounds import Measurement, Worker, measure
from bench.tables import FITS, PREDICTIONS, TableJob

REFERENCE, YARDSTICK = "anynet", "scikit-learn"
CONTENDERS = {
    REFERENCE: "bench.table_contenders:Anynet",
    "anynet on JAX": "bench.table_contenders:AnynetOnJax",
    YARDSTICK: "bench.table_contenders:ScikitLearn",
    "skorch": "bench.table_contenders:Skorch",
    "torch": "bench.table_contenders:Torch",
}
SAME_LOSS = {"float64": 1e-6, "float32": 1e-2}  # relative; rounding errors grow from step to step
TABLE = ("job", "contender", "milliseconds", "fastest", "slowest", "ratio_to_scikit_learn", "score")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the jobs and write the results; return 1 if a contender failed or the runs differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--tables", nargs="+", help="tables such as digits; default: all")
    parser.add_argument("--kind", nargs="+", choices=("fit", "predict"), default=["fit", "predict"])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="number of cores of each worker")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args(arguments)
    set_environment(options.threads)
    workers = [Worker(name, CONTENDERS[name], options.device) for name in options.contenders]
    rows: list[Row] = []
    failures: list[str] = []
    try:
        for job in (*FITS, *PREDICTIONS):
            if job.kind in options.kind and job.table in (options.tables or [job.table]):
                found = measure(workers, job, options.rounds)
                rows += make_rows(job, found)
                failures += [
                    f"{one.name}, {job.name}: {one.failure}" for one in found if one.failure
                ]
    finally:
        for worker in workers:
            worker.close()
    publish(rows, options)
    failures += [
        f"{row['job']}: other losses than scikit-learn's" for row in rows if row["differs"]
    ]
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


def make_rows(job: TableJob, found: Sequence[Measurement]) -> list[Row]:
    """Return one row per contender that completed, fastest first."""
    found = [one for one in found if not one.failure]
    medians = {one.name: statistics.median(one.seconds) for one in found}
    yardstick = medians.get(YARDSTICK)
    rows = []
    for one in found:
        milliseconds = [seconds / job.repeats * 1e3 for seconds in one.seconds]
        ratio = yardstick and round(medians[one.name] / yardstick, 3)
        rows.append(
            {
                "job": job.name,
                "contender": one.name,
                "milliseconds": round(statistics.median(milliseconds), 3),
                "fastest": round(min(milliseconds), 3),
                "slowest": round(max(milliseconds), 3),
                "ratio_to_scikit_learn": ratio,
                "outcome": one.outcome,
                "differs": one.name == REFERENCE and differs(job, found),
                "cores_used": round(cores_used(one), 2),
                "rounds": len(one.seconds),
                **dataclasses.asdict(job),
                **one.notes,
            }
        )
    return sorted(rows, key=lambda row: row["milliseconds"])


def differs(job: TableJob, found: Sequence[Measurement]) -> bool:
    """Return whether anynet and scikit-learn reached different training losses."""
    outcomes = {one.name: one.outcome for one in found}
    if job.kind != "fit" or not {REFERENCE, YARDSTICK} <= outcomes.keys():
        return False
    ours, theirs = outcomes[REFERENCE], outcomes[YARDSTICK]
    return bool(abs(ours - theirs) > SAME_LOSS[job.dtype] * abs(theirs))


def publish(rows: list[Row], options: argparse.Namespace) -> None:
    """Write and print the results."""
    machine = describe_machine()
    about = {"device": options.device, "threads": options.threads or "each library's default"}
    stem = "estimators" if options.device == "cpu" else f"estimators-{options.device}"
    write_lines(options.out / f"{stem}.jsonl", [about | machine | row for row in rows])
    title = f"Fit and predict — {machine['processor']}, {machine['cores']} cores"
    table = f"{title}\n\n{to_markdown(rows, TABLE)}"
    (options.out / f"{stem}.md").write_text(table)
    print(table)
    compared = [row for row in rows if row["contender"] == REFERENCE and row["kind"] == "fit"]
    if compared and all(row["ratio_to_scikit_learn"] for row in compared):
        draw(options.out / f"{stem}.png", [make_chart(compared, title)])


def make_chart(compared: list[Row], title: str) -> Chart:
    """Show anynet's time relative to scikit-learn's for each fit."""
    scales = [row["ratio_to_scikit_learn"] / row["milliseconds"] for row in compared]
    low, high = (
        [row[end] * scale for row, scale in zip(compared, scales, strict=True)]
        for end in ("fastest", "slowest")
    )
    return Chart(
        title=title,
        axis="anynet's time, as a share of scikit-learn's (median, fastest and slowest round)",
        names=[row["job"] for row in compared],
        colours=["tab:blue"] * len(compared),
        median=[row["milliseconds"] * scale for row, scale in zip(compared, scales, strict=True)],
        low=low,
        high=high,
        labels=[f"{row['ratio_to_scikit_learn']:.2f}" for row in compared],
    )


if __name__ == "__main__":
    sys.exit(main())
