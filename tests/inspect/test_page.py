"""The examples of docs/inspect.md run, and its commands parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from anynet.cli import build_parser, main

PAGE = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text()


def test_the_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["example"]) == 0
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "docs/inspect.md", "exec"), {})
    assert "drop of accuracy" in capsys.readouterr().out


def test_the_commands_parse() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 13
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)[1:]).run
