"""Methods for tables: anynet's presets, boosted trees, and other libraries' networks.

Each cell is a method, a table and a split: three quarters of the rows train (at most ``--rows``),
one quarter is the test. All methods have one thread. A JSON line is appended for each cell, errors
included; cells that the file already has are skipped. The summary has mean ranks by score and by
log loss, and CPU time.

    python -m bench.tabular --methods "anynet auto" CatBoost --splits 2
    python -m bench.tabular --summary
    python -m bench.tabular --nested --variants '{}' '{"preset": "fast"}' --tables churn iris
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.results import Row, append_line, read_lines
from bench.rounds import Worker, WorkerError
from bench.tabular_parts import nested, summary, tables
from bench.tabular_parts.cell import Cell
from bench.tabular_parts.methods import METHODS, version_of

RESULTS = Path("bench/results/tabular")
ROWS, SPLITS = 4000, 5
NESTED_ROWS, NESTED_SPLITS = 3000, 2
RUNNER = "bench.tabular_parts.cell:Runner"
KEY = ("method", "version", "table", "split", "most_rows", "nested", "params")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cells and write the summary; return 1 if a cell failed."""
    options = parse(arguments)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    errors = 0 if options.summary else run(list(plan(options)), options.file, options.timeout)
    paths = options.read or sorted({options.file, *options.out.glob("*.jsonl")})
    rows = [row for path in paths if path.exists() for row in read_lines(path)]
    rows = [
        row
        for row in rows
        if row["nested"] == options.nested
        and row["most_rows"] == options.rows
        and row["split"] < options.splits
        and row["table"] in (options.tables or [row["table"]])
    ]
    if options.nested:
        rows = [row for row in rows if row["version"] == version_of(row["method"])]
        print(nested.compare(rows, options.variants))
    else:
        summary.write([row for row in rows if row["method"] in options.methods], options.out)
    return int(errors > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--tables", nargs="+", help="default: all that are not generated")
    parser.add_argument("--splits", type=int, help="number of splits")
    parser.add_argument("--rows", type=int, help="maximum number of training rows")
    parser.add_argument("--timeout", type=float, default=900, help="maximum seconds of a cell")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--file", type=Path, help="JSON lines; default: cells.jsonl in the folder")
    parser.add_argument(
        "--read", type=Path, nargs="+", help="JSON lines to sum up; default: all in the folder"
    )
    parser.add_argument("--summary", action="store_true", help="only write the summary")
    parser.add_argument(
        "--nested", action="store_true", help="score on held-out training rows, to choose defaults"
    )
    parser.add_argument(
        "--variants",
        type=json.loads,
        nargs="+",
        default=[{}],
        help="with --nested: parameters of each contender as JSON, compared with the first; "
        '"method" names another method than anynet auto',
    )
    options = parser.parse_args(arguments)
    options.rows = options.rows or (NESTED_ROWS if options.nested else ROWS)
    options.splits = options.splits or (NESTED_SPLITS if options.nested else SPLITS)
    options.file = options.file or options.out / (
        "nested.jsonl" if options.nested else "cells.jsonl"
    )
    return options


def plan(options: argparse.Namespace) -> Iterator[Cell]:
    """Yield the cells, those of a method one after another."""
    contenders = [(name, {}) for name in options.methods]
    if options.nested:
        contenders = [nested.contender(variant) for variant in options.variants]
    for method, params in contenders:
        if version_of(method) is None:
            print(f"{method}: not installed", file=sys.stderr)
            continue
        for split in range(options.splits):
            for table in options.tables or tables.names():
                yield Cell(method, table, split, options.rows, options.nested, params)


def run(cells: Sequence[Cell], path: Path, timeout: float) -> int:
    """Run the cells that the file lacks, append their results, and return the number of errors."""
    done = {key_of(row) for row in read_lines(path)} if path.exists() else set()
    errors = 0
    worker: Worker | None = None
    for cell in cells:
        about = vars(cell) | {"version": version_of(cell.method)}
        if key_of(about) in done:
            continue
        if worker is None or worker.name != cell.method:
            if worker is not None:
                worker.close()
            worker = Worker(cell.method, RUNNER, "cpu", timeout)
        try:
            worker.ask("job", cell)
            row: Row = about | worker.ask("run").outcome | worker.ask("notes")
        except WorkerError as error:
            row = about | {"error": str(error).strip().splitlines()[-1], "traceback": str(error)}
            errors += 1
            worker.close()
            worker = None
        append_line(path, row)
        print(describe(row), flush=True)
    if worker is not None:
        worker.close()
    return errors


def key_of(row: Row) -> str:
    """Return what identifies a cell."""
    return json.dumps([row[name] for name in KEY], sort_keys=True)


def describe(row: Row) -> str:
    """Return a line about a cell."""
    name = f"{row['method']} {row['params'] or ''}, {row['table']}, split {row['split']}"
    if "error" in row:
        return f"{name}: {row['error']}"
    loss = f", log loss {row['log_loss']:.4f}" if "log_loss" in row else ""
    return f"{name}: score {row['score']:.4f}{loss}, {row['fit_cpu_seconds']:.2f} CPU s"


if __name__ == "__main__":
    sys.exit(main())
