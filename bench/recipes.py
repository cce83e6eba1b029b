"""Accuracies of the recipes: several seeds, official test set, always the final epoch.

A recipe is a file of options for ``anynet train``, in ``recipes/``. Test images never affect
training: a recipe has no validation rows, no early stopping, and keeps the last epoch's weights.
With ``--report``, the report's float64 algorithm trains the same layers for its 15 epochs in the
same process.
Results are one JSON file per recipe, written after every seed; repeated seeds are replaced.

    python -m bench.recipes report-128-64 --seeds 5 --report --data-dir DIR
    python -m bench.recipes best-cpu --seeds 3 --keep DIR
    python -m bench.recipes --table
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import anynet
from anynet.cli import recipe
from anynet.cli.config import read_config
from anynet.cli.options import TrainOptions
from anynet.cli.recipe import preprocessed, preprocessing_of
from anynet.data.subset import train_validation_split
from bench import report_algorithm
from bench.machine import describe_machine
from bench.results import Row, to_markdown

RECIPES = Path("recipes")
RESULTS = Path("bench/results/recipes")
REPORT_EPOCHS, REPORT_BATCH, REPORT_DECAY, REPORT_RATE = 15, 64, 0.95, 0.1
REPORT_HELD_OUT = 5_000


class Recipe:
    """A file of options, with its data and backend."""

    def __init__(self, name: str, data_dir: Path | None = None, **changes: Any) -> None:
        path = RECIPES / f"{name}.toml"
        self.name = name
        self.about = tomllib.loads(path.read_text(encoding="utf-8"))["about"]
        options = TrainOptions(**read_config(path) | changes)
        if data_dir is not None:
            options = dataclasses.replace(options, data_dir=data_dir)
        self.backend = anynet.get_backend(options.backend, options.device, options.dtype)
        self.dataset = anynet.load_dataset(options.dataset, options.data_dir)
        self.options = recipe.resolve(options, self.dataset, self.backend)
        self.steps = preprocessing_of(self.options)
        if self.options.validation:
            message = f"{path}: expected validation = 0, so that the final epoch is kept"
            raise anynet.InvalidArgumentError(message)

    @property
    def members(self) -> int:
        """Return the number of networks whose predictions are averaged."""
        return int(self.about.get("members", 1))

    def fit(self, dataset: anynet.Dataset, seed: int) -> anynet.Model | anynet.Ensemble:
        """Train with a seed; the seeds of a committee's members are derived from it."""
        arguments = vars(recipe.fit_options(self.options, dataset)) | {
            "network": recipe.network_of(self.options, dataset),
            "patience": None,
            "target_accuracy": None,
            "backend": self.backend,
        }
        metadata = dataset.metadata
        if self.members == 1:
            arguments["seed"] = seed
            return anynet.fit(data=dataset.train, metadata=metadata, **arguments)
        configs = [{"seed": seed * self.members + member} for member in range(self.members)]
        models = anynet.fit_population(data=dataset.train, configs=configs, **arguments)
        return anynet.Ensemble(models, metadata)

    def run(self, seed: int, keep: Path | None) -> Row:
        """Train, and score on the test set."""
        start = time.perf_counter()
        dataset = preprocessed(self.dataset, self.steps)
        model = self.fit(dataset, seed)
        seconds = time.perf_counter() - start
        x, y = dataset.test
        wrong = int(np.sum(model.predict(x) != y))
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            model.save(keep / f"{self.name}-{seed}.safetensors")
        accuracy = round(1 - wrong / len(y), 6)
        return {"seed": seed, "accuracy": accuracy, "wrong": wrong, "seconds": round(seconds, 2)}

    def run_report(self) -> Row:
        """Train the same layers with the report's algorithm, which scores validation rows."""
        (x, y), (x_test, y_test) = self.dataset.train, self.dataset.test
        kept, held_out = train_validation_split(len(x), REPORT_HELD_OUT, 0)
        sizes = [x.shape[1], *self.options.layers, len(self.dataset.classes)]
        layers = report_algorithm.initialise(sizes, np.random.default_rng(0))
        scaled = x * self.dataset.scale
        train, validation = (scaled[kept], y[kept]), (scaled[held_out], y[held_out])
        start = time.perf_counter()
        layers, _, _ = report_algorithm.fit(
            layers,
            train,
            validation,
            learning_rate=REPORT_RATE,
            decay=REPORT_DECAY,
            epochs=REPORT_EPOCHS,
            batch_size=REPORT_BATCH,
        )
        seconds = time.perf_counter() - start
        accuracy = report_algorithm.score(layers, x_test * self.dataset.scale, y_test)
        return {"seconds": round(seconds, 2), "epochs": REPORT_EPOCHS, "accuracy": accuracy}


