"""The docs page about bad files, numbers, threads and processes: its examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "robustness.md").read_text()


def run(arguments: list[str], folder: Path) -> str:
    """Run Python in a separate process, whose settings do not affect other tests."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    said, threads = run(["-c", code], tmp_path).splitlines()
    assert said.startswith(
        "the training loss is not finite in epoch 1: try a smaller learning rate"
    )
    assert int(threads) >= 1


def test_the_command_runs(tmp_path: Path) -> None:
    (command,) = re.findall(r"```sh\nanynet (.*?)\n```", PAGE)
    assert "test accuracy" in run(["-m", "anynet", *command.split()], tmp_path)
    assert "threads = 1" in (tmp_path / "runs" / "one" / "config.toml").read_text()
