"""The docs page about augmentation: its Python runs, its commands parse, its links exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from anynet.cli import build_parser

FOLDER = Path(__file__).parents[2] / "docs"
PAGE = (FOLDER / "augmentation.md").read_text()


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "augmentation.md", "exec"), names)
    accuracy, averaged = map(float, capsys.readouterr().out.split())
    assert accuracy > 0.93
    assert averaged > 0.93
    assert len(names["models"]) == 5
    assert names["x"].shape == names["data"].train[0].shape


def test_the_commands_parse() -> None:
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).split("\n")
    commands = [command for command in commands if command]
    (recipe,) = re.findall(r"`(--augment affine,elastic --[^`]*)`", PAGE)
    commands.append(f"anynet train mnist {' '.join(recipe.split())}")
    assert len(commands) == 6
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)[1:]).run


def test_the_links_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", PAGE):
        assert (FOLDER / target).exists(), target
