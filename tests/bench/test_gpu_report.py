"""The GPU report: it completes with and without a CUDA device."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import anynet
from bench import gpu_report
from bench.gpu_report import Part, run

PARTS = ["machine", "tests-numpy", "graph", "population", "peers"]
#: Packages that a machine for training may lack.
MISSING = ("tomli_w", "array_api_strict", "xdist", "pytest_timeout", "optuna", "dask", "polars")


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


def test_every_part_reports_a_missing_device(tmp_path: Path, capsys) -> None:
    if any("cuda:0" in status.devices for status in anynet.available_backends()):
        pytest.skip("a CUDA device is present")
    assert gpu_report.main(["--out", str(tmp_path)]) == 0
    assert "no CUDA device" in capsys.readouterr().out.splitlines()[-1]
    report = json.loads((tmp_path / "gpu-report.json").read_text())
    for part in report["parts"][1:]:
        assert (part["status"], part["tail"]) == ("skipped", "no CUDA device")


def fake_parts(monkeypatch: pytest.MonkeyPatch, names: Sequence[str], code: str) -> None:
    """Replace the parts by programs that run ``code``."""
    parts = [Part(name, ["unused"], 60, f"{name}.log") for name in names]
    monkeypatch.setattr(gpu_report, "list_parts", lambda *_: parts)
    start = subprocess.Popen
    monkeypatch.setattr(
        gpu_report.subprocess,
        "Popen",
        lambda command, **options: start([command[0], "-c", code], **options),
    )


def test_a_report_has_at_most_eight_files_of_bounded_size(tmp_path: Path, monkeypatch) -> None:
    libraries = gpu_report.CASES["cuda"]
    options = argparse.Namespace(device="cuda", data_dir=None)
    logs = {part.log for part in gpu_report.list_parts(options, tmp_path)}
    assert len(logs) + len(("json", "md", "png")) <= 8
    assert {f"tests-{library}.log" for library in libraries} < logs
    monkeypatch.setattr(gpu_report, "LOG_BYTES", 1000)
    (tmp_path / "old.log").write_text("of an earlier run")
    fake_parts(monkeypatch, ["noisy"], "print('x' * 100_000); print('the end')")
    assert gpu_report.main(["--out", str(tmp_path)]) == 0
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"noisy.log", "gpu-report.json", "gpu-report.md"}
    assert sizes["noisy.log"] == 1000
    assert json.loads((tmp_path / "gpu-report.json").read_text())["parts"][0]["status"] == "ran"


def test_parts_that_share_a_log_report_their_own_output(tmp_path: Path) -> None:
    first = run(Part("graph", ["platform"], 60), tmp_path, math.inf)
    second = run(Part("peers", ["bench.no_such_part"], 60), tmp_path, math.inf)
    assert "no_such_part" not in first.tail
    assert second.tail.startswith("== peers")
    assert len((tmp_path / "parts.log").read_text()) > len(second.tail)


KILLED = """
import sys
from bench import gpu_report as report
parts = [report.Part("first", ["platform"], 60), report.Part("second", ["http.server", "0"], 60)]
report.list_parts = lambda *_: parts
report.main(["--out", sys.argv[1]])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_report_that_is_killed_has_written_what_was_done(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    process = subprocess.Popen(command, start_new_session=True)
    path, parts = tmp_path / "gpu-report.json", []
    while [part["status"] for part in parts] != ["ran", "running"]:
        assert process.poll() is None
        time.sleep(0.1)
        with contextlib.suppress(OSError, ValueError):
            parts = json.loads(path.read_text())["parts"]
    process.send_signal(number)
    assert process.wait(60) != 0
    assert "second | running" in (tmp_path / "gpu-report.md").read_text()
    assert "== first" in (tmp_path / "parts.log").read_text()


@pytest.mark.parametrize("library", gpu_report.CASES["cuda"])
def test_the_tests_of_a_library_need_no_package_that_a_gpu_machine_lacks(library: str) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({MISSING}))"
    code = (
        f"{blocked}; import pytest; from bench.gpu_parts import cuda_tests;"
        f"arguments = cuda_tests.pytest_arguments({library!r}, 'cuda');"
        "sys.exit(pytest.main([*arguments, '--collect-only', '-qq']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=gpu_report.ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "tests/backends/test_" in done.stdout


def test_a_failed_part_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    outcome = run(Part("graph", ["bench.no_such_part"], math.inf), tmp_path, math.inf)
    assert outcome.status == "failed"
    assert "no_such_part" in outcome.tail


def test_a_part_that_exceeds_its_time_limit_is_terminated(tmp_path: Path) -> None:
    outcome = run(Part("graph", ["http.server", "0"], 1), tmp_path, math.inf)
    assert outcome.status == "timed out"
    late = run(Part("graph", ["http.server", "0"], 1), tmp_path, -math.inf)
    assert late.status == "timed out"
