"""``bench.streaming`` writes its results and compares equal jobs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import streaming


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_the_command_writes_its_results(tmp_path: Path) -> None:
    options = ["--gigabytes", "0.004", "--layers", "50", "8", "10", "--rounds", "1"]
    assert streaming.main([*options, "--out", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "streaming.jsonl").read_text().splitlines()]
    assert [row["contender"] for row in rows] == list(streaming.CONTENDERS)
    assert all(row["samples_per_second"] > 0 for row in rows)
    assert rows[0]["train_loss"] == pytest.approx(rows[1]["train_loss"], rel=0.05)
    assert "relative_speed" in (tmp_path / "streaming.md").read_text()


def test_the_file_equals_the_output_of_numpy_save(tmp_path: Path) -> None:
    streaming.write_file(tmp_path / "rows.npy", 30_000, 12)
    x, y = np.load(tmp_path / "rows.npy"), np.load(tmp_path / "rows-y.npy")
    assert (x.shape, x.dtype) == ((30_000, 12), np.float32)
    np.testing.assert_array_equal(y, np.argmax(x[:, :10], axis=1))
