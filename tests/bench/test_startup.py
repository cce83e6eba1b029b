"""``bench.startup`` writes one line for each import statement."""

from __future__ import annotations

import json
from pathlib import Path

from bench import startup


def test_the_command_writes_its_results(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(startup, "STATEMENTS", {"import anynet": "anynet", "import no": "no_such"})
    assert startup.main(["--rounds", "1", "--out", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "startup.jsonl").read_text().splitlines()]
    assert [row["statement"] for row in rows] == ["import numpy", "import anynet"]
    assert rows[0]["of_numpy"] == 1.0
    assert "import anynet" in (tmp_path / "startup.md").read_text()
