"""Paired comparisons of variants on nested splits, to choose defaults."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.results import Row, to_markdown

METHOD = "anynet auto"
Cells = dict[tuple[str, int], Row]  # the latest result for each table and split


def contender(variant: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the method and the parameters of a variant."""
    params = dict(variant)
    return params.pop("method", METHOD), params


def compare(rows: Sequence[Row], variants: Sequence[Mapping[str, Any]]) -> str:
    """Return Markdown tables: differences of each variant from the first, and all cells.

    A difference is a mean over the cells that both have, ± its standard error.
    """
    found = {json.dumps(variant): cells_of(rows, variant) for variant in variants}
    first = next(iter(found.values()))
    differences = [difference(name, first, cells) for name, cells in found.items()]
    listed = [
        {"variant": name, "table": table, "split": split} | row
        for name, cells in found.items()
        for (table, split), row in sorted(cells.items())
    ]
    cells = ("variant", "table", "split", "score", "log_loss", "rmse", "fit_cpu_seconds", "error")
    return f"{to_markdown(differences, list(differences[0]))}\n{to_markdown(listed, cells)}"


def cells_of(rows: Sequence[Row], variant: Mapping[str, Any]) -> Cells:
    """Return the results of a variant; later rows replace earlier ones."""
    method, params = contender(variant)
    return {
        (row["table"], row["split"]): row
        for row in rows
        if row["method"] == method and row["params"] == params
    }


def difference(name: str, first: Cells, cells: Cells) -> Row:
    """Return the mean differences of a variant from the first one."""
    pairs = [(first[key], row) for key, row in cells.items() if key in first]
    sound = [pair for pair in pairs if not any("error" in row for row in pair)]
    cost = [math.log(b["fit_cpu_seconds"] / a["fit_cpu_seconds"]) for a, b in sound]
    return {
        "variant": name,
        "cells": len(sound),
        "errors": len(pairs) - len(sound),
        "score": mean_difference(sound, "score"),
        "log loss": mean_difference(sound, "log_loss"),
        "log RMSE": mean_difference(sound, "rmse", math.log),
        "better, worse (loss)": " : ".join(map(str, count_wins(sound))),
        "CPU ratio": round(math.exp(statistics.mean(cost)), 2) if cost else None,
    }


def mean_difference(
    pairs: Sequence[tuple[Row, Row]], name: str, scale: Callable[[float], float] = float
) -> str | None:
    """Return mean ± standard error of the difference in a measure that both rows have."""
    differences = [scale(b[name]) - scale(a[name]) for a, b in pairs if name in a and name in b]
    if len(differences) < 2:
        return f"{differences[0]:+.4f}" if differences else None
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{statistics.mean(differences):+.4f} ± {error:.4f}"


def count_wins(pairs: Sequence[tuple[Row, Row]]) -> tuple[int, int]:
    """Count the cells in which the second row has the lower loss, and the higher loss."""
    losses = [[row.get("log_loss", row.get("rmse")) for row in pair] for pair in pairs]
    return sum(b < a for a, b in losses), sum(b > a for a, b in losses)
