"""The docs page about long runs: its commands and its Python run."""

import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anynet.cli import progress

PAGE = (Path(__file__).parents[2] / "docs" / "long-runs.md").read_text()


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^ *```{language}\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    return found


def test_the_commands_run(
    anynet: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, *resume = re.findall(r"^ *(anynet .*)$", "\n".join(blocks("sh")), re.MULTILINE)
    resume += re.findall(r"`(anynet resume runs/[^`]+)`", PAGE)
    assert len(resume) == 3
    for number, command in enumerate(resume):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        with monkeypatch.context() as patch:
            patch.setattr(
                progress.ProgressBar, "finish", lambda *_: signal.raise_signal(signal.SIGINT)
            )
            assert anynet(*shlex.split(train)[1:]).code == 130
        outcome = anynet(*shlex.split(command)[1:])
        assert outcome.code == 0, outcome.err
        assert outcome.out.endswith("run folder runs/long\n")


def test_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in blocks("python"):
        exec(compile(code, "long-runs.md", "exec"), names)
    assert len(names["model"].history.records) == 20
    assert len(names["longer"].history.records) == 40
    assert names["longer"].score(*names["data"].test) > 0.9
