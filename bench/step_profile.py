"""Profile of a training step on NumPy: the time of each recorded call in place.

The calls of NumPy's recorded loop run in their order on real batches, each is timed, and the times
are summed by kind of operation. The clock itself costs about 0.1 µs per call. Writes a Markdown
table.

    python -m bench.step_profile --data-dir DIR --out bench/results
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import anynet
from bench.gpu_parts.training import Training
from bench.jobs import WORKLOADS, Job
from bench.machine import describe_machine
from bench.results import Row, to_markdown

COLUMNS = ("kind", "calls", "us_per_step", "share")


def kind_of(call: Any) -> str:
    """Return the kind of a recorded call."""
    function, arrays = call.func, [a for a in call.args if isinstance(a, np.ndarray)]
    out = call.keywords.get("out", arrays[0])
    if function is np.dot:
        return "products" if min(a.ndim for a in arrays) == 2 else "sums over an axis"
    if function is np.ndarray.take:
        return "gathering rows"
    if function is np.copyto:
        return "conversions and copies"
    if isinstance(function, np.ufunc):
        return "elementwise" if out.size > 1 else "scalars: rate, counters"
    return "maxima, argmax, sums of a vector"


def profile(job: Job) -> list[Row]:
    """Train an epoch, then time each call of its recording over another."""
    training = Training(anynet.get_backend("numpy"), job)
    order = job.orders(1)[-1]
    with training.backend.context():
        loop: Any = training.backend.loop(training.step)
        training.run(0, loop)
        recording = loop.recordings[order.shape[1:]]
        seconds = time_calls(recording.calls, recording.rows, order)
    total: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for call, spent in zip(recording.calls, seconds, strict=True):
        # a bound product is a plain function: BLAS accumulates into the weights
        kind = kind_of(call) if hasattr(call, "func") else "products"
        total[kind][0] += 1
        total[kind][1] += spent
    whole = sum(spent for _, spent in total.values())
    return [
        {
            "kind": kind,
            "calls": int(count),
            "us_per_step": round(spent / len(order) * 1e6, 1),
            "share": f"{spent / whole:.0%}",
        }
        for kind, (count, spent) in sorted(total.items(), key=lambda item: -item[1][1])
    ]


def time_calls(calls: list[Any], rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the seconds of each call, summed over the batches of ``order``."""
    spent = np.zeros(len(calls))
    for batch in order:
        rows[...] = batch
        for index, call in enumerate(calls):
            start = time.perf_counter()
            call()
            spent[index] += time.perf_counter() - start
    return spent


def main() -> None:
    """Profile the two networks at batch 64."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="folder of MNIST's files")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args()
    machine = describe_machine()
    parts = [f"{machine['processor']}, {machine['cores']} cores, {', '.join(machine['blas'])}\n"]
    for name in ("mnist-small", "mnist-large"):
        job = dataclasses.replace(WORKLOADS[name], data_dir=options.data_dir)
        parts.append(f"{list(job.layers)}, batch {job.batch_size}, float32\n")
        parts.append(to_markdown(profile(job), COLUMNS))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "step-profile.md").write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()
