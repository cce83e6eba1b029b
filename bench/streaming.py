"""Training from disk compared with training from memory: samples per second and memory.

Writes a file of random float32 rows, then trains the same network on it in two worker processes, in
rounds that interleave them: ``anynet.open_source`` of the file, and the same rows (or the first of
them, if the file is larger than ``--resident-gigabytes``) as an array in memory. The streaming
worker's peak of resident memory is measured from just before ``fit``. Writes JSON lines and a
table.

    python -m bench.streaming --file /data/rows.npy --gigabytes 20 --resident-gigabytes 2
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import anynet
from anynet.data.sources import WINDOW_BYTES
from bench.machine import describe_machine
from bench.peers import set_environment
from bench.results import to_markdown, write_lines
from bench.rounds import Worker, measure

CONTENDERS = {"in memory": "bench.streaming:InMemory", "from disk": "bench.streaming:FromDisk"}
CHUNK = 20_000  # rows per write
AIMS = {"speed": 0.8, "extra_mib": 1024}
COLUMNS = (
    "contender",
    "gigabytes",
    "samples_per_second",
    "relative_speed",
    "seconds_per_epoch",
    "extra_mib",
    "train_loss",
)


@dataclass(frozen=True)
class Job:
    """The common job: a network and the file."""

    name: str
    path: str
    layers: tuple[int, ...]
    batch_size: int
    epochs: int
    backend: str
    resident_rows: int


class Outcome(NamedTuple):
    """One run; the seconds are those of the last epoch, after all memory has been used."""

    seconds: float
    samples: int
    loss: float
    extra_bytes: int


class FromDisk:
    """``fit`` on ``open_source``."""

    resident = False

    def __init__(self, job: Job, device: str) -> None:
        self.job = job
        self.backend = anynet.get_backend(job.backend, device)
        self.network = anynet.mlp(job.layers)
        self.data: Any = anynet.open_source(job.path, job.path.replace(".npy", "-y.npy"))
        few = np.zeros((640, job.layers[0]), np.float32), np.zeros(640, np.int64)
        self.fit(few)  # imports and caches do not belong to training

    def fit(self, data: Any) -> anynet.Model:
        return anynet.fit(
            self.network,
            data,
            epochs=self.job.epochs,
            batch_size=self.job.batch_size,
            backend=self.backend,
            resident=self.resident,
        )

    def run(self) -> Outcome:
        before = resident_bytes("VmRSS")
        reset_peak()
        model = self.fit(self.data)
        extra = resident_bytes("VmHWM") - before
        assert model.history is not None
        record = model.history.records[-1]
        samples = len(self.data[0] if isinstance(self.data, tuple) else self.data)
        return Outcome(record.seconds, samples, record.train_loss, extra)

    def notes(self) -> dict[str, Any]:
        return {}


class InMemory(FromDisk):
    """``fit`` on arrays."""

    resident = True

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        rows = np.arange(min(len(self.data), job.resident_rows))
        self.data = (self.data.read(rows), self.data.y[rows])


def resident_bytes(name: str) -> int:
    """Return ``VmRSS`` or its peak ``VmHWM`` from the kernel, which include mapped files."""
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index(f"{name}:") + 1]) * 1024


def reset_peak() -> None:
    """Reset the peak."""
    Path("/proc/self/clear_refs").write_text("5")


def write_file(path: Path, n_samples: int, n_inputs: int) -> None:
    """Write learnable rows: the class is the index of the largest of the first ten inputs."""
    generator = np.random.default_rng(0)
    labels = []
    with path.open("wb") as file:
        shape = {"descr": "<f4", "fortran_order": False, "shape": (n_samples, n_inputs)}
        np.lib.format.write_array_header_1_0(file, shape)
        for start in range(0, n_samples, CHUNK):
            rows = generator.random((min(CHUNK, n_samples - start), n_inputs), dtype=np.float32)
            labels.append(np.argmax(rows[:, :10], axis=1))
            file.write(rows)
    np.save(path.with_name(f"{path.stem}-y.npy"), np.concatenate(labels))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results; return 1 if a contender failed."""
    options = parse(arguments)
    set_environment(options.threads)
    row_bytes = 4 * options.layers[0]
    n_samples = int(options.gigabytes * 1e9) // row_bytes
    with tempfile.TemporaryDirectory() as scratch:
        path = options.file or Path(scratch) / "rows.npy"
        if not path.exists():
            print(f"writing {options.gigabytes:g} GB to {path}", flush=True)
            write_file(path, n_samples, options.layers[0])
        job = Job(
            "streaming",
            str(path),
            tuple(options.layers),
            options.batch_size,
            options.epochs,
            options.backend,
            int(options.resident_gigabytes * 1e9) // row_bytes,
        )
        workers = [Worker(name, kind, options.device) for name, kind in CONTENDERS.items()]
        try:
            found = measure(workers, job, options.rounds)
        finally:
            for worker in workers:
                worker.close()
    for one in found:
        if one.failure:
            print(f"{one.name} failed:\n{one.failure}")
            return 1
    speeds = {
        one.name: statistics.median(t.outcome.samples / t.outcome.seconds for t in one.timings)
        for one in found
    }
    rows = []
    for one in found:
        outcomes = [timing.outcome for timing in one.timings]
        rows.append(
            {
                "contender": one.name,
                "gigabytes": round(outcomes[-1].samples * row_bytes / 1e9, 2),
                "samples_per_second": round(speeds[one.name]),
                "relative_speed": round(speeds[one.name] / speeds["in memory"], 3),
                "seconds_per_epoch": round(statistics.median(o.seconds for o in outcomes), 3),
                "extra_mib": round(max(o.extra_bytes for o in outcomes) / 2**20),
                "train_loss": round(outcomes[-1].loss, 4),
                "round_seconds": [round(o.seconds, 3) for o in outcomes],
            }
        )
    machine = describe_machine()
    about = asdict(job) | {"window_bytes": WINDOW_BYTES, "aims": AIMS, "rounds": options.rounds}
    del about["path"]
    title = (
        f"{list(job.layers)}, batch {job.batch_size}, {job.backend}, windows of "
        f"{WINDOW_BYTES // 2**20} MiB — {machine['processor']}, {machine['cores']} cores"
    )
    table = f"{title}\n\n{to_markdown(rows, COLUMNS)}"
    write_lines(options.out / f"{options.name}.jsonl", [about | machine | row for row in rows])
    (options.out / f"{options.name}.md").write_text(table)
    print(table)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.5, help="size of the file in GB")
    parser.add_argument(
        "--resident-gigabytes", type=float, default=2.0, help="maximum size in memory"
    )
    parser.add_argument("--layers", type=int, nargs="+", default=[784, 128, 64, 10])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2, help="epochs per run; the last is timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--device", default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--file", type=Path, default=None, help="data file, kept and reused")
    parser.add_argument("--name", default="streaming", help="name of the results")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
