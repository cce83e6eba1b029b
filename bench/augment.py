"""Cost of augmentation inside the step: seconds for 60,000 images, compared with plain steps.

Every backend has its own process, in which epochs of plain and of augmented training alternate.
The images are random bytes of MNIST's shape, the network is the report's, 784-128-64-10 at batch
64. The time excludes validation, placement of the data and compilation. Writes JSON lines and a
Markdown table.

    python -m bench.augment
    python -m bench.augment --backends numpy jax --batch-size 128 --rounds 5
    python -m bench.augment --backends torch --device cuda
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import anynet
from bench.machine import describe_machine
from bench.results import Row, to_markdown, write_lines

N_IMAGES = 60_000
PLAIN = "nothing"
AUGMENTATIONS = ("affine,elastic", "flip", "erase", "noise", "mixup")
COLUMNS = ("backend", "batch_size", "augment", "seconds", "added", "of_a_plain_epoch")


def main() -> int:
    """Measure each backend in its own process, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["numpy", "jax", "torch"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment", nargs="+", default=list(AUGMENTATIONS), metavar="NAMES")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.worker, options)))
        return 0
    rows: list[Row] = []
    failures = []
    for backend in options.backends:
        command = [sys.executable, "-m", "bench.augment", *sys.argv[1:], "--worker", backend]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if answer.returncode:
            failures.append(backend)
            continue
        rows += json.loads(answer.stdout.splitlines()[-1])
    write_lines(options.out / "augment.jsonl", rows)
    table = to_markdown(rows, COLUMNS)
    (options.out / "augment.md").write_text(table)
    print(table)
    print(*(f"{backend} failed" for backend in failures), sep="\n", file=sys.stderr)
    return 1 if failures else 0


def measure(name: str, options: argparse.Namespace) -> list[Row]:
    """Return one row for each augmentation, the plain epoch first."""
    backend = anynet.get_backend(name, options.device)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (N_IMAGES, 784), dtype=np.uint8)
    y = rng.integers(0, 10, N_IMAGES)
    network = anynet.mlp([784, 128, 64, 10], scale=1 / 255)
    seconds: dict[str, list[float]] = {each: [] for each in (PLAIN, *options.augment)}
    for lap in range(options.rounds + 1):
        for augment, found in seconds.items():
            model = anynet.fit(
                network,
                (x, y),
                epochs=1,
                batch_size=options.batch_size,
                learning_rate=0.01,
                augment=None if augment == PLAIN else augment,
                backend=backend,
            )
            assert model.history is not None
            if lap:  # the first epoch compiles
                found.append(model.history.records[0].seconds)
    plain = statistics.median(seconds[PLAIN])
    about: dict[str, Any] = {"machine": describe_machine()}
    rows = []
    for augment, found in seconds.items():
        median = statistics.median(found)
        rows.append(
            {
                "backend": backend.name,
                "device": backend.device_name(),
                "batch_size": options.batch_size,
                "augment": augment,
                "seconds": round(median, 3),
                "fastest": round(min(found), 3),
                "slowest": round(max(found), 3),
                "added": round(median - plain, 3),
                "of_a_plain_epoch": round((median - plain) / plain, 2),
                **about,
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
