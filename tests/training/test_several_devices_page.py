"""The page on several devices: its Python runs in one process, its commands parse."""

import re
import shlex
from pathlib import Path

from anynet.cli import build_parser

PAGE = (Path(__file__).parents[2] / "docs" / "several-devices.md").read_text()


def blocks(language):
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


def test_the_python_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python"), "several-devices", "exec"), {})
    assert (tmp_path / "model.safetensors").is_file()


def test_the_commands_of_the_page_parse():
    shell = blocks("sh").replace("\\\n", " ")
    commands = re.findall(r"anynet ((?:train|resume|study) .*)", shell)
    assert len(commands) >= 6
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)).run
