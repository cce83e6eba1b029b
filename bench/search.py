"""A grid search over candidates and folds: anynet's populations compared with single fits.

One grid of learning rates and penalties on the digits, no refit. All searches use anynet's
``MLPClassifier`` except one, which uses scikit-learn's. Rounds interleave them in this process, and
all must find the same scores. Writes JSON lines and a Markdown table.

    python -m bench.search
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import anynet
from bench.machine import describe_machine
from bench.results import Row, to_markdown, write_lines

GRID = {"learning_rate_init": [0.0003, 0.001, 0.003, 0.01], "alpha": [1e-4, 1e-2, 1.0]}
FOLDS = 5
JOBS = -1
REFERENCE = "PopulationSearchCV"
COLUMNS = ("contender", "seconds", "fastest", "slowest", "ratio", "mean_score")
SAME_SCORE = 1e-3  # mean accuracy of all fits: rounding changes the class of one or two samples


def contenders(epochs: int, batch_size: int) -> dict[str, Any]:
    """Return the searches by name."""
    options = {"batch_size": batch_size, "max_iter": epochs, "n_iter_no_change": epochs}
    options |= {"tol": 0.0, "random_state": 0}
    ours = anynet.MLPClassifier(**options)
    theirs = sklearn.neural_network.MLPClassifier(**options)
    search = {"param_grid": GRID, "cv": FOLDS, "refit": False, "error_score": "raise"}
    return {
        REFERENCE: anynet.PopulationSearchCV(ours, **search),
        "GridSearchCV": GridSearchCV(ours, **search),
        "GridSearchCV, a process a core": GridSearchCV(ours, n_jobs=JOBS, **search),
        "GridSearchCV, scikit-learn's network": GridSearchCV(theirs, **search),
    }


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results; return 1 if the scores differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=1797)
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # too few epochs for convergence, by design
    X, y = load_digits(return_X_y=True)
    X, y = X[: options.samples] / 16, y[: options.samples]
    searches = contenders(options.epochs, options.batch_size)
    runs = {name: partial(search.fit, X, y) for name, search in searches.items()}
    for run in runs.values():  # starts processes and records loops
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(options.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(timed(runs[name]))
    scores = {
        name: float(np.mean(search.cv_results_["mean_test_score"]))
        for name, search in searches.items()
    }
    return publish(seconds, scores, options)


def publish(
    seconds: dict[str, list[float]], scores: dict[str, float], options: argparse.Namespace
) -> int:
    """Write and print the results; return 1 if the scores differ."""
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    rows: list[Row] = [
        {
            "contender": name,
            "seconds": round(medians[name], 3),
            "fastest": round(min(found), 3),
            "slowest": round(max(found), 3),
            "ratio": round(medians[name] / medians[REFERENCE], 2),
            "mean_score": round(scores[name], 5),
        }
        for name, found in seconds.items()
    ]
    machine = describe_machine()
    fits = FOLDS * int(np.prod([len(values) for values in GRID.values()]))
    title = (
        f"{fits} fits of [64, 100, 10] on {options.samples} digits, {options.epochs} epochs, batch "
        f"{options.batch_size} — {machine['processor']}, {machine['cores']} cores"
    )
    about = {name: value for name, value in vars(options).items() if name != "out"}
    write_lines(options.out / "search.jsonl", [about | machine | row for row in rows])
    table = f"{title}\n\n{to_markdown(rows, COLUMNS)}"
    (options.out / "search.md").write_text(table)
    print(table)
    return int(max(scores.values()) - min(scores.values()) > SAME_SCORE)


if __name__ == "__main__":
    sys.exit(main())
