"""docs/studies.md: its Python runs, its commands parse, its files are valid."""

import re
import shlex
from pathlib import Path

import pytest

from anynet.cli import build_parser
from anynet.cli.study import read_study

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(compile(code, "docs/studies.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 8
    assert (tmp_path / "study" / "results.csv").exists()


def test_the_commands_parse() -> None:
    lines = [line.partition(" #")[0] for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 7
    for line in lines:
        assert build_parser().parse_args(shlex.split(line[line.index("anynet ") :])[1:]).run


def test_the_example_files_are_valid(tmp_path: Path) -> None:
    grid, search = blocks("toml")
    (tmp_path / "study.toml").write_text(grid)
    options, space = read_study(tmp_path / "study.toml", searched=False)
    assert options == {"optimizer": "adam", "epochs": 10}
    assert [len(values) for values in space.values()] == [3, 2, 2]
    (tmp_path / "study.toml").write_text(search)
    assert len(read_study(tmp_path / "study.toml", searched=True)[1]) == 3
