"""How long imports take: anynet's beyond NumPy, and those of its peers.

Each import runs in a fresh interpreter, which times the statement itself; rounds interleave them.
NumPy is imported beforehand, so that its own time is not counted. Writes JSON lines and a table.

    python -m bench.startup --out bench/results
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.machine import describe_machine
from bench.results import Row, to_markdown, write_lines

STATEMENTS = {
    "import anynet": "anynet",
    "import anynet; anynet.fit": "anynet",
    "import anynet; anynet.MLPClassifier": "anynet",
    "from sklearn.neural_network import MLPClassifier": "sklearn",
    "import torch": "torch",
    "import jax": "jax",
}
REFERENCE = "import numpy"
COLUMNS = ("statement", "milliseconds", "fastest", "slowest", "of_numpy")


def milliseconds(statement: str, before: str = "") -> float:
    """Return the time that a statement takes in a fresh interpreter, after another statement."""
    code = (
        f"import time\n{before}\nstart = time.perf_counter()\n{statement}\n"
        f"print(1000 * (time.perf_counter() - start))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args(arguments)
    statements = [name for name, package in STATEMENTS.items() if importlib.util.find_spec(package)]
    found: dict[str, list[float]] = {name: [] for name in [REFERENCE, *statements]}
    for number in range(options.rounds + 1):  # the first round fills the caches of files
        for name, times in found.items():
            took = milliseconds(name, "" if name == REFERENCE else REFERENCE)
            if number > 0:
                times.append(took)
    medians = {name: statistics.median(times) for name, times in found.items()}
    rows: list[Row] = [
        {
            "statement": name,
            "milliseconds": round(medians[name], 1),
            "fastest": round(min(times), 1),
            "slowest": round(max(times), 1),
            "of_numpy": round(medians[name] / medians[REFERENCE], 2),
        }
        for name, times in found.items()
    ]
    machine = describe_machine()
    title = f"Imports beyond NumPy's — {machine['processor']}, {machine['cores']} cores"
    write_lines(options.out / "startup.jsonl", [{**row, "machine": machine} for row in rows])
    page = f"# {title}\n\n{to_markdown(rows, COLUMNS)}"
    (options.out / "startup.md").write_text(page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
