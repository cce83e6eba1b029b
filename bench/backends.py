"""One training job on every usable backend, and by the report's own algorithm.

The job is the report's: its network on MNIST (or random data of its shape where the files are not
there), plain SGD, batch 64, a validation set of 5,000 scored each epoch; anynet in float32. Rounds
interleave the contenders, since a shared machine drifts; a first round, which compiles and warms
up, is timed apart. Writes JSON lines, a Markdown table and a PNG.

    python -m bench.backends --data-dir DIR --out bench/results
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import anynet
from anynet.data.splits import train_validation_split
from anynet.optim import Exponential
from bench import report_algorithm
from bench.machine import describe_machine

LAYERS = [784, 128, 64, 10]
SEED = 0
DECAY = 0.95
REPORT = "the report's float64 algorithm"


Samples = tuple[np.ndarray, np.ndarray]


def load(data_dir: str | None) -> tuple[bool, Samples, Samples, Samples]:
    """Return whether the data are real, and training, validation and test samples."""
    try:
        dataset = anynet.load_dataset("mnist", data_dir, download=False)
    except anynet.DataError:
        rng = np.random.default_rng(SEED)
        x, y = rng.integers(256, size=(60_000, 784)).astype(np.uint8), rng.integers(10, size=60_000)
        real, test = False, (x[:10_000], y[:10_000])
    else:
        real, (x, y), test = True, dataset.train, dataset.test
    kept, held_out = train_validation_split(len(x), 5_000, SEED)
    return real, (x[kept], y[kept]), (x[held_out], y[held_out]), test


class Contender:
    """A job that trains for some epochs and tells its last training loss."""

    def __init__(self, name: str, run: Callable[[int], tuple[float, Callable]]) -> None:
        self.name = name
        self.run = run
        self.seconds: list[float] = []
        self.warm_up = 0.0
        self.loss = float("nan")
        self.predict: Callable = lambda x: x

    def round(self, epochs: int, warm_up: bool = False) -> None:
        """Time one run."""
        start = time.perf_counter()
        self.loss, self.predict = self.run(epochs)
        seconds = (time.perf_counter() - start) / epochs
        if warm_up:
            self.warm_up = seconds
        else:
            self.seconds.append(seconds)


def anynet_contender(name: str, train: Samples, validation: Samples) -> Contender:
    """The job on one backend."""
    backend = anynet.get_backend(name)
    network = anynet.mlp(LAYERS, scale=1 / 255)

    def run(epochs: int) -> tuple[float, Callable]:
        model = anynet.fit(
            network,
            train,
            validation=validation,
            epochs=epochs,
            batch_size=64,
            learning_rate=Exponential(0.1, decay=DECAY),
            patience=None,
            target_accuracy=None,
            seed=SEED,
            backend=backend,
        )
        assert model.history is not None
        return model.history.records[-1].train_loss, model.predict

    return Contender(f"anynet on {name} ({backend.device_name()})", run)


def report_contender(train: Samples, validation: Samples) -> Contender:
    """The report's algorithm from the same initial weights; its data are scaled beforehand."""
    initial = anynet.mlp(LAYERS).init_host(SEED)
    scaled, held_out = (train[0] / 255, train[1]), (validation[0] / 255, validation[1])

    def run(epochs: int) -> tuple[float, Callable]:
        layers = [(layer["weight"], layer["bias"]) for layer in initial if layer]
        layers, losses, _ = report_algorithm.fit(
            layers, scaled, held_out, decay=DECAY, epochs=epochs, seed=SEED
        )
        return losses[-1], lambda images: report_algorithm.predict(layers, images / 255)

    return Contender(REPORT, run)


def rows(contenders: list[Contender], test: Samples) -> list[dict[str, object]]:
    """Return one row a contender, fastest first."""
    reference = statistics.median(contenders[-1].seconds)
    table = []
    for contender in contenders:
        median = statistics.median(contender.seconds)
        row = {
            "contender": contender.name,
            "seconds_per_epoch": round(median, 4),
            "fastest": round(min(contender.seconds), 4),
            "slowest": round(max(contender.seconds), 4),
            "warm_up_seconds_per_epoch": round(contender.warm_up, 4),
            "ratio_to_report": round(median / reference, 4),
            "train_loss": round(contender.loss, 6),
        }
        row["test_accuracy"] = round(float(np.mean(contender.predict(test[0]) == test[1])), 4)
        table.append(row)
    return sorted(table, key=lambda row: row["seconds_per_epoch"])  # type: ignore[arg-type,return-value]


def to_markdown(table: list[dict[str, object]]) -> str:
    """Format rows as a Markdown table."""
    header = list(table[0])
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(row.get(name, "")) for name in header) + " |" for row in table]
    return "\n".join(lines) + "\n"


def draw(table: list[dict[str, object]], title: str, path: Path) -> None:
    """Draw seconds per epoch as bars, with the spread."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.7 * len(table) + 1.4), layout="constrained")
    axes = figure.subplots()
    names = [str(row["contender"]) for row in table]
    median = np.array([row["seconds_per_epoch"] for row in table], dtype=float)
    low = median - np.array([row["fastest"] for row in table], dtype=float)
    high = np.array([row["slowest"] for row in table], dtype=float) - median
    colours = ["0.6" if name == REPORT else "tab:blue" for name in names]
    axes.barh(names, median, xerr=[low, high], color=colours, capsize=3)
    for index, (value, row) in enumerate(zip(median, table, strict=True)):
        label = f"{value:.2f} s ({row['ratio_to_report']:.2f} of the report's)"
        axes.text(value + high[index], index, f"  {label}", va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, max(median + high) * 1.45)
    axes.set_xlabel("seconds per epoch of 55,000 (median, with fastest and slowest)")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the job and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where MNIST's files are")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="epochs in each round")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    arguments = parser.parse_args()
    real, train, validation, test = load(arguments.data_dir)
    usable = [status.name for status in anynet.available_backends() if status.usable]
    contenders = [anynet_contender(name, train, validation) for name in usable]
    contenders.append(report_contender(train, validation))
    for number in range(arguments.rounds + 1):
        for contender in contenders:
            contender.round(arguments.epochs, warm_up=number == 0)
        print(f"round {number} of {arguments.rounds} done", flush=True)
    table = rows(contenders, test)
    machine = describe_machine()
    job = {
        "job": "backends",
        "layers": LAYERS,
        "batch_size": 64,
        "dtype": "float32",
        "data": "mnist" if real else "random",
        "rounds": arguments.rounds,
        "epochs_per_round": arguments.epochs,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(job | machine | row) + "\n" for row in table]
    (arguments.out / "backends.jsonl").write_text("".join(lines))
    (arguments.out / "backends.md").write_text(to_markdown(table))
    where = f"{machine['processor']}, {machine['cores']} cores"
    draw(
        table, f"One epoch of {LAYERS} on MNIST, batch 64 — {where}", arguments.out / "backends.png"
    )
    print(to_markdown(table))


if __name__ == "__main__":
    main()
