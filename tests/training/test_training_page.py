"""The docs page about training: its Python runs, and its lists are complete."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anynet import Ensemble, StopReason, load
from anynet.cli import build_parser
from anynet.optim import OPTIMIZERS


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Restore what the page configures."""
    yield
    logging.captureWarnings(False)
    logging.getLogger("anynet").setLevel(logging.NOTSET)


PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "training.md", "exec"), names)
    out = capsys.readouterr().out
    assert "4,810 parameters" in out
    assert "best epoch" in out
    assert names["tuned"].score(*names["data"].test) > 0.9
    assert names["tuned"].history.stop_reason is StopReason.EPOCHS
    assert len(Path("epochs.csv").read_text().splitlines()) == 6
    assert len(Path("epochs.jsonl").read_text().splitlines()) == 5
    Ensemble([names["model"], names["tuned"]]).save("pair.safetensors")
    assert isinstance(load("pair.safetensors", backend="numpy"), Ensemble)


def test_the_page_lists_all_stop_reasons_and_optimizers() -> None:
    assert {reason.name for reason in StopReason} <= set(re.findall(r"\| `([A-Z]+)` \|", PAGE))
    assert all(kind in PAGE.lower() for kind in OPTIMIZERS)


def test_the_commands_parse() -> None:
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
    commands = [shlex.split(line[line.index("anynet ") :])[1:] for line in lines]
    assert len(commands) == 2
    for command in commands:
        assert build_parser().parse_args(command).log
