"""All workloads of ``bench.peers`` on one page, with targets and results.

python -m bench.summary --results bench/results
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.comparison import time_of
from bench.jobs import WORKLOADS
from bench.results import Row, read_lines, to_markdown


class Target(NamedTuple):
    """A target: the minimum time of a contender, as a multiple of anynet's time."""

    workload: str
    contender: str
    wanted: float


TARGETS = {
    "cpu": (
        Target("mnist-small", "jax-scan", 1.0),
        Target("mnist-small", "torch", 2.0),
        Target("mnist-small", "scikit-learn", 4.0),
        Target("mnist-small", "thinc", 2.5),
        Target("mnist-small", "report", 5.0),
        Target("mnist-small", "floor", 1 / 1.4),
        Target("mnist-large", "floor", 1 / 1.2),
        Target("table", "scikit-learn", 2.0),
        Target("table", "torch", 3.0),
        Target("predict-small", "torch", 1.0),
        Target("predict-large", "torch", 1.0),
    ),
    "cuda": (
        Target("mnist-small", "torch-graph", 1.5),
        Target("mnist-small", "jax-scan", 1.5),
        Target("deep-4096", "floor-torch", 1 / 1.25),
    ),
}


def result_paths(folder: Path, device: str, kind: str) -> list[Path]:
    """Return the result paths of ``bench.peers`` for each workload."""
    suffix = "" if device == "cpu" else f"-{device}"
    return [folder / f"peers-{name}{suffix}.{kind}" for name in WORKLOADS]


def find_results(folder: Path, device: str) -> dict[str, list[Row]]:
    """Return the rows of each workload that ran on the device."""
    paths = [path for path in result_paths(folder, device, "jsonl") if path.exists()]
    found = [rows for rows in map(read_lines, paths) if rows]
    return {rows[0]["workload"]: rows for rows in found}


def to_page(found: dict[str, list[Row]], device: str) -> str:
    """Return a table of all contenders and workloads, and one of the targets."""
    names = dict.fromkeys(row["contender"] for rows in found.values() for row in rows)
    table = [{"contender": name} for name in names]
    for workload, rows in found.items():
        cells = {row["contender"]: cell_of(row) for row in rows}
        for line in table:
            line[workload] = cells.get(line["contender"], "")
    page = (
        "Microseconds a step (for predict: a batch of 4,096 rows), and in brackets the multiple "
        f"of anynet's time.\n\n{to_markdown(table, ('contender', *found))}"
    )
    reached = target_rows(found, device)
    if reached:
        columns = ("workload", "beside", "wanted", "found", "met")
        page += (
            f"\nThe contender's time as a multiple of anynet's:\n\n{to_markdown(reached, columns)}"
        )
    return page


def cell_of(row: Row) -> str:
    """Return the time of a step and its ratio."""
    ratio = row["ratio_to_anynet"]
    return time_of(row) + ("" if ratio is None else f" ({ratio:.2f})")


def target_rows(found: dict[str, list[Row]], device: str) -> Sequence[Row]:
    """Return target and result of each measured target."""
    rows = []
    for target in TARGETS[device]:
        ratios = {
            row["contender"]: row["ratio_to_anynet"] for row in found.get(target.workload, [])
        }
        ratio = ratios.get(target.contender)
        if ratio is not None:
            rows.append(
                {
                    "workload": target.workload,
                    "beside": target.contender,
                    "wanted": f"{target.wanted:.2f}",
                    "found": f"{ratio:.2f}",
                    "met": "yes" if ratio >= target.wanted else "no",
                }
            )
    return rows


def write(folder: Path, device: str) -> None:
    """Write the page of a folder's results."""
    found = find_results(folder, device)
    if found:
        (folder / f"peers-summary-{device}.md").write_text(to_page(found, device))


def main() -> None:
    """Write and print the page of each device that has results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("bench/results"))
    folder = parser.parse_args().results
    for device in TARGETS:
        write(folder, device)
        print(to_page(find_results(folder, device), device))


if __name__ == "__main__":
    main()
