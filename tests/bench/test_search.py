"""``bench.search``: all contenders find the same scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.filterwarnings("ignore")
def test_the_command_writes_its_results(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("sklearn")
    from bench import search

    monkeypatch.setattr(search, "GRID", {"alpha": [1e-4, 1.0]})
    monkeypatch.setattr(search, "JOBS", 1)  # processes need seconds to start
    options = ["--rounds", "1", "--epochs", "2", "--samples", "200", "--out", str(tmp_path)]
    assert search.main(options) == 0
    rows = [json.loads(line) for line in (tmp_path / "search.jsonl").read_text().splitlines()]
    assert len({row["contender"] for row in rows}) == 4
    assert rows[0]["ratio"] == 1.0
    assert "10 fits of [64, 100, 10] on 200 digits" in (tmp_path / "search.md").read_text()
