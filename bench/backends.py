"""One training job on every usable backend, and by the report's own algorithm.

The job is the report's: its network on MNIST (or random data of its shape if the files are
missing), plain SGD, batch 64, a validation set of 5,000 scored each epoch; anynet in float32.
Rounds interleave the contenders, each in a worker process, because the speed of a shared machine
varies; a first round, which compiles and warms up, is timed separately. Writes JSON lines, a
Markdown table and a PNG.

    python -m bench.backends --data-dir DIR --out bench/results
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import anynet
from anynet.data.subset import train_validation_split
from anynet.optim import Exponential
from bench import report_algorithm
from bench.jobs import SEED, SMALL, Job, random_images
from bench.machine import describe_machine
from bench.results import Chart, Row, draw, to_markdown, write_lines
from bench.rounds import Measurement, Worker, measure

DECAY = 0.95
VALIDATION_ROWS, TEST_ROWS = 5_000, 10_000
REPORT = "the report's float64 algorithm"
COLUMNS = (
    "contender",
    "seconds_per_epoch",
    "fastest",
    "slowest",
    "warm_up_seconds",
    "ratio_to_report",
    "train_loss",
    "test_accuracy",
)
Samples = tuple[np.ndarray, np.ndarray]


class Trainer:
    """Common base of both contenders: the samples, and the score of the last training run."""

    def __init__(self, job: Job) -> None:
        self.job = job
        (self.train, self.test), self.source = load(job)
        kept, held_out = train_validation_split(len(self.train[0]), VALIDATION_ROWS, SEED)
        self.train, self.validation = (
            (self.train[0][rows], self.train[1][rows]) for rows in (kept, held_out)
        )
        self.predict: Callable[[np.ndarray], np.ndarray] = lambda x: x

    def notes(self) -> dict[str, Any]:
        """Return the test accuracy of the last run."""
        accuracy = np.mean(self.predict(self.test[0]) == self.test[1])
        return {"data": self.source, "test_accuracy": round(float(accuracy), 4)}


class Fit(Trainer):
    """The job on one backend."""

    def __init__(self, job: Job, device: str, name: str) -> None:
        super().__init__(job)
        self.backend = anynet.get_backend(name, device or None)
        self.network = anynet.mlp(job.layers, scale=1 / 255)

    def run(self) -> float:
        """Train, and return the training loss of the last epoch."""
        model = anynet.fit(
            self.network,
            self.train,
            validation=self.validation,
            epochs=self.job.epochs,
            batch_size=self.job.batch_size,
            learning_rate=Exponential(self.job.learning_rate, decay=DECAY),
            patience=None,
            target_accuracy=None,
            seed=SEED,
            backend=self.backend,
        )
        assert model.history is not None
        self.predict = model.predict
        return model.history.records[-1].train_loss

    def notes(self) -> dict[str, Any]:
        return super().notes() | {"backend": self.backend.describe()}


class Report(Trainer):
    """The report's algorithm with the same initial weights and with inputs scaled beforehand."""

    def __init__(self, job: Job, device: str) -> None:
        assert not device
        super().__init__(job)
        drawn = anynet.mlp(job.layers).init_host(SEED)
        self.initial = [(layer["weight"], layer["bias"]) for layer in drawn if layer]
        self.train = self.train[0] / 255, self.train[1]
        self.validation = self.validation[0] / 255, self.validation[1]

    def run(self) -> float:
        """Train, and return the training loss of the last epoch."""
        layers, losses, _ = report_algorithm.fit(
            self.initial,
            self.train,
            self.validation,
            learning_rate=self.job.learning_rate,
            decay=DECAY,
            epochs=self.job.epochs,
            batch_size=self.job.batch_size,
            seed=SEED,
        )
        self.predict = lambda images: report_algorithm.predict(layers, images / 255)
        return losses[-1]


on_numpy, on_cupy, on_torch, on_jax = (
    functools.partial(Fit, name=name) for name in ("numpy", "cupy", "torch", "jax")
)


def load(job: Job) -> tuple[tuple[Samples, Samples], str]:
    """Return training and test samples, and their origin."""
    try:
        dataset = anynet.load_dataset("mnist", job.data_dir, download=False)
    except anynet.DataError:
        x, y = random_images()
        return ((x, y), (x[:TEST_ROWS], y[:TEST_ROWS])), "random"
    return (dataset.train, dataset.test), "mnist"


def make_rows(job: Job, found: Sequence[Measurement]) -> list[Row]:
    """Return one row per contender, fastest first.

    Raises
    ------
    RuntimeError
        If a contender failed: ratios relative to the report's time need all of them.
    """
    for one in found:
        if one.failure:
            message = f"{one.name} failed: {one.failure}"
            raise RuntimeError(message)
    reference = statistics.median(found[-1].seconds)
    table = []
    for one in found:
        median = statistics.median(one.seconds)
        row = {
            "contender": one.name,
            "seconds_per_epoch": round(median / job.epochs, 4),
            "fastest": round(min(one.seconds) / job.epochs, 4),
            "slowest": round(max(one.seconds) / job.epochs, 4),
            "warm_up_seconds": round(one.warm_up, 4),
            "ratio_to_report": round(median / reference, 4),
            "train_loss": round(one.outcome, 6),
        }
        table.append(row | one.notes)
    return sorted(table, key=lambda row: row["seconds_per_epoch"])


def make_chart(table: Sequence[Row], title: str) -> Chart:
    """Return seconds per epoch as bars, with the spread."""
    return Chart(
        title=title,
        axis="seconds per epoch of 55,000 (median, with the fastest and slowest round)",
        names=[row["contender"] for row in table],
        colours=["0.6" if row["contender"] == REPORT else "tab:blue" for row in table],
        median=[row["seconds_per_epoch"] for row in table],
        low=[row["fastest"] for row in table],
        high=[row["slowest"] for row in table],
        labels=[
            f"{row['seconds_per_epoch']:.2f} s ({row['ratio_to_report']:.2f} of the report's)"
            for row in table
        ],
    )


def main() -> None:
    """Run the job and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="folder of MNIST's files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="epochs in each round")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args()
    job = Job("backends", SMALL, 64, epochs=options.epochs, data_dir=options.data_dir)
    usable = [status.name for status in anynet.available_backends() if status.usable]
    workers = [Worker(f"anynet on {name}", f"bench.backends:on_{name}", "") for name in usable]
    workers.append(Worker(REPORT, "bench.backends:Report", ""))
    try:
        table = make_rows(job, measure(workers, job, options.rounds))
    finally:
        for worker in workers:
            worker.close()
    machine = describe_machine()
    about = {
        "job": "backends",
        "layers": job.layers,
        "batch_size": job.batch_size,
        "dtype": "float32",
        "rounds": options.rounds,
        "epochs_per_round": options.epochs,
    }
    write_lines(options.out / "backends.jsonl", [about | machine | row for row in table])
    markdown = to_markdown(table, COLUMNS)
    (options.out / "backends.md").write_text(markdown)
    where = f"{machine['processor']}, {machine['cores']} cores"
    title = f"One epoch of {list(SMALL)} on {table[0]['data']} data, batch 64 — {where}"
    draw(options.out / "backends.png", [make_chart(table, title)])
    print(markdown)


if __name__ == "__main__":
    main()
