"""Report of anynet on a CUDA machine, in one command of less than ten minutes.

Describes the machine, runs the CUDA tests of each library, compares captured loops with steps
called one by one, trains populations, and runs the peers. Each part is a process with a time limit;
all parts run, and a failed part is reported with the end of its output. Writes at most eight files
into ``--out``: ``gpu-report.json``, ``.md`` and ``.png``, a log of the tests of each library and
one of the other parts. The report is written anew before each part, so that it is complete up to
that point if the command is killed. The exit code is 1 if a part failed.

    python -m bench.gpu_report --out DIR [--data-dir MNIST]
    python -m bench.gpu_report --out DIR --device cpu     # a dry run of a minute
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import summary
from bench.comparison import make_chart
from bench.gpu_parts.cuda_tests import CASES
from bench.gpu_parts.graph import COLUMNS as GRAPH_COLUMNS
from bench.gpu_parts.population import COLUMNS as POPULATION_COLUMNS
from bench.gpu_parts.training import BACKENDS
from bench.results import Chart, Row, draw, read_lines, to_markdown
from bench.summary import find_results, result_paths

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 540  # for all parts; the remainder of ten minutes is for the report itself
LIMITS = {  # in seconds, in the order of the parts
    "machine": 45,
    "tests-numpy": math.inf,  # of a dry run
    "tests-cupy": 150,
    "graph": 70,
    "tests-torch": 70,
    "population": 60,
    "tests-jax": 45,
    "peers": math.inf,  # the remaining time
}
TAIL = 40  # lines of a failed part's output
LOG_BYTES = 4 * 2**20  # the end of a log that is kept
WHOLE_BATCHES = 57_344  # rows: whole batches of 64 and of 4096, so one shape is compiled
WORKLOADS = ("mnist-small", "deep-4096", "mnist-large", "predict-small", "predict-large")
DRY_PEERS = ("anynet-numpy", "floor", "numpy-loop")


class Part(NamedTuple):
    """A process of the report: its module, its arguments, its time limit in seconds, its log."""

    name: str
    arguments: list[str]
    seconds: float
    log: str = "parts.log"


class Outcome(NamedTuple):
    """The outcome of a part: ran, failed, timed out, skipped or running; the end of its output."""

    name: str
    status: str
    seconds: float
    tail: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--device", choices=tuple(BACKENDS), default="cuda")
    parser.add_argument("--data-dir", help="folder of MNIST's files; default: random data")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="time limit of all parts in seconds"
    )
    options = parser.parse_args(arguments)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.log"):
        old.unlink()  # the report contains this run only
    deadline = time.monotonic() + options.seconds
    outcomes: list[Outcome] = []
    with ending_on_sigterm(), tempfile.TemporaryDirectory(prefix="gpu-report-") as folder:
        results, reason = Path(folder), ""
        for part in list_parts(options, results):
            if reason:
                outcomes.append(Outcome(part.name, "skipped", 0, reason))
                continue
            running = Outcome(part.name, "running", 0, "the report ended before this part")
            write_report(out, results, [*outcomes, running], options.device)
            outcomes.append(run(part, out, deadline))
            print(f"{part.name}: {outcomes[-1].status}, {outcomes[-1].seconds:.0f} s", flush=True)
            reason = why_not(options.device, results)
        print(write_report(out, results, outcomes, options.device), flush=True)
        draw_report(out, results, options.device)
    if reason:
        print(f"nothing was measured: {reason}; python -m anynet backends reports the cause")
    return int(any(outcome.status not in ("ran", "skipped") for outcome in outcomes))


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Exit on SIGTERM as on Ctrl-C, which ends the running part."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def list_parts(options: argparse.Namespace, results: Path) -> list[Part]:
    """Return the parts in order, which write into a folder; the last may use the remaining time.

    A dry run has no time limit per part, because it does not measure the speed of the CPU.
    """
    common = ["--device", options.device, "--out", str(results)]
    tiny = ["--tiny"] if options.device == "cpu" else []
    limits = dict.fromkeys(LIMITS, math.inf) if tiny else LIMITS
    peers = list(common)
    if options.data_dir:
        peers += ["--data-dir", options.data_dir]
    if tiny:
        peers += ["--workload", "mnist-small", "predict-small", "--samples", "640"]
        peers += ["--rounds", "2", "--contenders", *DRY_PEERS]
    else:
        peers += ["--workload", *WORKLOADS, "--samples", str(WHOLE_BATCHES)]
        peers += ["--timeout", "75"]
    arguments = {
        "machine": ["bench.gpu_parts.machine", *common],
        "graph": ["bench.gpu_parts.graph", *common, *tiny],
        "population": ["bench.gpu_parts.population", *common, *tiny],
        "peers": ["bench.peers", *peers],
    }
    parts = {name: Part(name, each, limits[name]) for name, each in arguments.items()}
    for library in CASES[options.device]:
        name, module = f"tests-{library}", "bench.gpu_parts.cuda_tests"
        each = [module, *common, *tiny, "--library", library]
        parts[name] = Part(name, each, limits[name], f"{name}.log")
    return [parts[name] for name in LIMITS if name in parts]


def why_not(device: str, results: Path) -> str:
    """Return why the other parts cannot run, or an empty string if they can."""
    path = results / "machine.jsonl"
    if path.exists() and not read_lines(path)[0]["backends"]:
        return f"no {device.upper()} device"
    return ""


def run(part: Part, out: Path, deadline: float) -> Outcome:
    """Run a part until it ends or exceeds its limit, and terminate its process group."""
    limit = min(part.seconds, deadline - time.monotonic())
    if limit <= 0:
        return Outcome(part.name, "timed out", 0, "the parts before left no time")
    module, *arguments = part.arguments
    if part.name == "peers":
        arguments += ["--seconds", f"{0.8 * limit:.0f}"]
    environment = os.environ | {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONUNBUFFERED": "1",  # what a part printed is in the log if it is killed
    }
    log = out / part.log
    begin = log.stat().st_size if log.exists() else 0
    start = time.monotonic()
    with log.open("a") as file:
        print(f"== {part.name}", file=file, flush=True)
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = "ran" if process.wait(limit) == 0 else "failed"
        except subprocess.TimeoutExpired:
            status = "timed out"
        finally:
            end_group(process)
    seconds = time.monotonic() - start
    written = log.read_bytes()
    tail = written[begin:][-LOG_BYTES:].decode(errors="replace").splitlines()[-TAIL:]
    log.write_bytes(written[-LOG_BYTES:])
    return Outcome(part.name, status, seconds, "\n".join(tail))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Terminate a process and its children."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def write_report(out: Path, results: Path, outcomes: Sequence[Outcome], device: str) -> str:
    """Combine the results of the parts into one JSON file and one page, and return the page."""
    machine, graph, population = (
        read(results, name) for name in ("machine", "graph", "population")
    )
    peers = find_results(results, device)
    report = {
        "machine": machine[0] if machine else {},
        "parts": [outcome._asdict() for outcome in outcomes],
        "graph": graph,
        "population": population,
        "peers": peers,
    }
    (out / "gpu-report.json").write_text(json.dumps(report, indent=1) + "\n")
    paths = [path for path in result_paths(results, device, "md") if path.exists()]
    pages = [f"### {path.read_text()}" for path in paths]
    page = to_page(device, report["machine"], outcomes, graph, population, peers, pages)
    (out / "gpu-report.md").write_text(page)
    return page


def draw_report(out: Path, results: Path, device: str) -> None:
    """Draw the peers and the population, if something was measured and matplotlib is installed."""
    peers, population = find_results(results, device), measured(read(results, "population"))
    charts = [make_chart(rows, rows[0]["title"]) for rows in peers.values()]
    charts += [population_chart(rows) for rows in [population] if rows]
    if charts:
        with contextlib.suppress(ImportError):
            draw(out / "gpu-report.png", charts)


def read(results: Path, name: str) -> list[Row]:
    """Return the rows that a part has written so far."""
    path = results / f"{name}.jsonl"
    return read_lines(path) if path.exists() else []


def to_page(
    device: str,
    machine: Row,
    outcomes: Sequence[Outcome],
    graph: Sequence[Row],
    population: Sequence[Row],
    peers: dict[str, list[Row]],
    pages: Sequence[str],
) -> str:
    """Return the report as Markdown; ``pages`` are the pages of the peers."""
    about = ", ".join(f"{name} {version}" for name, version in machine.get("versions", {}).items())
    parts = [
        {
            "part": outcome.name,
            "status": outcome.status,
            "seconds": round(outcome.seconds),
            "why": outcome.tail if outcome.status == "skipped" else None,
        }
        for outcome in outcomes
    ]
    hardware = f"{machine.get('gpu') or 'no GPU'}; {machine.get('processor')}"
    sections = [
        f"# GPU report\n\n{hardware}, {machine.get('cores')} cores; {about}\n",
        to_markdown(parts, ("part", "status", "seconds", "why")),
    ]
    if graph:
        sections.append(f"## The loop beside its steps\n\n{to_markdown(graph, GRAPH_COLUMNS)}")
    if population:
        table = to_markdown(population, POPULATION_COLUMNS)
        sections.append(f"## A population beside one network\n\n{table}")
    if peers:
        sections.append(f"## The peers\n\n{summary.to_page(peers, device)}")
    sections += pages
    sections += [
        f"## {outcome.name} {outcome.status}\n\n```\n{outcome.tail}\n```\n"
        for outcome in outcomes
        if outcome.status not in ("ran", "skipped")
    ]
    return "\n".join(sections)


def measured(population: Sequence[Row]) -> list[Row]:
    """Return the rows that contain a measurement."""
    return [row for row in population if "gain" in row]


def population_chart(rows: Sequence[Row]) -> Chart:
    """Return the cost of a step per network, alone and in the population, as bars."""
    bars = [
        (f"{row['backend']}, {what}", row[column])
        for row in rows
        for what, column in (
            ("one alone", "one_us_per_step"),
            (f"one of {row['members']}", "us_per_member_and_step"),
        )
    ]
    values = [value for _, value in bars]
    return Chart(
        title=f"{rows[0]['layers']}, batch {rows[0]['batch_size']}: a network of a population",
        axis="µs per network and step (median)",
        names=[name for name, _ in bars],
        colours=["0.7", "tab:blue"] * len(rows),
        median=values,
        low=values,
        high=values,
        labels=[f"{value:.4g} µs" for value in values],
    )


if __name__ == "__main__":
    sys.exit(main())