def measure(
    name: str,
    seeds: Sequence[int],
    *,
    report: bool = False,
    idle: bool = False,
    keep: Path | None = None,
    data_dir: Path | None = None,
    results: Path = RESULTS,
) -> dict[str, Any]:
    """Run a recipe, and write its results after every seed."""
    one = Recipe(name, data_dir)
    path = results / f"{name}.json"
    recorded = {k: v for k, v in dataclasses.asdict(one.options).items() if v is not None}
    for aside in ("data_dir", "out", "json", "quiet", "seed"):
        recorded.pop(aside, None)
    recorded = json.loads(json.dumps(recorded))
    found: dict[str, Any] = {"recipe": name, "options": recorded, "seeds": []}
    if path.exists() and (before := json.loads(path.read_text()))["options"] == recorded:
        found = before
    machine = describe_machine()
    compiled = False
    for seed in seeds:
        row = one.run(seed, keep) | {"includes_compilation": not compiled, "machine_idle": idle}
        compiled = True
        row["machine"] = machine
        others = [other for other in found["seeds"] if other["seed"] != seed]
        found["seeds"] = sorted([*others, row], key=lambda other: other["seed"])
        _write(path, found)
        print(f"{name}, seed {seed}: {row['accuracy']:.4f} in {row['seconds']} s", flush=True)
    if report:
        found["report"] = one.run_report() | {"machine_idle": idle, "machine": machine}
        _write(path, found)
        print(f"{name}, the report's algorithm: {found['report']['seconds']} s", flush=True)
    return found


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    scratch.replace(path)


def reached(found: dict[str, Any]) -> str:
    """Return mean and standard deviation of the test accuracies and the number of seeds."""
    accuracies = [row["accuracy"] for row in found["seeds"]]
    if len(accuracies) == 1:
        return f"{accuracies[0]:.4f} (1 seed)"
    spread = statistics.stdev(accuracies)
    return f"{statistics.mean(accuracies):.4f} ± {spread:.4f} ({len(accuracies)} seeds)"


def make_table(results: Path = RESULTS) -> list[Row]:
    """Return a row for each recipe: required accuracy, reached accuracy, and time.

    Seconds are those of runs on an otherwise idle machine, compilation included.
    """
    table = []
    for path in sorted(RECIPES.glob("*.toml")):
        about = tomllib.loads(path.read_text(encoding="utf-8"))["about"]
        row: Row = {"recipe": path.stem, "must reach": about.get("must-reach")}
        measured = results / f"{path.stem}.json"
        if measured.exists():
            found = json.loads(measured.read_text())
            timed = [
                run["seconds"]
                for run in found["seeds"]
                if run["machine_idle"] and run["includes_compilation"]
            ]
            row["reached"] = reached(found)
            row["seconds"] = max(timed, default=None)
            if found.get("report", {}).get("machine_idle"):
                row["report's algorithm"] = found["report"]["seconds"]
        table.append(row | {"reached": row.get("reached", "not measured")})
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run recipes, or print the table of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", help="names of files in recipes/, without .toml")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--report", action="store_true", help="also time the report's algorithm")
    parser.add_argument(
        "--idle", action="store_true", help="record that the machine is otherwise idle"
    )
    parser.add_argument("--keep", type=Path, help="folder for the models")
    parser.add_argument("--data-dir", type=Path, help="folder of the data files")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print the table of results")
    options = parser.parse_args(arguments)
    for name in options.recipes:
        measure(
            name,
            range(options.first, options.first + options.seeds),
            report=options.report,
            idle=options.idle,
            keep=options.keep,
            data_dir=options.data_dir,
            results=options.out,
        )
    if options.table:
        columns = ("recipe", "must reach", "reached", "seconds", "report's algorithm")
        print(to_markdown(make_table(options.out), columns))


if __name__ == "__main__":
    main()
