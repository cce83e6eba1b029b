"""``bench.peers``: rounds, result rows, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import peers
from bench.comparison import compare, make_rows
from bench.jobs import WORKLOADS
from bench.rounds import Measurement, Worker, measure
from bench.worker import Timing

JOB = WORKLOADS["table"]


def measured(name: str, outcome: float | np.ndarray, *seconds: float) -> Measurement:
    """Return a measurement whose rounds took ``seconds``."""
    timings = [Timing(outcome, second, second, 0.0) for second in seconds or (1.0,)]
    return Measurement(name, 0.5, timings, {"tolerance": 0.01})


def test_workers_are_measured_in_rounds_and_one_failure_does_not_affect_the_others() -> None:
    kinds = ("Steady", "Broken", "Dying", "Idle")
    workers = [Worker(kind, f"bench_fakes:{kind}", "cpu") for kind in kinds]
    try:
        steady, broken, dying, idle = measure(workers, JOB, rounds=2)
    finally:
        for worker in workers:
            worker.close()
    assert [timing.outcome for timing in steady.timings] == [2.0, 2.0]
    assert not steady.failure
    assert steady.notes["tolerance"] == 0.01
    assert "ValueError: out of order" in broken.failure
    assert "exit code 3" in dying.failure
    assert [timing.outcome for timing in idle.timings] == [2.3, 2.3]
    assert not any(worker.process.is_alive() for worker in workers)


def test_only_the_first_round_starts_after_the_time_limit() -> None:
    worker = Worker("Steady", "bench_fakes:Steady", "cpu")
    try:
        (only,) = measure([worker], JOB, rounds=5, limit=0)
    finally:
        worker.close()
    assert len(only.timings) == 1


def test_contenders_that_skip_work_are_detected() -> None:
    reference = measured("anynet-numpy", 2.0)
    assert compare(measured("torch", 2.001), reference)["agrees"] is True
    assert compare(measured("torch", 2.3), reference)["agrees"] is False
    assert compare(measured("torch", float("nan")), reference)["agrees"] is False
    classes = np.arange(1000) % 10
    seen = measured("anynet-numpy", classes)
    assert compare(measured("torch", classes), seen)["agrees"] is True
    assert compare(measured("torch", np.zeros(1000, int)), seen)["agrees"] is False
    assert compare(measured("floor", float("nan")), reference)["agrees"] is None


def test_rows_contain_medians_and_their_ratios() -> None:
    found = [
        measured("anynet-numpy", 2.0, 5.0, 9.0, 6.0),
        measured("floor", float("nan"), 3.0, 3.0, 3.0),
        measured("torch", 2.0, 12.0, 12.0, 50.0),
        Measurement("thinc", failure="it broke"),
    ]
    rows = make_rows(JOB, found)
    assert [row["contender"] for row in rows] == ["floor", "anynet-numpy", "torch"]
    assert [row["ratio_to_anynet"] for row in rows] == [0.5, 1.0, 2.0]
    assert [row["ratio_to_floor"] for row in rows] == [1.0, 2.0, 4.0]
    assert rows[1]["seconds_per_epoch"] == 6.0 / JOB.epochs
    assert rows[1]["fastest"] == 5.0 / JOB.epochs
    assert rows[1]["us_per_step"] == pytest.approx(6e6 / (32 * JOB.epochs))


def test_the_command_writes_json_lines_a_table_and_a_chart(tmp_path: Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    names = ["anynet-numpy", "floor", "report", "numpy-loop"]
    options = ["--workload", "table", "--epochs", "2", "--rounds", "2", "--out", str(tmp_path)]
    assert peers.main([*options, "--contenders", *names]) == 0
    rows = [json.loads(line) for line in (tmp_path / "peers-table.jsonl").read_text().splitlines()]
    assert sorted(row["contender"] for row in rows) == sorted(names)
    for row in rows:
        assert row["rounds"] == len(row["round_seconds"]) == 2
        assert row["versions"]["numpy"] == np.__version__
        assert row["agrees"] is (None if row["contender"] == "floor" else True)
        assert row["asleep_cpu_seconds"] >= 0
    page = (tmp_path / "peers-table.md").read_text()
    assert all(f"| {name} |" in page for name in names)
    assert page in capsys.readouterr().out
    assert (tmp_path / "peers-table.png").read_bytes().startswith(b"\x89PNG")
