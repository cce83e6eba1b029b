"""``bench.tabular``: splits, resuming, errors, ranks and paired comparisons."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from bench import tabular
from bench.results import read_lines
from bench.tabular_parts import nested, summary, tables

BOOSTING = "HistGradientBoosting"


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_nested_splits_never_contain_test_rows(name: str) -> None:
    table = tables.load(name)
    outer = tables.draw_split(table, 3, 4000)
    inner = tables.draw_split(table, 3, 50, nested=True)
    assert set(inner.X.index) | set(inner.X_test.index) <= set(outer.X.index)
    assert not set(inner.X.index) & set(inner.X_test.index)
    assert len(inner.y) == 50
    np.testing.assert_array_equal(table.y[outer.X_test.index], outer.y_test)


def test_columns_and_targets_keep_their_kinds(tmp_path: Path, monkeypatch) -> None:
    lines = [f"{index / 7},{'red' if index % 3 else ''},{index % 5 or ' '}" for index in range(60)]
    (tmp_path / "tables").mkdir()
    for name, target in (("classes", lambda i: "yn"[i % 2]), ("values", lambda i: i / 2)):
        rows = [f"{line},{target(index)}" for index, line in enumerate(lines)]
        text = "\n".join(["number,colour,gaps,target", *rows])
        (tmp_path / "tables" / f"{name}.csv").write_text(text)
    monkeypatch.setenv("ANYNET_DATA_DIR", str(tmp_path))
    table = tables.load("classes")
    assert table.categories == ["colour", "gaps"]  # a fifth of the gaps is not a number
    assert table.n_classes == 2
    assert sorted(set(table.y)) == [0, 1]
    assert tables.load("values").n_classes == 0
    assert {"classes", "values"} <= set(tables.names())


def test_finished_cells_are_skipped_and_the_summary_is_written(tmp_path: Path, capsys) -> None:
    options = ["--methods", BOOSTING, "scikit-learn MLP", "--tables", "iris", "diabetes"]
    options += ["--splits", "1", "--rows", "60", "--out", str(tmp_path)]
    assert tabular.main(options) == 0
    rows = read_lines(tmp_path / "cells.jsonl")
    assert [(row["method"], row["table"]) for row in rows] == [
        (method, table)
        for method in (BOOSTING, "scikit-learn MLP")
        for table in ("iris", "diabetes")
    ]
    assert all(row["rows"] == 60 and row["fit_cpu_seconds"] > 0 for row in rows)
    assert tabular.main(options) == 0
    assert read_lines(tmp_path / "cells.jsonl") == rows
    assert "Mean ranks over 2 cells" in capsys.readouterr().out
    assert BOOSTING in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "ranks.png").stat().st_size > 0


def test_nested_runs_compare_variants_and_record_errors(tmp_path: Path, capsys) -> None:
    variants = [
        {"method": BOOSTING},
        {"method": BOOSTING, "max_iter": 5},
        {"method": BOOSTING, "nonsense": 1},
    ]
    options = ["--nested", "--tables", "iris", "--out", str(tmp_path), "--splits", "2"]
    assert tabular.main([*options, "--variants", *map(json.dumps, variants)]) == 1
    rows = read_lines(tmp_path / "nested.jsonl")
    assert [row.get("error", "").startswith("TypeError") for row in rows] == [False] * 4 + [
        True
    ] * 2
    table = nested.compare(rows, variants)
    assert table in capsys.readouterr().out
    assert nested.difference("", *([nested.cells_of(rows, variants[0])] * 2))["CPU ratio"] == 1


def test_paired_differences_have_the_standard_error_of_the_pairs() -> None:
    pairs = [({"score": 0.5}, {"score": 0.6}), ({"score": 0.7}, {"score": 1.0}), ({}, {"score": 1})]
    assert nested.mean_difference(pairs, "score") == "+0.2000 ± 0.1000"


def test_errors_rank_last_and_equal_scores_share_a_rank() -> None:
    scores = {"a": 0.5, "b": 0.5, "c": 0.9}
    rows = [
        {"table": "t", "split": split, "method": name, "score": score}
        for split in range(2)
        for name, score in scores.items()
    ]
    rows += [{"table": "t", "split": split, "method": "d", "error": "E"} for split in range(2)]
    rows += [{"table": "u", "split": 0, "method": "a", "score": 1.0}]  # the others lack it
    ranks = summary.rank(summary.arrange(rows), "score", highest_first=True)
    assert ranks.mean == {"a": 2.5, "b": 2.5, "c": 1.0, "d": 4.0}
    assert ranks.cells == 2
    assert ranks.low == ranks.high == ranks.mean  # one table
