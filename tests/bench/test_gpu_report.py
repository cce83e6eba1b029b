"""The GPU report: it completes with and without a CUDA device."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import anynet
from bench import gpu_report
from bench.gpu_report import Part, run

PARTS = ["machine", "graph", "population", "tests", "peers"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_dry_run_on_the_cpu_runs_all_parts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    code = gpu_report.main(["--out", str(tmp_path), "--device", "cpu", "--seconds", "1700"])
    report = json.loads((tmp_path / "gpu-report.json").read_text())
    assert {part["name"]: part["status"] for part in report["parts"]} == dict.fromkeys(PARTS, "ran")
    assert code == 0
    assert all(row["agrees"] for row in [*report["graph"], *report["population"]])
    assert set(report["peers"]) == {"mnist-small", "predict-small"}
    page = (tmp_path / "gpu-report.md").read_text()
    assert "anynet-numpy" in page
    assert "momentum, dropout" in page
    assert (tmp_path / "gpu-report.png").read_bytes().startswith(b"\x89PNG")


def test_every_part_reports_a_missing_device(tmp_path: Path) -> None:
    if any("cuda:0" in status.devices for status in anynet.available_backends()):
        pytest.skip("a CUDA device is present")
    assert gpu_report.main(["--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "gpu-report.json").read_text())
    for part in report["parts"][1:]:
        assert (part["status"], part["tail"]) == ("skipped", "no CUDA device")


def test_a_failed_part_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    outcome = run(Part("graph", ["bench.no_such_part"], math.inf), tmp_path, math.inf)
    assert outcome.status == "failed"
    assert "no_such_part" in outcome.tail


def test_a_part_that_exceeds_its_time_limit_is_terminated(tmp_path: Path) -> None:
    outcome = run(Part("graph", ["http.server", "0"], 1), tmp_path, math.inf)
    assert outcome.status == "timed out"
    late = run(Part("graph", ["http.server", "0"], 1), tmp_path, -math.inf)
    assert late.status == "timed out"
