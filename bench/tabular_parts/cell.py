"""One cell: a method fitted on the training rows of a split and scored on its test rows.

Runs in a worker process of ``bench.rounds`` that has one method, so that CPU time is that of the
method. Its first cell is preceded by a fit on a few rows, which imports and initialises libraries.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import resource
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn import metrics

from bench.machine import processor
from bench.tabular_parts import tables
from bench.tabular_parts.methods import METHODS

WARM_UP_ROWS = 60
THREADS = 1
DIGITS = 6
WARMED: set[tuple[str, bool]] = set()


@dataclass(frozen=True)
class Cell:
    """A method with its parameters, a table, and the number of a split."""

    method: str
    table: str
    split: int
    most_rows: int
    nested: bool = False
    params: dict[str, Any] = field(default_factory=dict)


class Runner:
    """Runs one cell, as a contender of ``bench.worker``."""

    def __init__(self, cell: Cell, device: str) -> None:
        del device
        self.cell = cell
        self.table = tables.load(cell.table)
        self.split = tables.draw_split(self.table, cell.split, cell.most_rows, nested=cell.nested)
        warnings.simplefilter("ignore")

    def make(self) -> Any:
        """Make the estimator."""
        return METHODS[self.cell.method].make(self.table, self.cell.split, **self.cell.params)

    def warm_up(self) -> None:
        """Fit on a few rows, and predict, once in a process for classes and once for values."""
        warmed = (self.cell.method, bool(self.table.n_classes))
        if warmed in WARMED:
            return
        WARMED.add(warmed)
        few = tables.draw_split(self.table, self.cell.split, WARM_UP_ROWS, nested=self.cell.nested)
        with contextlib.suppress(Exception):  # some methods need more rows
            self.make().fit(few.X, few.y).predict(few.X)

    def run(self) -> dict[str, Any]:
        """Fit, predict and score."""
        X, y, X_test, y_test = self.split
        self.warm_up()
        model = self.make()
        _, fit_seconds = timed(lambda: model.fit(X, y))
        if self.table.n_classes:
            found, predict_seconds = timed(lambda: np.asarray(model.predict_proba(X_test)))
            scores = score_classes(y_test, found)
        else:
            found, predict_seconds = timed(lambda: np.asarray(model.predict(X_test)))
            scores = score_values(y_test, found)
        return (
            {name: round(value, DIGITS) for name, value in scores.items()}
            | {f"fit_{name}": seconds for name, seconds in fit_seconds.items()}
            | {f"predict_{name}": seconds for name, seconds in predict_seconds.items()}
            | {
                "classes": self.table.n_classes,
                "rows": len(y),
                "test_rows": len(y_test),
                "columns": X.shape[1],
            }
        )

    def notes(self) -> dict[str, Any]:
        """Return the environment."""
        packages = {"numpy", "pandas", "scikit-learn", METHODS[self.cell.method].package}
        versions = {name: importlib.metadata.version(name) for name in packages - {"anynet"}}
        return {
            "threads": THREADS,
            "input_dtype": "float64",
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "versions": dict(sorted(versions.items())),
        }


def timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return the result of a call, and its CPU seconds (with child processes) and wall seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    found = call()
    wall = time.perf_counter() - wall
    return found, {"cpu_seconds": round(cpu_seconds() - cpu, 3), "seconds": round(wall, 3)}


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its ended child processes."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def score_classes(y: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return accuracy (as ``score``), log loss, and for two classes the area under the curve."""
    if not np.all(np.isfinite(probabilities)):
        message = "expected finite probabilities"
        raise ValueError(message)
    probabilities = probabilities.astype(np.float64)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    labels = np.arange(probabilities.shape[1])
    found = {
        "score": float(np.mean(probabilities.argmax(axis=1) == y)),
        "log_loss": float(metrics.log_loss(y, probabilities, labels=labels)),
    }
    if len(labels) == 2:
        found["auc"] = float(metrics.roc_auc_score(y, probabilities[:, 1]))
    return found


def score_values(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return R² (as ``score``) and the root mean squared error."""
    predicted = predicted.reshape(y.shape)
    return {
        "score": float(metrics.r2_score(y, predicted)),
        "rmse": float(metrics.root_mean_squared_error(y, predicted)),
    }
