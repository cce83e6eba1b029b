"""The examples of docs/export.md run, and its commands parse."""

import re
import shlex
from pathlib import Path

import pytest

from anynet.cli import build_parser

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


def test_the_python_examples_run(tmp_path: Path, monkeypatch, capsys) -> None:
    for package in ("onnx", "onnxruntime", "sklearn", "torch"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    names: dict[str, object] = {}
    exec(compile(code, "docs/export.md", "exec"), names)
    said = capsys.readouterr().out
    assert '["0", "1", "2"' in said
    assert "nn.Sequential(nn.Linear(in_features=64, out_features=32), nn.ReLU()," in said


def test_the_commands_parse() -> None:
    (shell,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    commands = shell.splitlines()
    assert len(commands) == 3
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)[1:]).run
